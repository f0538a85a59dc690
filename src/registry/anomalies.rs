//! Anomalies: whose activities, of which window, and why they matter.

use sqlx::{FromRow, SqliteConnection};

use super::rows::{TextList, text_list};
use super::{RegistryError, modified_clock};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::domain::incident_group::category_key;
use crate::domain::tenant::TenantKey;
use crate::domain::user_key::user_key;

/// An anomaly to be stored. A user or a `where` is needed, and `from_ms` may not lie after `to_ms`.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAnomaly {
    /// The user as the source spells it; activities are matched by its key.
    pub user: Option<String>,
    /// First moment of the window, ms since epoch.
    pub from_ms: i64,
    /// Last moment of the window, ms since epoch; may lie in the future.
    pub to_ms: i64,
    /// SQL condition over the tenant's activities, already checked.
    pub where_sql: Option<String>,
    /// Risk score.
    pub score: Option<f64>,
    /// Category, for example `Insider Threats`.
    pub category: Option<String>,
    /// What reported it.
    pub source: Option<String>,
    /// Why it was reported.
    pub reason: Option<String>,
    /// What the user did, in words.
    pub activity: Option<String>,
    /// The measured value that was out of the ordinary, in whatever unit the category has.
    pub value: Option<f64>,
    /// Cloud services that it concerns.
    pub service_names: Vec<String>,
    /// Connected instance of the service.
    pub instance_id: Option<i64>,
    /// Name of that instance.
    pub instance_name: Option<String>,
    /// When it counts as created, ms since epoch: delay and recency count from here.
    pub created_at_ms: i64,
}

impl NewAnomaly {
    /// All activities of a user in a window.
    #[must_use]
    pub fn of_user(user: &str, from_ms: i64, to_ms: i64, created_at_ms: i64) -> Self {
        Self {
            user: Some(user.to_owned()),
            from_ms,
            to_ms,
            where_sql: None,
            score: None,
            category: None,
            source: None,
            reason: None,
            activity: None,
            value: None,
            service_names: Vec::new(),
            instance_id: None,
            instance_name: None,
            created_at_ms,
        }
    }
}

/// A stored anomaly; fields as in [`NewAnomaly`].
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Anomaly {
    /// Number, unique on the server and never used again.
    #[sqlx(try_from = "i64")]
    pub id: AnomalyId,
    /// The tenant that it belongs to.
    #[sqlx(flatten)]
    pub tenant: TenantKey,
    /// The user as the source spells it.
    pub user: Option<String>,
    /// The form of `user` that matching uses.
    pub user_key: Option<String>,
    /// First moment of the window, ms since epoch.
    pub from_ms: i64,
    /// Last moment of the window, ms since epoch.
    pub to_ms: i64,
    /// SQL condition over the tenant's activities.
    pub where_sql: Option<String>,
    /// Risk score.
    pub score: Option<f64>,
    /// Category.
    pub category: Option<String>,
    /// What reported it.
    pub source: Option<String>,
    /// Why it was reported.
    pub reason: Option<String>,
    /// What the user did, in words.
    pub activity: Option<String>,
    /// The measured value that was out of the ordinary.
    pub value: Option<f64>,
    /// Cloud services that it concerns.
    #[sqlx(try_from = "TextList")]
    pub service_names: Vec<String>,
    /// Connected instance of the service.
    pub instance_id: Option<i64>,
    /// Name of that instance.
    pub instance_name: Option<String>,
    /// The form of `category` that comparisons use.
    pub category_key: Option<String>,
    /// How far people have come with it.
    #[sqlx(try_from = "String")]
    pub status: IncidentStatus,
    /// When it counts as created, ms since epoch.
    pub created_at_ms: i64,
    /// When it was last changed, ms since epoch: the tenant's clock of modifications.
    pub modified_at_ms: i64,
    /// When something last changed that matters to whoever handles it, ms since epoch.
    pub significant_at_ms: i64,
}

impl Anomaly {
    /// What it was, or would be, created from.
    #[must_use]
    pub fn fields(&self) -> NewAnomaly {
        NewAnomaly {
            user: self.user.clone(),
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            where_sql: self.where_sql.clone(),
            score: self.score,
            category: self.category.clone(),
            source: self.source.clone(),
            reason: self.reason.clone(),
            activity: self.activity.clone(),
            value: self.value,
            service_names: self.service_names.clone(),
            instance_id: self.instance_id,
            instance_name: self.instance_name.clone(),
            created_at_ms: self.created_at_ms,
        }
    }
}

/// Stores an anomaly and its evidence, which is pending. `now_ms` is read inside the transaction.
pub async fn create(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    new: &NewAnomaly,
    now_ms: i64,
) -> Result<Anomaly, RegistryError> {
    let modified_at_ms = modified_clock::stamp(conn, tenant, now_ms).await?;
    let anomaly: Anomaly = sqlx::query_as(
        "INSERT INTO anomalies (tenant_id, incarnation, user, user_key, from_ms, to_ms, where_sql, score, category,
             category_key, source, reason, activity, value, service_names, instance_id, instance_name, created_at_ms,
             modified_at_ms, significant_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(new.user.as_deref())
    .bind(new.user.as_deref().map(user_key))
    .bind(new.from_ms)
    .bind(new.to_ms)
    .bind(new.where_sql.as_deref())
    .bind(new.score)
    .bind(new.category.as_deref())
    .bind(new.category.as_deref().map(category_key))
    .bind(new.source.as_deref())
    .bind(new.reason.as_deref())
    .bind(new.activity.as_deref())
    .bind(new.value)
    .bind(text_list(&new.service_names))
    .bind(new.instance_id)
    .bind(new.instance_name.as_deref())
    .bind(new.created_at_ms)
    .bind(modified_at_ms)
    .bind(modified_at_ms)
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query("INSERT INTO evidence (anomaly_id, tenant_id, incarnation, created_at_ms) VALUES (?, ?, ?, ?)")
        .bind(anomaly.id.get())
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .bind(new.created_at_ms)
        .execute(conn)
        .await?;
    Ok(anomaly)
}

/// The tenant's anomaly with this id; those of others do not exist here.
pub async fn get(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Option<Anomaly>, RegistryError> {
    let anomaly = sqlx::query_as("SELECT * FROM anomalies WHERE id = ? AND tenant_id = ? AND incarnation = ?");
    Ok(anomaly.bind(id.get()).bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?)
}

/// A page of the tenant's anomalies, highest id first: those below `before` and of this status, when given.
pub async fn list(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    before: Option<AnomalyId>,
    status: Option<IncidentStatus>,
    limit: u32,
) -> Result<Vec<Anomaly>, RegistryError> {
    // Two statements, so that each runs along its own index.
    let page = match status {
        None => sqlx::query_as(
            "SELECT * FROM anomalies WHERE tenant_id = ?1 AND incarnation = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4",
        ),
        Some(_) => sqlx::query_as(
            "SELECT * FROM anomalies WHERE tenant_id = ?1 AND incarnation = ?2 AND id < ?3 AND status = ?5
             ORDER BY id DESC LIMIT ?4",
        ),
    };
    let before = before.map_or(i64::MAX, AnomalyId::get);
    let page = page.bind(tenant.id.get()).bind(tenant.incarnation).bind(before).bind(limit);
    let page = match status {
        None => page,
        Some(status) => page.bind(status.as_str()),
    };
    Ok(page.fetch_all(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::evidence;
    use crate::registry::testing::TestRegistry;

    async fn add(t: &TestRegistry, tenant: TenantKey, new: NewAnomaly) -> Result<Anomaly, RegistryError> {
        t.registry.write(move |conn| Box::pin(async move { create(conn, tenant, &new, 50).await })).await
    }

    #[tokio::test]
    async fn one_sequence_for_all_tenants_and_no_view_of_others() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let new = NewAnomaly {
            where_sql: Some("\"count\" > 3".to_owned()),
            score: Some(77.5),
            category: Some("Insider Threats".to_owned()),
            ..NewAnomaly::of_user(" Änne@Example.com", -5, 1 << 50, 40)
        };
        let first = add(&t, a, new.clone()).await.unwrap();
        let second = add(&t, b, new.clone()).await.unwrap();
        assert_eq!(second.id.get(), first.id.get() + 1);
        assert_eq!(first.user_key.as_deref(), Some("änne@example.com"));
        assert_eq!((first.user, first.where_sql, first.score), (new.user, new.where_sql, new.score));
        assert_eq!((first.created_at_ms, first.modified_at_ms, first.tenant), (40, 50, a));

        let mut conn = t.registry.read().await.unwrap();
        assert!(get(&mut conn, a, second.id).await.unwrap().is_none());
        assert_eq!(get(&mut conn, b, second.id).await.unwrap().as_ref(), Some(&second));
        assert_eq!(list(&mut conn, b, None, None, 10).await.unwrap(), [second]);
        let state = evidence::get(&mut conn, a, first.id).await.unwrap().unwrap().state();
        assert_eq!(state, evidence::EvidenceState::Pending);
    }

    #[tokio::test]
    async fn pages_meet_without_gap_or_repeat() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let mut expected = Vec::new();
        for i in 0..7 {
            expected.insert(0, add(&t, a, NewAnomaly::of_user("u", 0, i, i)).await.unwrap().id);
            add(&t, b, NewAnomaly::of_user("u", 0, i, i)).await.unwrap();
        }
        let mut conn = t.registry.read().await.unwrap();
        let mut found = Vec::new();
        loop {
            let page = list(&mut conn, a, found.last().copied(), None, 3).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page.iter().map(|a| a.id));
        }
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn nonsense_is_refused_by_the_table() {
        let t = TestRegistry::new().await;
        let a = t.tenant(1).await;
        let no_predicate = NewAnomaly { user: None, ..NewAnomaly::of_user("", 0, 1, 0) };
        let backwards = NewAnomaly::of_user("u", 2, 1, 0);
        for new in [no_predicate, backwards] {
            assert!(matches!(add(&t, a, new).await, Err(RegistryError::Database(_))));
        }
    }
}
