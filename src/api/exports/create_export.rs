//! `POST /api/v1/exports`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::ExportModel;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::anomaly::AnomalyId;
use crate::domain::principal::Scope;
use crate::registry::exports::ExportOf;
use crate::services::Services;
use crate::services::saved_exports::ExportRequest;

/// An export to make: `sql` or `anomaly`.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"anomaly": "ANO-42", "format": "csv"}))]
pub struct CreateExport {
    /// A statement, as `POST /api/v1/sql` takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Its parameters: a list for `$1`, an object for `$name`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    #[schema(value_type = Option<Object>)]
    pub params: Value,
    /// An anomaly in any spelling: its activities as of the making, ascending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalyRef>,
    /// `csv` (default), `json`, `ndjson`, `arrow` or `parquet`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Name of the file, at most 128 printable ASCII characters; `export-<id>.<format>` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Escapes cells that a spreadsheet would run as a formula; CSV only.
    #[serde(default)]
    pub escape_formulas: bool,
}

/// An anomaly as a caller writes it.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AnomalyRef {
    /// Its number.
    Number(i64),
    /// `42`, `ANO-42` or the 24 hex digits.
    Text(String),
}

impl AnomalyRef {
    fn id(&self) -> Result<AnomalyId, ApiError> {
        let id = match self {
            Self::Number(n) => AnomalyId::try_from(*n),
            Self::Text(text) => text.parse(),
        };
        id.map_err(|e| ApiError::bad_request("bad_value", "anomaly", e.to_string()))
    }
}

/// Asks for an export. `202` means that the wish is durable: it is made in the background, also after a
/// restart, and `Location` tells how it goes. It holds what the lake holds when it is made.
#[utoipa::path(
    post, path = "/api/v1/exports", operation_id = "create_export", tag = "exports",
    request_body = CreateExport,
    responses(
        CallerErrors,
        (
            status = 202, description = "Stored and durable", body = ExportModel,
            headers(("Location" = String, description = "The export: `/api/v1/exports/17`")),
        ),
        (status = 400, description = "A field is missing or wrong, or the statement is refused", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time; nothing was stored", body = ErrorBody),
        (status = 409, description = "The tenant has as many exports as it may (`too_many_exports`)", body = ErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ErrorBody),
        (status = 507, description = "The tenant's exports or the server's disk have no room", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn create_export(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::SqlRead)?;
    let body: CreateExport = body::object(request).await?;
    let of = match (body.sql, &body.anomaly) {
        (Some(sql), None) => ExportOf::Sql { sql, params: body.params },
        (None, Some(_)) if !body.params.is_null() => {
            return Err(ApiError::bad_request("bad_value", "params", "`params` belong to `sql`"));
        }
        (None, Some(anomaly)) => ExportOf::Anomaly(anomaly.id()?),
        _ => return Err(ApiError::bad_request("bad_value", "sql", "either `sql` or `anomaly` is needed")),
    };
    let wish = ExportRequest {
        of,
        format: body.format.unwrap_or_else(|| "csv".to_owned()),
        name: body.name,
        escape_formulas: body.escape_formulas,
    };
    let export = services.create_saved_export(&caller.actor, &caller.tenant, wish).await?;
    let location = HeaderValue::try_from(format!("/api/v1/exports/{}", export.id));
    let mut response = body::answer(StatusCode::ACCEPTED, &ExportModel::new(&services, export))?;
    response.headers_mut().insert(LOCATION, location.map_err(|e| ApiError::internal(&e))?);
    Ok(response)
}
