//! Tenants and their lives: created, dropped in two steps, created again as a new incarnation.

use std::time::Duration;

use sqlx::{FromRow, SqliteConnection};

use super::RegistryError;
use super::settings::{Overrides, UciOverrides};
use crate::domain::tenant::{TenantId, TenantKey};
use crate::domain::time_text::format_span;

/// Where a tenant is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum TenantState {
    /// Serves requests.
    Active,
    /// Being dropped: refuses every request, its folder may be half gone.
    Dropping,
}

/// A tenant that is not dropped.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Tenant {
    /// Number and life.
    #[sqlx(flatten)]
    pub key: TenantKey,
    /// Name for people.
    pub name: String,
    /// When this life began, ms since epoch.
    pub created_at_ms: i64,
    /// Where it is in its life.
    pub state: TenantState,
    /// Since when the anomalous-activity feature is on, ms since epoch; none while it is off.
    pub anomalous_activity_since_ms: Option<i64>,
    /// What differs from the server's defaults.
    #[sqlx(flatten)]
    pub overrides: Overrides,
    /// Most bytes of stored activities and evidence, together; none for no limit.
    pub quota_bytes: Option<i64>,
    /// What differs from the server's defaults in the User Confidence Index.
    #[sqlx(flatten)]
    pub uci: UciOverrides,
}

/// Why a tenant was not created, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// Another tenant has this id: take another, or drop that one first.
    #[error("tenant {0} already exists")]
    Exists(TenantId),
    /// The tenant is being dropped: repeat once that is done.
    #[error("tenant {0} is being dropped")]
    Dropping(TenantId),
    /// No such tenant, or no longer.
    #[error("there is no tenant {0}")]
    NotFound(TenantId),
    /// A setting outside its range.
    #[error("{setting} must be at least {at_least}, not {value}")]
    OutOfRange {
        /// Name of the setting with its unit.
        setting: &'static str,
        /// Smallest value.
        at_least: i64,
        /// The value that was asked for.
        value: i64,
    },
    /// A setting above its range.
    #[error("{setting} must be at most {at_most}, not {value}")]
    TooLarge {
        /// Name of the setting with its unit.
        setting: &'static str,
        /// Largest value.
        at_most: i64,
        /// The value that was asked for.
        value: i64,
    },
    /// Anomalies would be exportable for longer than their activities are kept.
    #[error("recency ({}) may not exceed activity retention ({})", span(*recency_ms), span(*activity_retention_ms))]
    RecencyExceedsRetention {
        /// The recency that would apply, in ms.
        recency_ms: i64,
        /// The activity retention that would apply, in ms.
        activity_retention_ms: i64,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<sqlx::Error> for TenantError {
    fn from(error: sqlx::Error) -> Self {
        Self::Registry(error.into())
    }
}

fn span(ms: i64) -> String {
    format_span(Duration::from_millis(ms.unsigned_abs()))
}

/// Creates a tenant with the feature off and no overrides. An id that was dropped gets its next incarnation.
///
/// # Errors
/// [`TenantError::Exists`], [`TenantError::Dropping`].
pub async fn create(conn: &mut SqliteConnection, id: TenantId, name: &str, now_ms: i64) -> Result<Tenant, TenantError> {
    match get(conn, id).await?.map(|t| t.state) {
        Some(TenantState::Active) => return Err(TenantError::Exists(id)),
        Some(TenantState::Dropping) => return Err(TenantError::Dropping(id)),
        None => {}
    }
    let tenant = sqlx::query_as(
        "INSERT INTO tenants (tenant_id, incarnation, name, created_at_ms, state)
         SELECT ?1, COALESCE(MAX(incarnation), 0) + 1, ?2, ?3, 'active' FROM tenants WHERE tenant_id = ?1
         RETURNING *",
    )
    .bind(id.get())
    .bind(name)
    .bind(now_ms)
    .fetch_one(conn)
    .await?;
    Ok(tenant)
}

/// The tenant with this id, also while it is being dropped.
pub async fn get(conn: &mut SqliteConnection, id: TenantId) -> Result<Option<Tenant>, RegistryError> {
    let tenant = sqlx::query_as("SELECT * FROM tenants WHERE tenant_id = ? AND state <> 'dropped'")
        .bind(id.get())
        .fetch_optional(conn)
        .await?;
    Ok(tenant)
}

/// The tenant with this id when it serves requests.
///
/// # Errors
/// [`TenantError::NotFound`], [`TenantError::Dropping`].
pub async fn get_active(conn: &mut SqliteConnection, id: TenantId) -> Result<Tenant, TenantError> {
    let tenant = get(conn, id).await?.ok_or(TenantError::NotFound(id))?;
    match tenant.state {
        TenantState::Active => Ok(tenant),
        TenantState::Dropping => Err(TenantError::Dropping(id)),
    }
}

/// All tenants by id, those being dropped included.
pub async fn list(conn: &mut SqliteConnection) -> Result<Vec<Tenant>, RegistryError> {
    Ok(sqlx::query_as("SELECT * FROM tenants WHERE state <> 'dropped' ORDER BY tenant_id").fetch_all(conn).await?)
}

/// Marks the tenant as being dropped: from this commit on no request reaches it. Then its folder is
/// removed, then [`finish_drop`]. After a crash in between the mark is still there; doing it again is harmless.
///
/// # Errors
/// [`TenantError::NotFound`].
pub async fn begin_drop(conn: &mut SqliteConnection, id: TenantId) -> Result<TenantKey, TenantError> {
    sqlx::query_as("UPDATE tenants SET state = 'dropping' WHERE tenant_id = ? AND state <> 'dropped' RETURNING *")
        .bind(id.get())
        .fetch_optional(conn)
        .await?
        .map(|tenant: Tenant| tenant.key)
        .ok_or(TenantError::NotFound(id))
}

/// Ends a life whose folder is gone: removes its anomalies, evidence, index, tokens, roles and idempotency keys.
/// Users without any role left stay, and can do nothing; the audit trail stays. The id is free again.
/// Does nothing for a life that is not being dropped.
pub async fn finish_drop(conn: &mut SqliteConnection, key: TenantKey, now_ms: i64) -> Result<(), RegistryError> {
    let ended = sqlx::query(
        "UPDATE tenants SET state = 'dropped', dropped_at_ms = ?
         WHERE tenant_id = ? AND incarnation = ? AND state = 'dropping'",
    )
    .bind(now_ms)
    .bind(key.id.get())
    .bind(key.incarnation)
    .execute(&mut *conn)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(());
    }
    for sql in [
        "DELETE FROM exports WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM evidence WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM evidence_usage WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM uci_anomalies WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM anomalies WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM monitored_users WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM alerts WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM alert_cursors WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM impact_keys WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM reset_rules WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM modified_clock WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM tokens WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM user_roles WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM upkeep WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM trusted_networks WHERE tenant_id = ? AND incarnation = ?",
        "DELETE FROM idempotency WHERE tenant_id = ? AND incarnation = ?",
    ] {
        sqlx::query(sql).bind(key.id.get()).bind(key.incarnation).execute(&mut *conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::{Role, Scopes};
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::testing::TestRegistry;
    use crate::registry::{Registry, roles, tokens, users};

    async fn drop_tenant(registry: &Registry, id: TenantId) -> TenantKey {
        let write = registry.try_write(move |conn| {
            Box::pin(async move {
                let key = begin_drop(conn, id).await?;
                finish_drop(conn, key, 9).await?;
                Ok::<_, TenantError>(key)
            })
        });
        write.await.unwrap()
    }

    #[tokio::test]
    async fn a_dropped_id_comes_back_as_the_next_incarnation() {
        let t = TestRegistry::new().await;
        let first = t.tenant(7).await;
        assert_eq!(first.incarnation, 1);
        assert_eq!(drop_tenant(&t.registry, first.id).await, first);
        let second = t.tenant(7).await;
        assert_eq!((second.id, second.incarnation), (first.id, 2));
        drop_tenant(&t.registry, first.id).await;
        assert_eq!(t.tenant(7).await.incarnation, 3);
        assert_eq!(t.tenant(6).await.incarnation, 1);
        let mut conn = t.registry.read().await.unwrap();
        let ids: Vec<_> = list(&mut conn).await.unwrap().iter().map(|t| t.key.id.get()).collect();
        assert_eq!(ids, [6, 7]);
    }

    #[tokio::test]
    async fn a_taken_or_dropping_id_is_refused() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let create_again = || async {
            t.registry.try_write(move |conn| Box::pin(async move { create(conn, key.id, "again", 1).await })).await
        };
        assert!(matches!(create_again().await, Err(TenantError::Exists(_))));
        for _ in 0..2 {
            let write = t.registry.try_write(move |conn| Box::pin(async move { begin_drop(conn, key.id).await })).await;
            assert_eq!(write.unwrap(), key);
        }
        assert!(matches!(create_again().await, Err(TenantError::Dropping(_))));
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(get(&mut conn, key.id).await.unwrap().unwrap().state, TenantState::Dropping);
        assert!(matches!(get_active(&mut conn, key.id).await, Err(TenantError::Dropping(_))));
    }

    #[tokio::test]
    async fn a_drop_takes_the_tenants_rows_and_no_others() {
        let t = TestRegistry::new().await;
        let (gone, stays) = (t.tenant(7).await, t.tenant(8).await);
        let fill = t.registry.write(move |conn| {
            Box::pin(async move {
                let user = users::insert(conn, "a@b.example", "hash", 0).await?.unwrap_or_default();
                for (key, hash) in [(gone, [7; 32]), (stays, [8; 32])] {
                    roles::grant(conn, user, key, Role::Reader, 0).await?;
                    tokens::insert(
                        conn,
                        &tokens::NewToken::api(key, None, tokens::TokenHash(hash), Scopes::default(), None),
                        0,
                    )
                    .await?;
                    anomalies::create(conn, key, &NewAnomaly::of_user("a", 0, 1, 0), 0).await?;
                }
                Ok(())
            })
        });
        fill.await.unwrap();
        drop_tenant(&t.registry, gone.id).await;
        let mut conn = t.registry.read().await.unwrap();
        for (table, rows) in [
            ("SELECT COUNT(*) FROM anomalies", 1_i64),
            ("SELECT COUNT(*) FROM evidence", 1),
            ("SELECT COUNT(*) FROM modified_clock", 1),
            ("SELECT COUNT(*) FROM tokens", 1),
            ("SELECT COUNT(*) FROM user_roles", 1),
            ("SELECT COUNT(*) FROM users", 1),
        ] {
            let found: i64 = sqlx::query_scalar(table).fetch_one(&mut *conn).await.unwrap();
            assert_eq!(found, rows, "{table}");
        }
        assert!(tokens::by_hash(&mut conn, tokens::TokenHash([7; 32])).await.unwrap().is_none());
        assert!(tokens::by_hash(&mut conn, tokens::TokenHash([8; 32])).await.unwrap().is_some());
    }
}
