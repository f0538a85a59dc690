//! What an impact finds: whether it was sent before, its user, the tenant's clock.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::keys::{IMPACT_KEY_LIFETIME_MS, RememberedImpact};
use super::users::MonitoredUser;
use crate::domain::anomaly::AnomalyId;
use crate::domain::modified_clock::ModifiedClock;
use crate::domain::tenant::TenantKey;
use crate::registry::RegistryError;
use crate::registry::rows::decode_error;

/// The state before an impact, read in one trip.
pub(super) struct Before {
    /// The impact's key, if it is remembered and not older than [`IMPACT_KEY_LIFETIME_MS`].
    pub(super) key: Option<RememberedImpact>,
    /// Its user, when known.
    pub(super) user: Option<MonitoredUser>,
    /// The tenant's clock of modifications.
    pub(super) clock: ModifiedClock,
}

impl FromRow<'_, SqliteRow> for Before {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let key = match (row.try_get("key_hash")?, row.try_get::<Option<i64>, _>("key_anomaly")?) {
            (Some(body_hash), Some(id)) => {
                let anomaly_id = AnomalyId::try_from(id).map_err(|error| decode_error("anomaly_id", error))?;
                Some(RememberedImpact { body_hash, anomaly_id })
            }
            _ => None,
        };
        let known: Option<String> = row.try_get("user_key")?;
        let user = known.map(|_| MonitoredUser::from_row(row)).transpose()?;
        let clock = match (row.try_get("last_ms")?, row.try_get("used")?) {
            (Some(last_ms), Some(times)) => ModifiedClock { last_ms, used: times },
            _ => ModifiedClock::default(),
        };
        Ok(Self { key, user, clock })
    }
}

/// Reads it. Cost: three look-ups by key.
pub(super) async fn read(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: Option<&str>,
    user_key: &str,
    now_ms: i64,
) -> Result<Before, RegistryError> {
    let before = sqlx::query_as(
        "SELECT k.body_hash AS key_hash, k.anomaly_id AS key_anomaly, c.last_ms, c.used, u.*
         FROM (SELECT ?1 AS tenant_id, ?2 AS incarnation) t
         LEFT JOIN impact_keys k
             ON k.tenant_id = t.tenant_id AND k.incarnation = t.incarnation AND k.key = ?3 AND k.created_at_ms > ?4
         LEFT JOIN modified_clock c ON c.tenant_id = t.tenant_id AND c.incarnation = t.incarnation
         LEFT JOIN monitored_users u ON u.tenant_id = t.tenant_id AND u.incarnation = t.incarnation AND u.user_key = ?5",
    );
    let before = before.bind(tenant.id.get()).bind(tenant.incarnation).bind(key);
    Ok(before.bind(now_ms - IMPACT_KEY_LIFETIME_MS).bind(user_key).fetch_one(conn).await?)
}
