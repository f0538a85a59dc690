//! `DELETE /api/v1/exports/{id}`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::{id, viewer};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Deletes an export and its file; one that is being made is stopped.
#[utoipa::path(
    delete, path = "/api/v1/exports/{id}", operation_id = "delete_export", tag = "exports",
    params(("id" = String, Path, description = "Number of the export", example = "17")),
    responses(
        CallerErrors,
        (status = 204, description = "Gone, durably"),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
        (status = 404, description = "No such export of the caller", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn delete_export(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.require(Scope::SqlRead)?;
    services.delete_saved_export(&caller.actor, &caller.tenant, viewer(&caller), id(&path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
