//! Checking the lake.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::watched::watched;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::services::Services;
use crate::services::meter::Meter;

/// What to check.
#[derive(Debug, Deserialize)]
pub struct CheckParams {
    /// One tenant; all when absent.
    tenant: Option<TenantId>,
    /// Whether to read every byte, page and row.
    #[serde(default)]
    deep: bool,
}

/// Checks one tenant or all; the answer's last line holds the report.
pub async fn check_lake(State(services): State<Arc<Services>>, Query(params): Query<CheckParams>) -> Response {
    let meter = Arc::<Meter>::default();
    let watch = Arc::clone(&meter);
    watched(meter, async move {
        let report = services.check_lake(params.tenant, params.deep, &watch).await;
        report.map_err(ApiError::from)
    })
}
