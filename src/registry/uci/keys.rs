//! Idempotency keys of impacts: a repeated impact gets the first one's answer and takes no points.

use sqlx::SqliteConnection;

use crate::domain::anomaly::AnomalyId;
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;
use crate::registry::RegistryError;
use crate::registry::rows::decode_error;

/// How long a key is remembered, in ms: 24 hours.
pub const IMPACT_KEY_LIFETIME_MS: i64 = DAY_MS;

/// A caller's key with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpactKey {
    /// The key.
    pub key: String,
    /// SHA-256 of the impact; the same key with another one is a conflict.
    pub body_hash: [u8; 32],
}

/// A remembered key.
pub(super) struct RememberedImpact {
    pub(super) body_hash: Vec<u8>,
    pub(super) anomaly_id: AnomalyId,
}

/// The key if it is remembered and not older than [`IMPACT_KEY_LIFETIME_MS`].
pub(super) async fn find(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: &str,
    now_ms: i64,
) -> Result<Option<RememberedImpact>, RegistryError> {
    let found: Option<(Vec<u8>, i64)> = sqlx::query_as(
        "SELECT body_hash, anomaly_id FROM impact_keys
         WHERE tenant_id = ? AND incarnation = ? AND key = ? AND created_at_ms > ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(key)
    .bind(now_ms - IMPACT_KEY_LIFETIME_MS)
    .fetch_optional(conn)
    .await?;
    let Some((body_hash, id)) = found else { return Ok(None) };
    let anomaly_id = AnomalyId::try_from(id).map_err(|error| decode_error("anomaly_id", error))?;
    Ok(Some(RememberedImpact { body_hash, anomaly_id }))
}

/// Remembers a key; one that has expired is taken over.
pub(super) async fn put(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: &ImpactKey,
    id: AnomalyId,
    now_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO impact_keys (tenant_id, incarnation, key, body_hash, anomaly_id, created_at_ms)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash, anomaly_id = excluded.anomaly_id,
             created_at_ms = excluded.created_at_ms",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(&key.key)
    .bind(key.body_hash.as_slice())
    .bind(id.get())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}
