//! `GET /api/v1/exports/{id}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::model::ExportModel;
use super::{id, viewer};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Shows an export and how far it is.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}", operation_id = "get_export", tag = "exports",
    params(("id" = String, Path, description = "Number of the export", example = "17")),
    responses(
        CallerErrors,
        (status = 200, description = "The export", body = ExportModel),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
        (status = 404, description = "No such export of the caller", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_export(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<Response, ApiError> {
    caller.require(Scope::SqlRead)?;
    let export = services.saved_export(&caller.tenant, viewer(&caller), id(&path)?).await?;
    body::answer(StatusCode::OK, &ExportModel::new(&services, export))
}
