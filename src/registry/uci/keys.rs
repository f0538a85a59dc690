//! Idempotency keys of impacts: a repeated impact gets the first one's answer and takes no points.

use crate::domain::anomaly::AnomalyId;
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;
use crate::registry::writes::Writes;

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

/// Remembers a key; one that has expired is taken over.
pub(super) fn put(writes: &mut Writes, tenant: TenantKey, key: &ImpactKey, id: AnomalyId, now_ms: i64) {
    writes
        .row("INSERT INTO impact_keys (tenant_id, incarnation, key, body_hash, anomaly_id, created_at_ms)")
        .value(tenant.id.get())
        .value(tenant.incarnation)
        .value(key.key.clone())
        .value(key.body_hash.to_vec())
        .value(id.get())
        .value(now_ms)
        .end(
            "ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash, anomaly_id = excluded.anomaly_id,
                 created_at_ms = excluded.created_at_ms",
        );
}
