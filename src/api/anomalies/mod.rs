//! Anomalies: created, changed, listed, shown, and their activities as of now.

pub mod create_anomaly;
pub mod get_anomaly;
pub mod get_anomaly_activities;
pub mod list_anomalies;
pub mod model;
pub mod modify_anomaly;

use super::error::ApiError;
use crate::domain::anomaly::AnomalyId;
use crate::registry::anomalies::Anomaly;
use crate::registry::evidence::Evidence;
use crate::registry::tenants::Tenant;
use crate::services::Services;

/// The anomaly that a path names, in any spelling.
///
/// # Errors
/// `404`, the same for an unknown id, another tenant's, and a text that is no id.
async fn find(services: &Services, tenant: &Tenant, text: &str) -> Result<(Anomaly, Option<Evidence>), ApiError> {
    let unknown = || ApiError::not_found("there is no such anomaly").with_target("id");
    let id: AnomalyId = text.parse().map_err(|_| unknown())?;
    services.anomaly(tenant, id).await?.ok_or_else(unknown)
}
