//! Allowing an impact: its points come back, the anomaly is flagged, the alert stays.

use super::error::UciError;
use crate::domain::anomaly::AnomalyId;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;
use crate::services::auth::Actor;

impl Services {
    /// Allows an impact; a repeat changes nothing and keeps the first reason. Success means: durable, with
    /// the new score and an audit entry.
    ///
    /// # Errors
    /// [`UciError::UnknownAnomaly`], [`UciError::NotAnImpact`], [`UciError::Field`], [`UciError::Registry`].
    pub async fn allow_impact(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        id: AnomalyId,
        reason: Option<String>,
    ) -> Result<UciAnomaly, UciError> {
        todo!()
    }
}
