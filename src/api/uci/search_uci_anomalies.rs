//! `POST /api/v2/incidents/anomalies/getanomalies`.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::{Fields, refuse};
use super::model::UciAnomalyModel;
use super::paging::{MAX_LIMIT, PagingParams, Projection};
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::services::Services;
use crate::services::uci::{SearchFilters, SearchRequest};

/// Parameters of the search, besides paging.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Only anomalies of this activity, exactly; all by default.
    #[param(example = "ActivityForUciImpactAPI")]
    activity: Option<String>,
    /// Properties of a result that are wanted, as a comma list; all by default.
    #[param(value_type = Option<Vec<UciProperty>>, style = Form, explode = false)]
    fields: Option<String>,
}

/// The value is one of these.
#[derive(Debug, utoipa::ToSchema)]
pub struct EqualsAny {
    /// Values; none match nothing.
    pub equals: Vec<String>,
}

/// The value is this.
#[derive(Debug, utoipa::ToSchema)]
pub struct EqualsTime {
    /// A time in ms since epoch.
    #[schema(minimum = 0, value_type = f64)]
    pub equals: i64,
}

/// Any of the first four, or `anomalyId` alone; the two times go together.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct SearchFiltersModel {
    /// Users, matched trimmed and without case.
    pub user: Option<EqualsAny>,
    /// Sources, matched exactly.
    pub source: Option<EqualsAny>,
    /// First ms of the anomaly's time.
    pub start_time: Option<EqualsTime>,
    /// First ms after the range.
    pub end_time: Option<EqualsTime>,
    /// Ids; what is no id matches nothing.
    pub anomaly_id: Option<EqualsAny>,
}

/// A search; without filters it finds the last 90 days.
#[derive(Debug, utoipa::ToSchema)]
#[schema(example = json!({ "filters": {
    "user": { "equals": ["user1", "user3"] }, "source": { "equals": ["OKTA", "OKTA2"] },
    "startTime": { "equals": 1_654_823_213_000_i64 }, "endTime": { "equals": 1_654_833_213_000_i64 },
}}))]
pub struct SearchUciAnomalies {
    /// What the anomalies must match.
    pub filters: Option<SearchFiltersModel>,
}

/// Properties of a result, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(missing_docs, reason = "they are described where they stand")]
pub enum UciProperty {
    AnomalyId,
    User,
    Time,
    Score,
    Activity,
    EventId,
    AnomalyCreatedTime,
    Source,
    Reason,
    MarkAsAllowed,
    ReasonForAllowed,
    AdditionalProps,
}

/// A page of anomalies, in the order in which they were accepted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "totalCount": 5000, "results": [{ "anomalyId": "a1000000000000000000002a", "score": 20 }] }))]
pub struct UciAnomalyPage {
    /// Anomalies that match, on all pages.
    #[schema(minimum = 0)]
    total_count: i64,
    /// The anomalies; properties that `fields` does not name are absent.
    #[schema(value_type = Vec<PartialUciAnomaly>)]
    results: Vec<Value>,
}

/// An anomaly of which only some properties were asked for; they are those of `UciAnomalyModel`.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct PartialUciAnomaly {
    /// Its id, 24 hex digits.
    #[schema(nullable = false)]
    pub anomaly_id: Option<String>,
    /// The user in the spelling first seen.
    #[schema(nullable = false)]
    pub user: Option<String>,
    /// When it happened, ms since epoch.
    #[schema(nullable = false)]
    pub time: Option<i64>,
    /// Points taken off; 0 for a reset.
    #[schema(nullable = false)]
    pub score: Option<i64>,
    /// `ActivityForUciImpactAPI`, or `UciReset`.
    #[schema(nullable = false)]
    pub activity: Option<String>,
    /// Id of the event behind it.
    #[schema(nullable = false)]
    pub event_id: Option<String>,
    /// When it was accepted, RFC 3339 in whole seconds.
    #[schema(nullable = false)]
    pub anomaly_created_time: Option<String>,
    /// Who reported it.
    #[schema(nullable = false)]
    pub source: Option<String>,
    /// Why.
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Whether its points were given back.
    #[schema(nullable = false)]
    pub mark_as_allowed: Option<bool>,
    /// Why they were, where somebody said so.
    #[schema(nullable = false)]
    pub reason_for_allowed: Option<String>,
}

/// Finds impacts and resets of the last 90 days.
///
/// Pages neither repeat nor lose a row while others are inserted, back-dated ones included: rows are in the order in
/// which they were accepted.
#[utoipa::path(
    post, path = "/api/v2/incidents/anomalies/getanomalies", operation_id = "search_uci_anomalies", tag = "uci",
    params(SearchParams, PagingParams),
    request_body = Option<SearchUciAnomalies>,
    responses(
        UciBodyErrors,
        (status = 200, description = "A page", body = UciAnomalyPage),
        (status = 400, description = "A filter, a parameter or a name in `fields` is wrong", body = UciErrorBody),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn search_uci_anomalies(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    params: Result<Query<SearchParams>, QueryRejection>,
    paging: Result<Query<PagingParams>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let Query(paging) = paging.map_err(|e| crate::api::query_error(&e))?;
    let paging = paging.resolve(MAX_LIMIT)?;
    let projection = Projection::parse(params.fields.as_deref(), &UciAnomalyModel::PROPERTIES)?;
    let body = Fields::read_optional(request).await?;
    let filters = filters(&body.object("filters")?.unwrap_or_default())?;
    let activity = params.activity.filter(|activity| !activity.trim().is_empty());
    let request = SearchRequest { activity, filters, offset: paging.offset, limit: paging.limit };
    let page = services.search_uci_anomalies(&caller.tenant, request).await?;
    body::answer_large(&services, move || {
        let results = page.rows.into_iter().map(|anomaly| {
            let mut result = serde_json::to_value(UciAnomalyModel::from(anomaly))?;
            projection.apply(&mut result);
            Ok(result)
        });
        Ok(UciAnomalyPage { total_count: page.total, results: results.collect::<serde_json::Result<_>>()? })
    })
    .await
}

fn filters(fields: &Fields) -> Result<SearchFilters, ApiError> {
    let equals = |name: &str| -> Result<Option<Fields>, ApiError> {
        let Some(condition) = fields.object(name)? else { return Ok(None) };
        if condition.has("equals") {
            Ok(Some(condition))
        } else {
            Err(refuse(name, "needs `equals`, the only condition"))
        }
    };
    let texts = |name: &str| -> Result<Option<Vec<String>>, ApiError> {
        let Some(condition) = equals(name)? else { return Ok(None) };
        condition.texts("equals").map_err(|error| about(name, error))
    };
    let time = |name: &str| -> Result<Option<i64>, ApiError> {
        let Some(condition) = equals(name)? else { return Ok(None) };
        condition.time_ms("equals").map_err(|error| about(name, error))
    };
    Ok(SearchFilters {
        users: texts("user")?,
        sources: texts("source")?,
        start_ms: time("startTime")?,
        end_ms: time("endTime")?,
        anomaly_ids: texts("anomalyId")?,
    })
}

/// Names the filter beside its `equals`.
fn about(filter: &str, error: ApiError) -> ApiError {
    ApiError { message: format!("filter `{filter}`: {}", error.message), ..error }.with_target(filter)
}
