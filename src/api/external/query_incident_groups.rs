//! `POST /shnapi/rest/external/api/v1/queryIncidentGroups`.
//!
//! The wire contract (section 5) names the route and no answer; this shape is ours: the groups that occur
//! among the incidents of the criteria, with how often, in the envelope of the family.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::criteria::{Criteria, MAX_LIMIT};
use super::envelope::{Answer, Envelope};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Groups that occur.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OccurringGroups {
    /// Each group once, by its number.
    incident_groups: Vec<OccurringGroup>,
}

/// A group that occurs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OccurringGroup {
    /// Name.
    #[schema(example = "Alert.Data.DataDownload")]
    incident_group: &'static str,
    /// Number.
    #[schema(example = 303)]
    incident_group_id: u16,
    /// Incidents in it, at least 1.
    count: i64,
}

/// Counts the incidents of the criteria by group. There are few groups, so the answer is always whole;
/// `nextStartTime` starts after the latest incident that was counted.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/queryIncidentGroups", operation_id = "query_incident_groups",
    tag = "incidents",
    request_body = Option<Criteria>,
    responses(
        ExternalCallerErrors,
        (status = 200, description = "The groups", body = Envelope<OccurringGroups>),
        (status = 400, description = "A criterion is wrong", body = ExternalErrorBody),
        (status = 401, description = "No valid credentials", body = ExternalErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ExternalErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ExternalErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn query_incident_groups(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = Answer::begin();
    caller.require(Scope::AnomaliesRead)?;
    let criteria: Criteria = body::json_or_default(request).await?;
    let (groups, next_start_ms) = services.count_incident_groups(&caller.tenant, criteria.resolve()?).await?;
    let content = move || OccurringGroups {
        incident_groups: groups
            .into_iter()
            .map(|found| OccurringGroup {
                incident_group: found.group.name,
                incident_group_id: found.group.id,
                count: found.count,
            })
            .collect(),
    };
    answer.send(&services, MAX_LIMIT, next_start_ms, content).await
}
