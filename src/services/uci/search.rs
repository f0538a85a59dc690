//! Anomalies of the index: one by its id, pages by filters.

use std::sync::Arc;

use super::error::{UciError, field};
use crate::domain::anomaly::AnomalyId;
use crate::domain::day::DAY_MS;
use crate::domain::user_key::user_key;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::{self, UciActivity, UciAnomaly};
use crate::registry::uci::search::{RecordFilter, RecordOrder, page};
use crate::services::Services;

/// Most rows of a page.
pub const MAX_PAGE: i64 = 10_000;

/// How far back searches see, in ms of an anomaly's time: 90 days.
const HORIZON_MS: i64 = 90 * DAY_MS;

/// Filters of a search, as the wire has them; checked by [`Services::search_uci_anomalies`]. An empty list
/// matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFilters {
    /// Users in any spelling; any of them.
    pub users: Option<Vec<String>>,
    /// Sources, exactly; any of them.
    pub sources: Option<Vec<String>>,
    /// First ms of the anomaly's time, since epoch; goes with `end_ms`.
    pub start_ms: Option<i64>,
    /// First ms after the range.
    pub end_ms: Option<i64>,
    /// Ids in any spelling, any of them; texts that are no ids match nothing. Goes with no other filter.
    pub anomaly_ids: Option<Vec<String>>,
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    /// Only anomalies of this activity, exactly.
    pub activity: Option<String>,
    /// What they must match.
    pub filters: SearchFilters,
    /// Rows to skip; at least 0.
    pub offset: i64,
    /// Most rows, 1 to [`MAX_PAGE`].
    pub limit: i64,
}

/// Rows and how many there are without offset and limit, both as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// Rows that match.
    pub total: i64,
    /// The rows of this page.
    pub rows: Vec<T>,
}

/// Refuses a page outside of the bounds.
pub(super) fn check_page(offset: i64, limit: i64) -> Result<(), UciError> {
    if offset < 0 {
        return Err(field("offset", "must be at least 0"));
    }
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(field("limit", format!("must be from 1 to {MAX_PAGE}, not {limit}")));
    }
    Ok(())
}

/// First ms that a search sees.
pub(super) const fn horizon(now_ms: i64) -> i64 {
    now_ms.saturating_sub(HORIZON_MS)
}

pub(super) fn user_keys(users: &[String]) -> Vec<String> {
    users.iter().map(|user| user_key(user)).collect()
}

impl SearchFilters {
    fn checked(self, activity: Option<&str>, now_ms: i64) -> Result<RecordFilter, UciError> {
        let others = self.users.is_some() || self.sources.is_some() || self.start_ms.is_some() || self.end_ms.is_some();
        if self.anomaly_ids.is_some() && others {
            return Err(field("anomalyId", "cannot be combined with other filters; use it alone or leave it out"));
        }
        let (start_ms, end_ms) = match (self.start_ms, self.end_ms) {
            (None, None) => (i64::MIN, i64::MAX),
            (Some(start_ms), Some(end_ms)) => (start_ms, end_ms),
            (Some(_), None) => return Err(field("endTime", "is needed with startTime")),
            (None, Some(_)) => return Err(field("startTime", "is needed with endTime")),
        };
        let activities = match activity {
            None => UciActivity::ALL.to_vec(),
            Some(text) => UciActivity::of_text(text).into_iter().collect(),
        };
        let ids = self.anomaly_ids.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect());
        Ok(RecordFilter {
            activities,
            user_keys: self.users.as_deref().map(user_keys),
            sources: self.sources,
            ids,
            start_ms: start_ms.max(horizon(now_ms)),
            end_ms,
        })
    }
}

impl Services {
    /// The tenant's anomaly of this id, when it is one of the index.
    ///
    /// # Errors
    /// [`UciError::UnknownAnomaly`], also for those of other tenants; [`UciError::Registry`].
    pub async fn uci_anomaly(&self, tenant: &Tenant, id: AnomalyId) -> Result<UciAnomaly, UciError> {
        let found = records::get(&mut *self.registry.read().await?, tenant.key, id).await?;
        found.ok_or(UciError::UnknownAnomaly)
    }

    /// A page of anomalies with a time within the last 90 days, in the order in which they were accepted,
    /// which is that of creation time and id. Nothing is added before a row that was seen.
    ///
    /// # Errors
    /// [`UciError::Field`] for a wrong request, [`UciError::Registry`].
    pub async fn search_uci_anomalies(
        &self,
        tenant: &Tenant,
        request: SearchRequest,
    ) -> Result<Page<UciAnomaly>, UciError> {
        let SearchRequest { activity, filters, offset, limit } = request;
        check_page(offset, limit)?;
        let filter = filters.checked(activity.as_deref(), self.clock.now_ms())?;
        self.record_page(tenant, filter, RecordOrder::Accepted, offset, limit).await
    }

    pub(super) async fn record_page(
        &self,
        tenant: &Tenant,
        filter: RecordFilter,
        order: RecordOrder,
        offset: i64,
        limit: i64,
    ) -> Result<Page<UciAnomaly>, UciError> {
        let (registry, key) = (Arc::clone(&self.registry), tenant.key);
        let read = self.cpu.spawn(async move {
            let mut conn = registry.read().await?;
            let (total, rows) = page(&mut conn, key, &filter, order, offset, limit).await?;
            Ok::<_, UciError>(Page { total, rows })
        });
        read.await?
    }
}
