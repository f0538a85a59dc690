//! Upkeep: when each tenant's lake is looked at next, and rows that have lived long enough.

use sqlx::{FromRow, SqliteConnection};

use super::RegistryError;
use super::tenants::Tenant;
use crate::domain::tenant::TenantKey;

/// Rows that one transaction forgets or removes, so that other writes need not wait long.
pub const BATCH_ROWS: i64 = 500;

/// A time this far ahead, in ms, was written before the clock stepped backwards; it counts as come.
const NEVER_PLANNED_MS: i64 = 2 * 86_400_000;

/// How upkeep of a tenant goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct UpkeepState {
    /// When the tenant is looked at next, ms since epoch; 0 for as soon as possible.
    pub due_at_ms: i64,
    /// When it was looked at last, ms since epoch.
    pub done_at_ms: Option<i64>,
    /// What failed then.
    pub last_error: Option<String>,
}

/// How upkeep of a tenant goes; the default for one never looked at.
pub async fn state(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<UpkeepState, RegistryError> {
    let state = sqlx::query_as("SELECT * FROM upkeep WHERE tenant_id = ? AND incarnation = ?");
    let state: Option<UpkeepState> = state.bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?;
    Ok(state.unwrap_or_default())
}

/// The active tenant that has been due for longest.
pub async fn next_due(conn: &mut SqliteConnection, now_ms: i64) -> Result<Option<Tenant>, RegistryError> {
    let due = sqlx::query_as(
        "SELECT t.* FROM tenants t
         LEFT JOIN upkeep u ON u.tenant_id = t.tenant_id AND u.incarnation = t.incarnation
         WHERE t.state = 'active' AND (u.due_at_ms IS NULL OR u.due_at_ms <= ?1 OR u.due_at_ms > ?1 + ?2)
         ORDER BY COALESCE(u.due_at_ms, 0), t.tenant_id LIMIT 1",
    );
    Ok(due.bind(now_ms).bind(NEVER_PLANNED_MS).fetch_optional(conn).await?)
}

/// Looks at the tenant at this time, or earlier if that was planned. Does nothing for a tenant that is dropped.
pub async fn due_by(conn: &mut SqliteConnection, tenant: TenantKey, due_at_ms: i64) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO upkeep (tenant_id, incarnation, due_at_ms)
         SELECT tenant_id, incarnation, ?3 FROM tenants WHERE tenant_id = ?1 AND incarnation = ?2 AND state = 'active'
         ON CONFLICT DO UPDATE SET due_at_ms = MIN(due_at_ms, excluded.due_at_ms)",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(due_at_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down that the tenant was looked at, and what comes next. Does nothing for a tenant that is dropped.
pub async fn done(conn: &mut SqliteConnection, tenant: TenantKey, state: &UpkeepState) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO upkeep (tenant_id, incarnation, due_at_ms, done_at_ms, last_error)
         SELECT tenant_id, incarnation, ?3, ?4, ?5 FROM tenants
             WHERE tenant_id = ?1 AND incarnation = ?2 AND state = 'active'
         ON CONFLICT DO UPDATE SET due_at_ms = excluded.due_at_ms, done_at_ms = excluded.done_at_ms,
             last_error = excluded.last_error",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(state.due_at_ms)
    .bind(state.done_at_ms)
    .bind(state.last_error.as_deref())
    .execute(conn)
    .await?;
    Ok(())
}

/// How many evidence files belong to anomalies created before a time.
pub async fn old_evidence(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    created_before_ms: i64,
) -> Result<i64, RegistryError> {
    let old = sqlx::query_scalar(
        "SELECT COUNT(*) FROM evidence
         WHERE tenant_id = ? AND incarnation = ? AND created_at_ms < ? AND file IS NOT NULL",
    );
    Ok(old.bind(tenant.id.get()).bind(tenant.incarnation).bind(created_before_ms).fetch_one(conn).await?)
}

/// Whether an anomaly that was created between two times asks for activities of a span of time; all in ms since epoch,
/// both ends included. Cost: one index range over the anomalies created then.
pub async fn is_asked_for(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    (created_from_ms, created_to_ms): (i64, i64),
    (first_ms, last_ms): (i64, i64),
) -> Result<bool, RegistryError> {
    let asked = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM anomalies WHERE tenant_id = ? AND incarnation = ?
             AND created_at_ms BETWEEN ? AND ? AND from_ms <= ? AND to_ms >= ?)",
    );
    let asked = asked.bind(tenant.id.get()).bind(tenant.incarnation).bind(created_from_ms).bind(created_to_ms);
    Ok(asked.bind(last_ms).bind(first_ms).fetch_one(conn).await?)
}

/// Forgets up to [`BATCH_ROWS`] evidence files of anomalies created before a time; the files are garbage once the
/// transaction is committed. Returns how many.
pub async fn forget_old_evidence(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    created_before_ms: i64,
) -> Result<u64, RegistryError> {
    // The number is used up, so that an attempt under way does not come true.
    let forgotten = sqlx::query(
        "UPDATE evidence SET number = number + 1, file = NULL, rows = NULL, bytes = NULL, sha256 = NULL,
             lake_version = NULL, row_cap = NULL, made_at_ms = NULL, attempts = 0, last_error = NULL,
             next_attempt_at_ms = 0
         WHERE anomaly_id IN (
             SELECT anomaly_id FROM evidence
             WHERE tenant_id = ? AND incarnation = ? AND created_at_ms < ? AND file IS NOT NULL LIMIT ?)",
    );
    let forgotten = forgotten.bind(tenant.id.get()).bind(tenant.incarnation).bind(created_before_ms).bind(BATCH_ROWS);
    Ok(forgotten.execute(conn).await?.rows_affected())
}

/// How many anomalies were created before a time.
pub async fn old_anomalies(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    created_before_ms: i64,
) -> Result<i64, RegistryError> {
    let old = sqlx::query_scalar(
        "SELECT COUNT(*) FROM anomalies WHERE tenant_id = ? AND incarnation = ? AND created_at_ms < ?
             AND id NOT IN (SELECT anomaly_id FROM uci_anomalies)",
    );
    Ok(old.bind(tenant.id.get()).bind(tenant.incarnation).bind(created_before_ms).fetch_one(conn).await?)
}

/// Statements that remove what has the age of an expired anomaly, each up to a number of rows. What refers to
/// a row goes with it (`ON DELETE CASCADE`), or comes before it here. Parameters: tenant, incarnation,
/// time of creation, rows. Impacts and resets are kept while they can count (wire contract of the index, section 2), which
/// `registry::uci::retain` knows.
const EXPIRE: [&str; 1] = ["DELETE FROM anomalies WHERE id IN (
         SELECT id FROM anomalies WHERE tenant_id = ?1 AND incarnation = ?2 AND created_at_ms < ?3
           AND id NOT IN (SELECT anomaly_id FROM uci_anomalies)
         ORDER BY created_at_ms LIMIT ?4)"];

/// Removes up to [`BATCH_ROWS`] anomalies created before a time, with their evidence and history. Returns how many
/// rows; evidence files are garbage once the transaction is committed.
pub async fn remove_old_anomalies(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    created_before_ms: i64,
) -> Result<u64, RegistryError> {
    let mut removed = 0;
    for sql in EXPIRE {
        let expire = sqlx::query(sql).bind(tenant.id.get()).bind(tenant.incarnation);
        removed += expire.bind(created_before_ms).bind(BATCH_ROWS).execute(&mut *conn).await?.rows_affected();
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::evidence::{self, EvidenceFile};
    use crate::registry::testing::TestRegistry;

    async fn due(t: &TestRegistry, now_ms: i64) -> Option<TenantKey> {
        next_due(&mut t.registry.read().await.unwrap(), now_ms).await.unwrap().map(|tenant| tenant.key)
    }

    async fn plan(t: &TestRegistry, key: TenantKey, due_at_ms: i64) {
        let state = UpkeepState { due_at_ms, done_at_ms: Some(1), last_error: None };
        t.registry.write(move |conn| Box::pin(async move { done(conn, key, &state).await })).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_is_due_longest_comes_first_and_can_be_called_earlier() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        assert_eq!(due(&t, 0).await, Some(a), "never looked at");
        plan(&t, a, 100).await;
        plan(&t, b, 90).await;
        assert_eq!(due(&t, 89).await, None);
        assert_eq!(due(&t, 200).await, Some(b));
        for at_ms in [50, 70] {
            t.registry.write(move |conn| Box::pin(async move { due_by(conn, a, at_ms).await })).await.unwrap();
        }
        assert_eq!(due(&t, 89).await, Some(a));
        let stored = state(&mut t.registry.read().await.unwrap(), a).await.unwrap();
        assert_eq!(stored, UpkeepState { due_at_ms: 50, done_at_ms: Some(1), last_error: None });
        plan(&t, a, 10 * NEVER_PLANNED_MS).await;
        plan(&t, b, 10 * NEVER_PLANNED_MS).await;
        assert_eq!(due(&t, 5).await, Some(a), "the clock stepped backwards");
    }

    #[tokio::test]
    async fn age_takes_evidence_first_and_then_the_anomaly_with_all_that_is_its_own() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let file = EvidenceFile {
            number: 1,
            file: "evidence/x".to_owned(),
            rows: 1,
            bytes: 7,
            sha256: String::new(),
            lake_version: 0,
            row_cap: 1,
            made_at_ms: 0,
        };
        let filled = t.registry.write(move |conn| {
            Box::pin(async move {
                for (tenant, created_at_ms) in [(a, 10), (a, 20), (b, 10)] {
                    let made =
                        anomalies::create(conn, tenant, &NewAnomaly::of_user("u", 0, 1, created_at_ms), 30).await?;
                    assert!(evidence::commit_file(conn, tenant, made.id, &file).await?);
                }
                Ok(())
            })
        });
        filled.await.unwrap();
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(old_evidence(&mut conn, a, 20).await.unwrap(), 1);
        let forget = || t.registry.write(move |conn| Box::pin(async move { forget_old_evidence(conn, a, 20).await }));
        assert_eq!((forget().await.unwrap(), forget().await.unwrap()), (1, 0));
        assert_eq!(evidence::used_bytes(&mut conn, a).await.unwrap(), 7);
        assert_eq!(old_anomalies(&mut conn, a, 20).await.unwrap(), 1);
        let remove = || t.registry.write(move |conn| Box::pin(async move { remove_old_anomalies(conn, a, 21).await }));
        assert_eq!((remove().await.unwrap(), remove().await.unwrap()), (2, 0));
        assert_eq!(evidence::used_bytes(&mut conn, a).await.unwrap(), 0);
        assert_eq!(evidence::all_files(&mut conn, b).await.unwrap().len(), 1, "another tenant's");
    }
}
