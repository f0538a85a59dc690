//! Alerts: made with what they tell of, never changed, kept for 90 days.

use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;
use crate::domain::uci::alert::{AlertId, AlertName};
use crate::domain::uci::alert_filter::{ALERT_TYPE, AlertField, AlertFilter};
use crate::domain::uci::band::UciSeverity;
use crate::domain::user_key::user_key;
use crate::registry::RegistryError;
use crate::registry::rows::text_list;
use crate::registry::writes::Writes;

/// An alert; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Alert {
    /// Its place in the order of all alerts.
    #[sqlx(try_from = "i64")]
    pub id: AlertId,
    /// What it tells.
    #[sqlx(try_from = "String")]
    pub name: AlertName,
    /// When it was made, ms since epoch; never falls along the order.
    pub made_at_ms: i64,
    /// The anomaly that caused it; none when time alone did.
    #[sqlx(try_from = "CauseId")]
    pub anomaly_id: Option<AnomalyId>,
    /// The user in the spelling first seen.
    pub user: String,
    /// The form of `user` that matching uses.
    pub user_key: String,
    /// Activity of the anomaly; empty without one.
    pub activity: String,
    /// How grave it is.
    #[sqlx(try_from = "String")]
    pub severity: UciSeverity,
    /// Points that the impact took off or, for the other names, by which the score changed.
    pub points: i64,
    /// The score after the change.
    pub score: i64,
    /// Source of the anomaly; empty without one.
    pub source: String,
    /// Reason of the anomaly; without one, what happened.
    pub reason: String,
}

/// Number of the anomaly behind an alert.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
struct CauseId(Option<i64>);

impl TryFrom<CauseId> for Option<AnomalyId> {
    type Error = crate::domain::anomaly::InvalidAnomalyId;

    fn try_from(id: CauseId) -> Result<Self, Self::Error> {
        id.0.map(AnomalyId::try_from).transpose()
    }
}

/// Stores an alert; its number is given then.
pub(super) fn put(writes: &mut Writes, tenant: TenantKey, alert: &Alert) {
    writes
        .row(
            "INSERT INTO alerts (tenant_id, incarnation, made_at_ms, name, anomaly_id, user_key, user, activity, severity, points,
                 score, source, reason)",
        )
        .value(tenant.id.get())
        .value(tenant.incarnation)
        .value(alert.made_at_ms)
        .value(alert.name.as_str())
        .value(alert.anomaly_id.map(AnomalyId::get))
        .value(alert.user_key.clone())
        .value(alert.user.clone())
        .value(alert.activity.clone())
        .value(alert.severity.as_str())
        .value(alert.points)
        .value(alert.score)
        .value(alert.source.clone())
        .value(alert.reason.clone())
        .end("");
}

fn one_of(query: &mut QueryBuilder<Sqlite>, column: &str, values: &[String]) {
    query.push(format_args!(" AND {column} IN (SELECT value FROM json_each(")).push_bind(text_list(values)).push("))");
}

/// The index that finds a filter's matches; left to itself, the planner reads all alerts along their times.
fn index(filter: &AlertFilter) -> &'static str {
    let asks = |field| filter.conditions.iter().any(|condition| condition.field == field);
    if asks(AlertField::AlertId) {
        // By row.
        " NOT INDEXED"
    } else if asks(AlertField::User) {
        " INDEXED BY alerts_by_user"
    } else {
        " INDEXED BY alerts_by_time"
    }
}

fn conditions(query: &mut QueryBuilder<Sqlite>, tenant: TenantKey, filter: &AlertFilter, kept_since_ms: i64) {
    query.push(" FROM alerts").push(index(filter)).push(" WHERE tenant_id = ").push_bind(tenant.id.get());
    query.push(" AND incarnation = ").push_bind(tenant.incarnation);
    let start_ms = filter.start_ms.map_or(kept_since_ms, |start_ms| start_ms.max(kept_since_ms));
    query.push(" AND made_at_ms >= ").push_bind(start_ms);
    if let Some(end_ms) = filter.end_ms {
        query.push(" AND made_at_ms < ").push_bind(end_ms);
    }
    for condition in &filter.conditions {
        let values = &condition.values;
        match condition.field {
            AlertField::AlertType if values.iter().any(|value| value == ALERT_TYPE) => {}
            AlertField::AlertType => {
                query.push(" AND FALSE");
            }
            AlertField::AlertName => one_of(query, "name", values),
            AlertField::AlertId => {
                let ids: Vec<i64> = values.iter().filter_map(|v| AlertId::from_hex(v)).map(AlertId::get).collect();
                let ids = serde_json::Value::from(ids).to_string();
                query.push(" AND id IN (SELECT value FROM json_each(").push_bind(ids).push("))");
            }
            AlertField::User => {
                let keys: Vec<String> = values.iter().map(|value| user_key(value)).collect();
                one_of(query, "user_key", &keys);
            }
            AlertField::Activity => one_of(query, "activity", values),
            AlertField::Severity => one_of(query, "severity", values),
            AlertField::Source => one_of(query, "source", values),
        }
    }
}

/// The statement of a page, with its values.
pub(super) fn page_query(
    tenant: TenantKey,
    filter: &AlertFilter,
    kept_since_ms: i64,
    offset: i64,
    limit: i64,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT *");
    conditions(&mut query, tenant, filter, kept_since_ms);
    query.push(" ORDER BY made_at_ms, id LIMIT ").push_bind(limit).push(" OFFSET ").push_bind(offset);
    query
}

/// Alerts that match and were made at `kept_since_ms` or later, in the order in which they were made.
pub async fn page(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    filter: &AlertFilter,
    kept_since_ms: i64,
    offset: i64,
    limit: i64,
) -> Result<Vec<Alert>, RegistryError> {
    let mut query = page_query(tenant, filter, kept_since_ms, offset, limit);
    Ok(query.build_query_as().fetch_all(conn).await?)
}

/// How many alerts match, as in [`page`].
pub async fn count(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    filter: &AlertFilter,
    kept_since_ms: i64,
) -> Result<i64, RegistryError> {
    let mut query = QueryBuilder::new("SELECT COUNT(*)");
    conditions(&mut query, tenant, filter, kept_since_ms);
    Ok(query.build_query_scalar().fetch_one(conn).await?)
}
