//! `GET /api/v1/anomalies`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::model::AnomalyModel;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::domain::principal::Scope;
use crate::services::Services;

/// Most anomalies of a page.
pub const MAX_LIMIT: u32 = 1000;

/// Parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only anomalies with a lower number; `next` of the page before.
    before: Option<String>,
    /// Only anomalies of this status, for example `new` or `false positive`.
    status: Option<String>,
    /// Most anomalies of the page, 1 to 1000; 100 by default.
    limit: Option<u32>,
}

/// A page of anomalies, highest number first.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AnomalyPage {
    /// The anomalies.
    pub anomalies: Vec<AnomalyModel>,
    /// `before` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Lists anomalies, highest number first.
#[utoipa::path(
    get, path = "/api/v1/anomalies", operation_id = "list_anomalies", tag = "anomalies",
    params(ListParams),
    responses(
        CallerErrors,
        (status = 200, description = "A page", body = AnomalyPage),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_anomalies(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<ListParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AnomaliesRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::bad_request("bad_value", "limit", format!("limit must be 1 to {MAX_LIMIT}")));
    }
    let before = params.before.as_deref().map(str::parse::<AnomalyId>).transpose();
    let before = before.map_err(|e| ApiError::bad_request("bad_value", "before", e.to_string()))?;
    let status = params.status.as_deref().map(str::parse::<IncidentStatus>).transpose();
    let status = status.map_err(|e| ApiError::bad_request("bad_value", "status", e.to_string()))?;
    let mut page = services.list_anomalies(&caller.tenant, before, status, limit + 1).await?;
    let more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page.last().filter(|_| more).map(|(anomaly, _)| anomaly.id.to_string());
    let anomalies = page
        .into_iter()
        .map(|(anomaly, evidence)| AnomalyModel::new(&services, &caller.tenant, anomaly, evidence.as_ref()))
        .collect();
    body::answer(StatusCode::OK, &AnomalyPage { anomalies, next })
}
