//! Alerts: listed, followed with a durable cursor, searched.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::alert_model::AlertModel;
use super::error::{UciCallerErrors, UciErrorBody};
use super::fields::{refuse, time_seconds};
use super::paging::PagingParams;
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::domain::uci::alert_filter::{AlertCondition, AlertField, AlertFilter};
use crate::domain::uci::alert_query::parse_query;
use crate::registry::uci::alerts::Alert;
use crate::services::Services;
use crate::services::uci::ExportOperation;

/// Most alerts of a page of the listing.
const MAX_LISTED: i64 = 5_000;

/// Most alerts of a page of the search.
pub const MAX_FOUND: i64 = 10_000;

/// Longest name of an export's index, in bytes.
const MAX_INDEX_BYTES: usize = 128;

/// How long a follower that has read everything should wait for more, in seconds.
const WAIT_SECONDS: u32 = 5;

/// When the alerts were made.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TimeParams {
    /// First second at which they were made, since epoch.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 99_999_999_999_i64)]
    starttime: Option<String>,
    /// First second after the range.
    #[param(value_type = Option<i64>, minimum = 0, maximum = 99_999_999_999_i64)]
    endtime: Option<String>,
}

impl TimeParams {
    fn filter(&self, conditions: Vec<AlertCondition>) -> Result<AlertFilter, ApiError> {
        let ms = |name: &str, text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.trim().is_empty());
            Ok::<_, ApiError>(text.map(|text| time_seconds(name, text)).transpose()?.map(|seconds| seconds * 1000))
        };
        Ok(AlertFilter {
            start_ms: ms("starttime", &self.starttime)?,
            end_ms: ms("endtime", &self.endtime)?,
            conditions,
        })
    }
}

/// Which kind of alerts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct KindParams {
    /// `uba`, the only kind there is; of another one there are no alerts.
    #[serde(rename = "type")]
    #[param(example = "uba")]
    kind: Option<String>,
}

/// [`PagingParams`] of the listing, whose pages are smaller.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListPagingParams {
    /// Results before the page; 0, the default, is the first.
    #[param(value_type = Option<i64>, minimum = 0, example = 0)]
    offset: Option<String>,
    /// Most results of the page; 1,000 by default.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 5000, example = 1000)]
    limit: Option<String>,
}

/// A page of alerts.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertList {
    /// Always 1.
    #[schema(minimum = 1, maximum = 1)]
    pub ok: u8,
    /// Alerts in the order in which they were made.
    pub result: Vec<AlertModel>,
}

/// Lists alerts in the order in which they were made.
#[utoipa::path(
    get, path = "/api/v2/events/data/alert", operation_id = "list_alerts", tag = "alerts",
    params(KindParams, TimeParams, ListPagingParams),
    responses(
        UciCallerErrors,
        (status = 200, description = "A page of at most 5,000", body = AlertList),
        (status = 403, description = "The scope alerts:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_alerts(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    kind: Result<Query<KindParams>, QueryRejection>,
    time: Result<Query<TimeParams>, QueryRejection>,
    paging: Result<Query<ListPagingParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AlertsRead)?;
    let Query(kind) = kind.map_err(|e| crate::api::query_error(&e))?;
    let Query(time) = time.map_err(|e| crate::api::query_error(&e))?;
    let Query(ListPagingParams { offset, limit }) = paging.map_err(|e| crate::api::query_error(&e))?;
    let paging = PagingParams { offset, limit };
    let kind = kind.kind.map(|kind| AlertCondition { field: AlertField::AlertType, values: vec![kind] });
    let filter = time.filter(kind.into_iter().collect())?;
    let paging = paging.resolve(MAX_LISTED)?;
    let rows = services.list_alerts(&caller.tenant, filter, paging.offset, paging.limit).await?;
    body::answer_large(&services, move || Ok(AlertList { ok: 1, result: models(rows) })).await
}

fn models(alerts: Vec<Alert>) -> Vec<AlertModel> {
    alerts.into_iter().map(AlertModel::from).collect()
}

/// What to do with a cursor.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// Name of the cursor, 1 to 128 bytes; each follower has one of its own.
    #[param(value_type = String, required = true, min_length = 1, max_length = 128, pattern = r"^\S+$", example = "siem")]
    index: Option<String>,
    /// `next`, `resend`, `head` (the oldest alert kept), `tail` (after the newest), or a second since epoch.
    #[param(value_type = String, required = true, pattern = "^(next|resend|head|tail|[0-9]{1,11})$", example = "next")]
    operation: Option<String>,
}

/// A page of an export.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertExport {
    /// Always 1.
    #[schema(minimum = 1, maximum = 1)]
    pub ok: u8,
    /// Alerts in the order in which they were made.
    pub result: Vec<AlertModel>,
    /// Seconds to wait before the next page; 0 after a full one.
    #[schema(minimum = 0)]
    pub wait_time: u32,
    /// When the last alert was made that this cursor has given, seconds since epoch.
    pub timestamp_hwm: i64,
}

/// Follows alerts with a durable cursor: `next` gives up to 10,000 more, `resend` the last page again.
///
/// Nothing is lost and nothing comes twice, also after a crash: a client that did not get a page asks for it with
/// `resend`, and for the next one with `next`.
#[utoipa::path(
    get, path = "/api/v2/events/dataexport/alerts/uba", operation_id = "export_alerts", tag = "alerts",
    params(ExportParams),
    responses(
        UciCallerErrors,
        (status = 200, description = "A page; the cursor's place is durable", body = AlertExport),
        (status = 403, description = "The scope alerts:read is missing", body = UciErrorBody),
        (status = 409, description = "Another request reads from the same cursor", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn export_alerts(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    params: Result<Query<ExportParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AlertsRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let index = params.index.as_deref().map(str::trim).unwrap_or_default();
    if index.is_empty() || index.len() > MAX_INDEX_BYTES {
        return Err(refuse("index", format_args!("must name the cursor, in 1 to {MAX_INDEX_BYTES} bytes")));
    }
    let operation = operation(params.operation.as_deref().map(str::trim).unwrap_or_default())?;
    let page = services.export_alerts(&caller.tenant, index, operation).await?;
    body::answer_large(&services, move || {
        Ok(AlertExport {
            ok: 1,
            result: models(page.alerts),
            wait_time: if page.full { 0 } else { WAIT_SECONDS },
            timestamp_hwm: page.hwm_ms.div_euclid(1000),
        })
    })
    .await
}

fn operation(text: &str) -> Result<ExportOperation, ApiError> {
    Ok(match text {
        "next" => ExportOperation::Next,
        "resend" => ExportOperation::Resend,
        "head" => ExportOperation::Head,
        "tail" => ExportOperation::Tail,
        seconds if seconds.starts_with(|c: char| c.is_ascii_digit()) => {
            ExportOperation::From(time_seconds("operation", seconds)? * 1000)
        }
        _ => {
            let problem = "must be `next`, `resend`, `head`, `tail` or a time in seconds since 1970-01-01 UTC";
            return Err(refuse("operation", problem));
        }
    })
}

/// Which alerts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQueryParams {
    /// Conditions joined by `and`: `field eq "value"` or `field in ["a", "b"]`; all alerts by default.
    #[param(example = "alert_type eq \"uba\" and user eq \"name@netskope.com\"")]
    query: Option<String>,
}

/// About a search.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertSearchStatus {
    /// Alerts on this page.
    #[schema(minimum = 0)]
    pub count: usize,
    /// Alerts on all pages.
    #[schema(minimum = 0)]
    pub total: i64,
    /// Always `Success`: an error has a status and a body of its own.
    #[schema(example = "Success")]
    pub execution: String,
    /// Alerts before this page.
    #[schema(minimum = 0)]
    pub offset: i64,
    /// Most alerts of this page.
    #[schema(minimum = 1)]
    pub limit: i64,
}

/// Alerts that were found.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AlertSearch {
    /// Alerts in the order in which they were made.
    pub result: Vec<AlertModel>,
    /// About the search.
    pub status: AlertSearchStatus,
}

/// Finds alerts by a query.
#[utoipa::path(
    get, path = "/api/v2/events/datasearch/alert", operation_id = "search_alerts", tag = "alerts",
    params(AlertQueryParams, TimeParams, PagingParams),
    responses(
        UciCallerErrors,
        (status = 200, description = "A page of at most 10,000", body = AlertSearch),
        (status = 400, description = "The query or a parameter is wrong", body = UciErrorBody),
        (status = 403, description = "The scope alerts:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn search_alerts(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    query: Result<Query<AlertQueryParams>, QueryRejection>,
    time: Result<Query<TimeParams>, QueryRejection>,
    paging: Result<Query<PagingParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::AlertsRead)?;
    let Query(query) = query.map_err(|e| crate::api::query_error(&e))?;
    let Query(time) = time.map_err(|e| crate::api::query_error(&e))?;
    let Query(paging) = paging.map_err(|e| crate::api::query_error(&e))?;
    let paging = paging.resolve(MAX_FOUND)?;
    let conditions = parse_query(query.query.as_deref().unwrap_or_default())
        .map_err(|error| ApiError::bad_request("bad_query", "query", format!("`query` is wrong: {error}")))?;
    let page = services.alerts(&caller.tenant, time.filter(conditions)?, paging.offset, paging.limit).await?;
    body::answer_large(&services, move || {
        let status = AlertSearchStatus {
            count: page.rows.len(),
            total: page.total,
            execution: "Success".to_owned(),
            offset: paging.offset,
            limit: paging.limit,
        };
        Ok(AlertSearch { result: models(page.rows), status })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_words_or_seconds() {
        for (text, wanted) in [
            ("next", ExportOperation::Next),
            ("resend", ExportOperation::Resend),
            ("head", ExportOperation::Head),
            ("tail", ExportOperation::Tail),
            ("0", ExportOperation::From(0)),
            ("1795305600", ExportOperation::From(1_795_305_600_000)),
        ] {
            assert_eq!(operation(text).unwrap(), wanted);
        }
        for text in ["", "NEXT", "-1", "1795305600000", "1.5", "99999999999999999999"] {
            assert_eq!(operation(text).unwrap_err().target.as_deref(), Some("operation"), "{text}");
        }
    }
}
