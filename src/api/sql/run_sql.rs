//! `POST /api/v1/sql`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::api::body::{self, Binary};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::api::{download, negotiate};
use crate::domain::principal::Scope;
use crate::domain::time_text::parse_span;
use crate::formats::wire_csv::WireCsvOptions;
use crate::query::params;
use crate::services::Services;
use crate::services::sql::SqlRequest;

/// A statement.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlStatement {
    /// A query, `EXPLAIN`, `DESCRIBE` or `SHOW TABLES`.
    #[schema(example = "SELECT actionName, count(*) FROM activities WHERE time >= $1 GROUP BY 1")]
    sql: String,
    /// Values of `$1`, `$2`, … as an array or of `$name` as an object; typed ones as `{"type": …, "value": …}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// Longest time until the last row, such as `20s`.
    #[serde(default)]
    timeout: Option<String>,
}

/// Parameters of the answer.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SqlParams {
    /// Escapes cells that a spreadsheet would run as a formula; CSV only.
    #[serde(default)]
    escape_formulas: bool,
}

/// Runs one statement over the tenant's tables `activities`, `evidence`, `anomalies`, `impacts`, `users` and `alerts`.
///
/// `Accept` chooses the format: CSV of RFC 4180 by default, the wire dialect as `text/csv;dialect=wire`. `Accept-Encoding`
/// gzip or zstd compresses it. There is no cap on rows. A failure after the first byte ends the body without its
/// end; the row count comes as the trailer `anomalake-rows` to clients that send `TE: trailers`. `400` tells the place in
/// the statement, `422` the limit that it ran into.
#[utoipa::path(
    post, path = "/api/v1/sql", operation_id = "run_sql", tag = "sql",
    params(SqlParams),
    request_body(
        content(
            (SqlStatement = "application/json"),
            (String = "application/sql"),
        ),
    ),
    responses(
        CallerErrors,
        (
            status = 200, description = "The rows",
            content(
                (String = "text/csv"),
                (Vec<Object> = "application/json"),
                (String = "application/x-ndjson"),
                (Binary = "application/vnd.apache.arrow.stream"),
                (Binary = "application/vnd.apache.parquet"),
            ),
            headers(("Content-Encoding" = String, description = "`zstd` or `gzip`")),
        ),
        (status = 400, description = "The statement or a parameter is wrong; `details` has line and column", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
        (status = 406, description = "No acceptable format or content coding", body = ErrorBody),
        (status = 408, description = "The statement did not arrive in time", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 422, description = "The statement ran into a limit; `code` tells which", body = ErrorBody),
        (status = 429, description = "Too many statements are running, or they take all memory or room for temporary files", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn run_sql(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<SqlParams>, QueryRejection>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::SqlRead)?;
    let Query(answer) = params.map_err(|e| crate::api::query_error(&e))?;
    let csv = WireCsvOptions { escape_formulas: answer.escape_formulas };
    let form = negotiate::statement_form(&headers, csv)?;
    let statement = read(&headers, request).await?;
    let export = services.export_sql(&caller.actor, &caller.tenant, statement, form).await?;
    Ok(download::respond_as(export, "rows", &headers))
}

/// The statement from a body of either form.
async fn read(headers: &HeaderMap, request: Request) -> Result<SqlRequest, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/sql") {
        return Ok(SqlRequest { text: body::text(request).await?, ..SqlRequest::default() });
    }
    let statement: SqlStatement = body::object(request).await?;
    let bad = |target: &str, message: String| ApiError::bad_request("bad_value", target, message);
    let params = statement.params.as_ref().filter(|params| !params.is_null());
    let params = params.map(params::from_json).transpose();
    let params = params.map_err(|error| ApiError::bad_request("sql_parameter", "params", error.to_string()))?;
    let timeout = statement.timeout.as_deref().map(parse_span).transpose();
    let timeout = timeout.map_err(|error| bad("timeout", error.to_string()))?;
    Ok(SqlRequest { text: statement.sql, params, timeout })
}
