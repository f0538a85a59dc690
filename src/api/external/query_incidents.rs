//! `POST /shnapi/rest/external/api/v1/queryIncidents`.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::criteria::{Criteria, DEFAULT_LIMIT, MAX_LIMIT};
use super::envelope::{Answer, Envelope};
use super::incident::IncidentModel;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Parameters of the query.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QueryIncidentsParams {
    /// Most incidents of the page, from 1; 100 by default. More than 10,000 counts as 10,000, as
    /// `actualLimit` tells. A page exceeds it to hold the incidents of its last ms whole.
    limit: Option<u64>,
}

/// A page of incidents.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct IncidentList {
    /// The incidents, ascending by `timeModified`, or by `timeCreated` when that is selected.
    incidents: Vec<IncidentModel>,
}

/// Gives a page of incidents, ascending by `timeModified`; the next one starts at `nextStartTime`.
///
/// Who follows `nextStartTime` loses none and sees none twice, but for those that were modified again.
/// Incidents of the current ms are left to the next page. With `timesSelection` `CREATED_AT`, pages are
/// ordered, cut and continued by `timeCreated`, so that the same holds for the incidents that exist.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/queryIncidents", operation_id = "query_incidents", tag = "incidents",
    params(QueryIncidentsParams),
    request_body = Option<Criteria>,
    responses(
        ExternalCallerErrors,
        (status = 200, description = "A page", body = Envelope<IncidentList>),
        (status = 400, description = "A criterion or the limit is wrong", body = ExternalErrorBody),
        (status = 401, description = "No valid credentials", body = ExternalErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ExternalErrorBody),
        (status = 409, description = "Too many incidents share one `timeCreated`", body = ExternalErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ExternalErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn query_incidents(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<QueryIncidentsParams>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = Answer::begin();
    caller.require(Scope::AnomaliesRead)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e).with_target("limit"))?;
    let limit = match params.limit {
        None => DEFAULT_LIMIT,
        Some(0) => return Err(ApiError::bad_request("bad_value", "limit", "limit must be at least 1")),
        Some(limit) => usize::try_from(limit).map_or(MAX_LIMIT, |limit| limit.min(MAX_LIMIT)),
    };
    let criteria: Criteria = body::json_or_default(request).await?;
    let page = services.query_incidents(&caller.tenant, criteria.resolve()?, limit).await?;
    let incidents = page.incidents;
    let content = || IncidentList { incidents: incidents.into_iter().map(IncidentModel::from).collect() };
    answer.send(&services, limit, page.next_start_ms, content).await
}
