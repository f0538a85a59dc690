//! Incidents: anomalies as the incidents API asks for them.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use sqlx::{FromRow, QueryBuilder, Sqlite, SqliteConnection};

use super::RegistryError;
use super::anomalies::Anomaly;
use super::rows::text_list;
use crate::domain::incident_group::{CategoryFilter, GroupPrefix, IncidentGroup};
use crate::domain::modified_clock::page_takes;
use crate::domain::tenant::TenantKey;

/// Most incidents of one page that share its last ms. Times of modification stay far below, but callers
/// choose times of creation, and a page must not grow without bound.
const MAX_TOGETHER: usize = 20_000;

/// Which of an incident's times a range and a page go by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SelectedTime {
    /// When it was created.
    Created,
    /// When it was last modified.
    #[default]
    Modified,
}

impl SelectedTime {
    /// The incident's time.
    #[must_use]
    pub const fn of(self, anomaly: &Anomaly) -> i64 {
        match self {
            Self::Created => anomaly.created_at_ms,
            Self::Modified => anomaly.modified_at_ms,
        }
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Created => "a.created_at_ms",
            Self::Modified => "a.modified_at_ms",
        }
    }
}

/// Which incidents. An empty list filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// The time that the range is about.
    pub selected: SelectedTime,
    /// First ms of the range.
    pub start_ms: Option<i64>,
    /// First ms after the range.
    pub end_ms: Option<i64>,
    /// Users, in the form that matching uses; any of them.
    pub user_keys: Vec<String>,
    /// Services, in their own case; any of them.
    pub service_names: Vec<String>,
    /// Prefixes of the group's name; any of them.
    pub groups: Vec<GroupPrefix>,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct Incident {
    /// Its anomaly.
    #[sqlx(flatten)]
    pub anomaly: Anomaly,
    /// Activities in its evidence; none as long as there is no evidence.
    pub activity_count: Option<i64>,
}

/// How often a group occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCount {
    /// The group.
    pub group: &'static IncidentGroup,
    /// Incidents in it, at least 1.
    pub count: i64,
}

/// Failure of a page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// So many incidents have one time that no page can hold them whole.
    #[error("more than {MAX_TOGETHER} incidents share one time of creation; select by LAST_MODIFIED_AT")]
    TooManyTogether,
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> Self {
        Self::Registry(error.into())
    }
}

/// Adds tables and conditions. Lists go in as one JSON array each: their length is the caller's.
fn conditions(query: &mut QueryBuilder<Sqlite>, tenant: TenantKey, filter: &IncidentFilter, closed_before_ms: i64) {
    query.push(" FROM anomalies a LEFT JOIN evidence e ON e.anomaly_id = a.id WHERE a.tenant_id = ");
    query.push_bind(tenant.id.get()).push(" AND a.incarnation = ").push_bind(tenant.incarnation);
    // Without the plus, a range by creation might run along the index of modifications and be sorted.
    let closed = if filter.selected == SelectedTime::Created { " AND +a." } else { " AND a." };
    query.push(closed).push("modified_at_ms < ").push_bind(closed_before_ms);
    let time = filter.selected.column();
    if let Some(start_ms) = filter.start_ms {
        query.push(format_args!(" AND {time} >= ")).push_bind(start_ms);
    }
    if let Some(end_ms) = filter.end_ms {
        query.push(format_args!(" AND {time} < ")).push_bind(end_ms);
    }
    if !filter.user_keys.is_empty() {
        query.push(" AND a.user_key IN (SELECT value FROM json_each(").push_bind(text_list(&filter.user_keys));
        query.push("))");
    }
    if !filter.service_names.is_empty() {
        query.push(
            " AND EXISTS (SELECT 1 FROM json_each(a.service_names) s WHERE s.value IN (SELECT value FROM json_each(",
        );
        query.push_bind(text_list(&filter.service_names)).push(")))");
    }
    if !filter.groups.is_empty() {
        let categories = CategoryFilter::of_prefixes(&filter.groups);
        query.push(" AND (a.category_key IN (SELECT value FROM json_each(").push_bind(text_list(&categories.keys));
        query.push("))");
        if categories.unknown {
            query.push(" OR a.category_key IS NULL OR a.category_key NOT IN (SELECT value FROM json_each(");
            query.push_bind(text_list(&CategoryFilter::known_keys())).push("))");
        }
        query.push(")");
    }
}

/// The statement of [`page`], with its values.
pub(super) fn page_query(tenant: TenantKey, filter: &IncidentFilter, closed_before_ms: i64) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT a.*, e.rows AS activity_count");
    conditions(&mut query, tenant, filter, closed_before_ms);
    query.push(format_args!(" ORDER BY {}, a.id", filter.selected.column()));
    query
}

/// A page of incidents that were modified before a closed ms, ascending by the selected time and then by
/// id; cut by [`page_takes`]. The rows come from one statement, so from one moment.
///
/// Cost: the rows of the page, as long as the filter lets many through; else of the range.
pub async fn page(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    filter: &IncidentFilter,
    closed_before_ms: i64,
    limit: usize,
) -> Result<Vec<Incident>, PageError> {
    let mut query = page_query(tenant, filter, closed_before_ms);
    let mut rows = query.build_query_as::<Incident>().fetch(conn);
    let mut page: Vec<Incident> = Vec::new();
    while let Some(next) = rows.try_next().await? {
        let last_ms = page.last().map(|last| filter.selected.of(&last.anomaly));
        if !page_takes(limit, page.len(), last_ms, filter.selected.of(&next.anomaly)) {
            break;
        }
        if page.len() >= limit + MAX_TOGETHER {
            return Err(PageError::TooManyTogether);
        }
        page.push(next);
    }
    Ok(page)
}

/// Groups that occur among the incidents, by id, and the latest selected time among them.
pub async fn count_groups(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    filter: &IncidentFilter,
    closed_before_ms: i64,
) -> Result<(Vec<GroupCount>, Option<i64>), RegistryError> {
    let mut query = QueryBuilder::new("SELECT a.category_key, COUNT(*), MAX(");
    query.push(filter.selected.column()).push(")");
    conditions(&mut query, tenant, filter, closed_before_ms);
    query.push(" GROUP BY a.category_key");
    let mut rows = query.build_query_as::<(Option<String>, i64, i64)>().fetch(conn);
    let mut counts = BTreeMap::new();
    let mut last_ms = None;
    while let Some((key, count, latest_ms)) = rows.try_next().await? {
        let group = IncidentGroup::of_category_key(key.as_deref());
        counts.entry(group.id).or_insert(GroupCount { group, count: 0 }).count += count;
        last_ms = last_ms.max(Some(latest_ms));
    }
    Ok((counts.into_values().collect(), last_ms))
}
