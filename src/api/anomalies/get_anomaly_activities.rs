//! `GET /api/v1/anomalies/{id}/activities`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use crate::api::activities::record::Activity;
use crate::api::body::Binary;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::api::{download, negotiate};
use crate::domain::principal::Scope;
use crate::formats::wire_csv::WireCsvOptions;
use crate::services::{Services, audit_entry};

/// Parameters of the export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivitiesParams {
    /// Most activities, from the oldest on; all by default.
    limit: Option<usize>,
    /// Escapes cells that a spreadsheet would run as a formula; CSV only.
    #[serde(default)]
    escape_formulas: bool,
}

/// Gives the activities of an anomaly as of now, ascending: no feature flag, delay, recency or cap.
///
/// `Accept` chooses the format, CSV by default; without rows the answer is the format's empty form, for CSV its
/// header line. `Accept-Encoding` gzip or zstd compresses it, but Parquet, which is compressed within. The row count
/// comes as the trailer `anomalake-rows` to clients that send `TE: trailers`.
#[utoipa::path(
    get, path = "/api/v1/anomalies/{id}/activities", operation_id = "get_anomaly_activities", tag = "anomalies",
    params(("id" = String, Path, description = "`42`, `ANO-42` or the 24 hex digits"), ActivitiesParams),
    responses(
        CallerErrors,
        (
            status = 200, description = "The activities",
            content(
                (String = "text/csv"),
                (Vec<Activity> = "application/json"),
                (String = "application/x-ndjson"),
                (Binary = "application/vnd.apache.arrow.stream"),
                (Binary = "application/vnd.apache.parquet"),
            ),
            headers(
                ("Content-Disposition" = String, description = "`attachment; filename=\"anomaly-42-activities.csv\"`"),
                ("Content-Encoding" = String, description = "`zstd` or `gzip`"),
            ),
        ),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope activities:read is missing", body = ErrorBody),
        (status = 404, description = "No such anomaly in this tenant", body = ErrorBody),
        (status = 406, description = "No acceptable format or content coding", body = ErrorBody),
        (status = 429, description = "Too many exports are running", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_anomaly_activities(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    params: Result<Query<ActivitiesParams>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.require(Scope::ActivitiesRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let csv = WireCsvOptions { escape_formulas: params.escape_formulas };
    let form = negotiate::export_form(&headers, csv)?;
    let (anomaly, _) = super::find(&services, &caller.tenant, &id).await?;
    let export = services.export_live(&caller.tenant, &anomaly, form, params.limit).await?;
    let at_ms = services.clock.now_ms();
    let target = anomaly.id.to_string();
    services.audit(audit_entry(&caller.actor, at_ms, Some(caller.tenant.key), "activities.export", target)).await?;
    Ok(download::respond(export, Some(anomaly.id), &headers))
}
