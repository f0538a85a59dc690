//! What of the index is too old to keep, and everything of one user. In small steps, so that no write waits long.

use sqlx::SqliteConnection;

use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;
use crate::domain::uci::alert::ALERT_LIFETIME_MS;
use crate::domain::uci::score::MAX_WINDOW_MS;
use crate::registry::RegistryError;

/// How long an anomaly of the index is kept, in ms from when it was accepted: 90 days.
pub const ANOMALY_LIFETIME_MS: i64 = 90 * DAY_MS;

/// Rows that one step removes at most.
const STEP: i64 = 500;

/// What one step removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Anomalies.
    pub anomalies: u64,
    /// Evidence files that nothing names any more once the transaction is committed.
    pub evidence_files: Vec<String>,
}

async fn remove_anomalies(conn: &mut SqliteConnection, ids: &[i64]) -> Result<Removed, RegistryError> {
    if ids.is_empty() {
        return Ok(Removed::default());
    }
    let ids = serde_json::Value::from(ids).to_string();
    let evidence_files = sqlx::query_scalar(
        "SELECT file FROM evidence WHERE anomaly_id IN (SELECT value FROM json_each(?)) AND file IS NOT NULL",
    );
    let evidence_files = evidence_files.bind(&ids).fetch_all(&mut *conn).await?;
    // What belongs to an anomaly goes with it.
    let gone = sqlx::query("DELETE FROM anomalies WHERE id IN (SELECT value FROM json_each(?))");
    let anomalies = gone.bind(&ids).execute(conn).await?.rows_affected();
    Ok(Removed { anomalies, evidence_files })
}

/// Removes some anomalies of a tenant that were accepted 90 days ago or earlier; none left: nothing removed.
///
/// An impact stays as long as it can still count, and a reset as long as an impact that it voids stays: else
/// points would be missing that nothing explains, or missing again.
pub async fn old_anomalies(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    now_ms: i64,
) -> Result<Removed, RegistryError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT a.id FROM anomalies a CROSS JOIN uci_anomalies u ON u.anomaly_id = a.id
         WHERE a.tenant_id = ?1 AND a.incarnation = ?2 AND a.created_at_ms <= ?3
             AND CASE u.activity WHEN 'impact' THEN u.time_ms <= ?4
                 ELSE NOT EXISTS (
                     SELECT 1 FROM uci_anomalies i
                     WHERE i.tenant_id = ?1 AND i.incarnation = ?2 AND i.user_key = u.user_key
                         AND i.activity = 'impact' AND i.anomaly_id < u.anomaly_id) END
         LIMIT ?5",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(now_ms.saturating_sub(ANOMALY_LIFETIME_MS))
    .bind(now_ms.saturating_sub(MAX_WINDOW_MS))
    .bind(STEP)
    .fetch_all(&mut *conn)
    .await?;
    remove_anomalies(conn, &ids).await
}

/// Removes some alerts of a tenant that were made 90 days ago or earlier; none left: 0.
pub async fn old_alerts(conn: &mut SqliteConnection, tenant: TenantKey, now_ms: i64) -> Result<u64, RegistryError> {
    let gone = sqlx::query(
        "DELETE FROM alerts WHERE id IN (
             SELECT id FROM alerts WHERE tenant_id = ? AND incarnation = ? AND made_at_ms <= ?
             ORDER BY made_at_ms LIMIT ?)",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(now_ms.saturating_sub(ALERT_LIFETIME_MS))
    .bind(STEP);
    Ok(gone.execute(conn).await?.rows_affected())
}

/// Removes some idempotency keys, of all tenants, created at this time or earlier; none left: 0.
pub async fn old_keys(conn: &mut SqliteConnection, until_ms: i64) -> Result<u64, RegistryError> {
    let gone = sqlx::query(
        "DELETE FROM impact_keys WHERE (tenant_id, incarnation, key) IN (
             SELECT tenant_id, incarnation, key FROM impact_keys WHERE created_at_ms <= ? LIMIT ?)",
    );
    Ok(gone.bind(until_ms).bind(STEP).execute(conn).await?.rows_affected())
}

/// Removes some anomalies of a user with their keys; none left: nothing removed.
pub async fn anomalies_of_user(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
) -> Result<Removed, RegistryError> {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT anomaly_id FROM uci_anomalies WHERE tenant_id = ? AND incarnation = ? AND user_key = ? LIMIT ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(user_key)
    .bind(STEP)
    .fetch_all(&mut *conn)
    .await?;
    // A key without its anomaly would refuse its impact for a day, and may itself name the user.
    let keys = sqlx::query(
        "DELETE FROM impact_keys WHERE tenant_id = ? AND incarnation = ?
             AND anomaly_id IN (SELECT value FROM json_each(?))",
    );
    let keys =
        keys.bind(tenant.id.get()).bind(tenant.incarnation).bind(serde_json::Value::from(ids.as_slice()).to_string());
    keys.execute(&mut *conn).await?;
    remove_anomalies(conn, &ids).await
}

/// Removes some alerts about a user; none left: 0.
pub async fn alerts_of_user(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
) -> Result<u64, RegistryError> {
    let gone = sqlx::query(
        "DELETE FROM alerts WHERE id IN (
             SELECT id FROM alerts WHERE tenant_id = ? AND incarnation = ? AND user_key = ? LIMIT ?)",
    );
    let gone = gone.bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).bind(STEP);
    Ok(gone.execute(conn).await?.rows_affected())
}

/// Removes a user whose anomalies and alerts are gone; false, and nothing, as long as there are some.
pub async fn user(conn: &mut SqliteConnection, tenant: TenantKey, user_key: &str) -> Result<bool, RegistryError> {
    let left: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM uci_anomalies WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3)
             OR EXISTS (SELECT 1 FROM alerts WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3)",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(user_key)
    .fetch_one(&mut *conn)
    .await?;
    if left {
        return Ok(false);
    }
    let gone = sqlx::query("DELETE FROM monitored_users WHERE tenant_id = ? AND incarnation = ? AND user_key = ?");
    gone.bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).execute(&mut *conn).await?;
    // A rule that names the user exactly is about the user too; one that is about nobody any more is gone.
    let names =
        "UPDATE reset_rules SET users = (SELECT json_group_array(value) FROM json_each(users) WHERE value <> ?3)
         WHERE tenant_id = ?1 AND incarnation = ?2 AND EXISTS (SELECT 1 FROM json_each(users) WHERE value = ?3)";
    for sql in
        [names, "DELETE FROM reset_rules WHERE tenant_id = ?1 AND incarnation = ?2 AND users = '[]' AND ?3 IS NOT NULL"]
    {
        sqlx::query(sql).bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).execute(&mut *conn).await?;
    }
    Ok(true)
}
