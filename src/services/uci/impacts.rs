//! Impacts: accepted one by one or in batches, each exactly once.

use super::error::UciError;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// An impact may lie this far ahead of the server's clock, in ms: 5 minutes.
pub const MAX_AHEAD_MS: i64 = 300_000;

/// A risk that a third party reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpactRequest {
    /// Whose score falls.
    pub user: String,
    /// Points to take off, 1 to 1000.
    pub score: i64,
    /// When it happened, ms since epoch.
    pub timestamp_ms: i64,
    /// Who reports it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// Makes a repeat within 24 hours return the first answer.
    pub idempotency_key: Option<String>,
}

/// An impact that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedImpact {
    /// The anomaly that it is.
    pub anomaly: UciAnomaly,
    /// Whether an earlier request with the same key stored it.
    pub replayed: bool,
}

impl Services {
    /// Accepts an impact. Success means: the anomaly, its alerts and the new score are durable, in one
    /// transaction; a crash before leaves nothing of it.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::KeyConflict`], [`UciError::Registry`]; nothing was stored then.
    pub async fn record_impact(&self, tenant: &Tenant, impact: ImpactRequest) -> Result<RecordedImpact, UciError> {
        todo!()
    }

    /// Accepts impacts in their order, each by itself: a refused one takes nothing of the others with it.
    /// Results are in the order of the requests, each with the meaning of [`Services::record_impact`].
    pub async fn record_impacts(
        &self,
        tenant: &Tenant,
        impacts: Vec<ImpactRequest>,
    ) -> Vec<Result<RecordedImpact, UciError>> {
        todo!()
    }
}
