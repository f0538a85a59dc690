//! `GET /api/v1/anomalies/{id}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::model::AnomalyModel;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Shows an anomaly, the state of its evidence and the history of its status.
#[utoipa::path(
    get, path = "/api/v1/anomalies/{id}", operation_id = "get_anomaly", tag = "anomalies",
    params(("id" = String, Path, description = "`42`, `ANO-42` or the 24 hex digits", example = "ANO-42")),
    responses(
        CallerErrors,
        (status = 200, description = "The anomaly", body = AnomalyModel),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ErrorBody),
        (status = 404, description = "No such anomaly in this tenant", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_anomaly(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AnomaliesRead)?;
    let (anomaly, evidence) = super::find(&services, &caller.tenant, &id).await?;
    let history = services.status_history(&caller.tenant, anomaly.id).await?;
    let model = AnomalyModel::new(&services, &caller.tenant, anomaly, evidence.as_ref()).with_history(history);
    body::answer(StatusCode::OK, &model)
}
