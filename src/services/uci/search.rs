//! Anomalies of the index: one by its id, pages by filters.

use super::error::UciError;
use crate::domain::anomaly::AnomalyId;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// Most rows of a page.
pub const MAX_PAGE: i64 = 10_000;

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

impl Services {
    /// The tenant's anomaly of this id, when it is one of the index.
    ///
    /// # Errors
    /// [`UciError::UnknownAnomaly`], also for those of other tenants; [`UciError::Registry`].
    pub async fn uci_anomaly(&self, tenant: &Tenant, id: AnomalyId) -> Result<UciAnomaly, UciError> {
        todo!()
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
        todo!()
    }
}
