//! `GET /api/v2/incidents/anomalies/{anomalyId}`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::error::{UciCallerErrors, UciErrorBody};
use super::model::UciAnomalyModel;
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::services::Services;

/// Shows an impact or a reset.
#[utoipa::path(
    get, path = "/api/v2/incidents/anomalies/{anomalyId}", operation_id = "get_uci_anomaly", tag = "uci",
    params(("anomalyId" = String, Path, description = "The 24 hex digits, `42` or `ANO-42`", example = "a1000000000000000000002a")),
    responses(
        UciCallerErrors,
        (status = 200, description = "The anomaly", body = UciAnomalyModel),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
        (status = 404, description = "No such anomaly in this tenant's index", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_uci_anomaly(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let anomaly = services.uci_anomaly(&caller.tenant, super::anomaly_id(id)?).await?;
    body::answer(StatusCode::OK, &UciAnomalyModel::from(anomaly))
}
