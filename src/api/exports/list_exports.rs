//! `GET /api/v1/exports`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::model::ExportModel;
use super::viewer;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Most exports of a page.
pub const MAX_LIMIT: u32 = 1000;

/// Parameters of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Only exports with a lower number; `next` of the page before.
    before: Option<i64>,
    /// Most exports of the page, 1 to 1000; 100 by default.
    limit: Option<u32>,
}

/// A page of exports, highest number first.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExportPage {
    /// The exports.
    pub exports: Vec<ExportModel>,
    /// `before` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Lists the caller's exports, highest number first; with the scope `admin` all of the tenant's.
#[utoipa::path(
    get, path = "/api/v1/exports", operation_id = "list_exports", tag = "exports",
    params(ListParams),
    responses(
        CallerErrors,
        (status = 200, description = "A page", body = ExportPage),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_exports(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<ListParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::SqlRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::bad_request("bad_value", "limit", format!("limit must be 1 to {MAX_LIMIT}")));
    }
    let mut page = services.list_saved_exports(&caller.tenant, viewer(&caller), params.before, limit + 1).await?;
    let more = page.len() > limit as usize;
    page.truncate(limit as usize);
    let next = page.last().filter(|_| more).map(|export| export.id);
    let exports = page.into_iter().map(|export| ExportModel::new(&services, export)).collect();
    body::answer(StatusCode::OK, &ExportPage { exports, next })
}
