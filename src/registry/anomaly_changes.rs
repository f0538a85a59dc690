//! Changes of anomalies: every one goes through [`modify`], so that none forgets the time of
//! modification, the history of the status or the evidence that it makes worthless.

use sqlx::{FromRow, SqliteConnection};

use super::anomalies::{Anomaly, NewAnomaly};
use super::rows::text_list;
use super::{RegistryError, evidence, modified_clock};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::domain::incident_group::category_key;
use crate::domain::tenant::TenantKey;
use crate::domain::user_key::user_key;

/// A change that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Modified {
    /// The anomaly as it is now.
    pub anomaly: Anomaly,
    /// Names of the fields that changed, as the API calls them.
    pub fields: Vec<&'static str>,
    /// Evidence file that is in use no more; to be deleted once the transaction is committed.
    pub old_evidence: Option<String>,
}

/// Fields in which two states of an anomaly differ.
#[derive(Debug, Default)]
struct Difference {
    fields: Vec<&'static str>,
    /// It matters to whoever handles the incident.
    significant: bool,
    /// Other activities belong to it, or the evidence names another category.
    evidence: bool,
}

impl Difference {
    fn between(old: &NewAnomaly, new: &NewAnomaly, status: bool) -> Self {
        let mut found = Self::default();
        let other_user = old.user.as_deref().map(user_key) != new.user.as_deref().map(user_key);
        for (field, changed, significant, evidence) in [
            ("status", status, true, false),
            ("user", old.user != new.user, other_user, other_user),
            ("from", old.from_ms != new.from_ms, true, true),
            ("to", old.to_ms != new.to_ms, true, true),
            ("where", old.where_sql != new.where_sql, true, true),
            ("score", old.score != new.score, true, false),
            ("category", old.category != new.category, true, true),
            ("source", old.source != new.source, false, false),
            ("reason", old.reason != new.reason, false, false),
            ("activity", old.activity != new.activity, false, false),
            ("value", old.value != new.value, false, false),
            ("serviceNames", old.service_names != new.service_names, false, false),
            ("instanceId", old.instance_id != new.instance_id, false, false),
            ("instanceName", old.instance_name != new.instance_name, false, false),
        ] {
            if changed {
                found.fields.push(field);
                found.significant |= significant;
                found.evidence |= evidence;
            }
        }
        found
    }
}

/// Brings an anomaly, as this transaction has read it, to new fields and a new status on behalf of
/// `principal`. `now_ms` is read inside the transaction. The time of creation never changes.
///
/// Returns none, and changes nothing, when it is in that state already. Where other activities belong to
/// it from now on, its evidence is pending again, failures included, and an attempt that is under way
/// will not be recorded.
pub async fn modify(
    conn: &mut SqliteConnection,
    before: &Anomaly,
    new: &NewAnomaly,
    status: IncidentStatus,
    principal: &str,
    now_ms: i64,
) -> Result<Option<Modified>, RegistryError> {
    let difference = Difference::between(&before.fields(), new, status != before.status);
    if difference.fields.is_empty() {
        return Ok(None);
    }
    let at_ms = modified_clock::stamp(conn, before.tenant, now_ms).await?;
    let anomaly: Anomaly = sqlx::query_as(
        "UPDATE anomalies SET user = ?, user_key = ?, from_ms = ?, to_ms = ?, where_sql = ?, score = ?, category = ?,
             category_key = ?, source = ?, reason = ?, activity = ?, value = ?, service_names = ?, instance_id = ?,
             instance_name = ?, status = ?, modified_at_ms = ?, significant_at_ms = ?
         WHERE id = ? RETURNING *",
    )
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
    .bind(status.as_str())
    .bind(at_ms)
    .bind(if difference.significant { at_ms } else { before.significant_at_ms })
    .bind(before.id.get())
    .fetch_one(&mut *conn)
    .await?;
    if status != before.status {
        sqlx::query(
            "INSERT INTO incident_history (anomaly_id, at_ms, principal, from_status, to_status) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(before.id.get())
        .bind(at_ms)
        .bind(principal)
        .bind(before.status.as_str())
        .bind(status.as_str())
        .execute(&mut *conn)
        .await?;
    }
    let old_evidence = if difference.evidence { evidence::reset(conn, before.tenant, before.id).await? } else { None };
    Ok(Some(Modified { anomaly, fields: difference.fields, old_evidence }))
}

/// One change of a status.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StatusStep {
    /// When, ms since epoch; the anomaly's time of modification at that change.
    pub at_ms: i64,
    /// Who.
    pub principal: String,
    /// What it was before.
    #[sqlx(rename = "from_status", try_from = "String")]
    pub from: IncidentStatus,
    /// What it was then.
    #[sqlx(rename = "to_status", try_from = "String")]
    pub to: IncidentStatus,
}

/// Changes of an anomaly's status, oldest first; none for those of other tenants.
pub async fn history(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Vec<StatusStep>, RegistryError> {
    let steps = sqlx::query_as(
        "SELECT h.* FROM anomalies a JOIN incident_history h ON h.anomaly_id = a.id
         WHERE a.id = ? AND a.tenant_id = ? AND a.incarnation = ? ORDER BY h.id",
    );
    Ok(steps.bind(id.get()).bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(conn).await?)
}
