//! Searches among the anomalies of the index.

use sqlx::{Connection, QueryBuilder, Sqlite, SqliteConnection};

use super::records::{UciActivity, UciAnomaly};
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;
use crate::registry::RegistryError;
use crate::registry::rows::text_list;

/// Up to so many matches are looked up along the filter's index and then sorted; of more, a page is found sooner
/// along the ids.
const SORTED_UP_TO: i64 = 50_000;

/// Which anomalies; all conditions hold at once. An empty list matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFilter {
    /// What they record, any of these.
    pub activities: Vec<UciActivity>,
    /// Keys of users, any of these.
    pub user_keys: Option<Vec<String>>,
    /// Sources, any of these.
    pub sources: Option<Vec<String>>,
    /// Ids, any of these.
    pub ids: Option<Vec<AnomalyId>>,
    /// First ms of their time, since epoch.
    pub start_ms: i64,
    /// First ms after the range, since epoch; `i64::MAX` for no end.
    pub end_ms: i64,
}

/// Order of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordOrder {
    /// As accepted.
    Accepted,
    /// By time, earliest first.
    TimeAscending,
    /// By time, latest first.
    TimeDescending,
}

/// The index that finds a filter's matches.
fn index(filter: &RecordFilter) -> &'static str {
    if filter.ids.is_some() {
        // By row: left to itself, the planner reads all of the tenant along the times.
        " NOT INDEXED"
    } else if filter.user_keys.is_some() {
        " INDEXED BY uci_anomalies_by_user"
    } else if filter.sources.is_some() {
        " INDEXED BY uci_anomalies_by_source"
    } else {
        " INDEXED BY uci_anomalies_by_time"
    }
}

fn one_of(query: &mut QueryBuilder<Sqlite>, column: &str, json: String) {
    query.push(format_args!(" AND {column} IN (SELECT value FROM json_each(")).push_bind(json).push("))");
}

/// The table, to be read along an index, with the conditions.
fn from(query: &mut QueryBuilder<Sqlite>, index: &str, tenant: TenantKey, filter: &RecordFilter) {
    query.push(" FROM uci_anomalies").push(index).push(" WHERE tenant_id = ").push_bind(tenant.id.get());
    query.push(" AND incarnation = ").push_bind(tenant.incarnation);
    if let Some(ids) = &filter.ids {
        let ids = serde_json::Value::from(ids.iter().map(|id| id.get()).collect::<Vec<_>>());
        one_of(query, "anomaly_id", ids.to_string());
    }
    if let Some(keys) = &filter.user_keys {
        one_of(query, "user_key", text_list(keys));
    }
    if let Some(sources) = &filter.sources {
        one_of(query, "source", text_list(sources));
    }
    let activities: Vec<&str> = filter.activities.iter().map(|activity| activity.stored()).collect();
    one_of(query, "activity", text_list(&activities));
    query.push(" AND time_ms >= ").push_bind(filter.start_ms);
    if filter.end_ms < i64::MAX {
        query.push(" AND time_ms < ").push_bind(filter.end_ms);
    }
}

/// The statement of a page, with its values.
pub(super) fn page_query(
    tenant: TenantKey,
    filter: &RecordFilter,
    order: RecordOrder,
    total: i64,
    offset: i64,
    limit: i64,
) -> QueryBuilder<Sqlite> {
    let (ordered, along_ids) = match order {
        RecordOrder::Accepted => ("anomaly_id", total > SORTED_UP_TO),
        RecordOrder::TimeAscending => ("time_ms, anomaly_id", false),
        RecordOrder::TimeDescending => ("time_ms DESC, anomaly_id DESC", false),
    };
    let index = if along_ids { " INDEXED BY uci_anomalies_by_tenant" } else { index(filter) };
    let mut query = QueryBuilder::new("WITH page AS MATERIALIZED (SELECT anomaly_id, time_ms");
    from(&mut query, index, tenant, filter);
    query.push(format_args!(" ORDER BY {ordered} LIMIT ")).push_bind(limit).push(" OFFSET ").push_bind(offset);
    // CROSS JOIN fixes the order of the loops: the page outside, its rows inside.
    query.push(") SELECT r.* FROM page CROSS JOIN uci_records r ON r.anomaly_id = page.anomaly_id ORDER BY ");
    query.push(match order {
        RecordOrder::Accepted => "page.anomaly_id",
        RecordOrder::TimeAscending => "page.time_ms, page.anomaly_id",
        RecordOrder::TimeDescending => "page.time_ms DESC, page.anomaly_id DESC",
    });
    query
}

/// The statement that counts all matches, with its values.
pub(super) fn count_query(tenant: TenantKey, filter: &RecordFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT COUNT(*)");
    from(&mut query, index(filter), tenant, filter);
    query
}

/// A page of the matches, and how many there are in all, as of one moment.
///
/// Cost: the matches once in an index to count them, and once more to sort them; the rows of the page. When
/// very many match, the ids up to the end of the page instead.
pub async fn page(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    filter: &RecordFilter,
    order: RecordOrder,
    offset: i64,
    limit: i64,
) -> Result<(i64, Vec<UciAnomaly>), RegistryError> {
    let mut moment = conn.begin().await?;
    let total: i64 = count_query(tenant, filter).build_query_scalar().fetch_one(&mut *moment).await?;
    let rows = if offset >= total {
        Vec::new()
    } else {
        let mut query = page_query(tenant, filter, order, total, offset, limit);
        query.build_query_as().fetch_all(&mut *moment).await?
    };
    moment.rollback().await?;
    Ok((total, rows))
}
