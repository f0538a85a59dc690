//! `POST /shnapi/rest/external/api/v1/queryIncidentInformationKeys`.
//!
//! The wire contract (section 5) names the route and no answer; this shape is ours: the keys of
//! `information`, in the envelope of the family. They are the same for every incident.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::criteria::{Criteria, MAX_LIMIT};
use super::envelope::{Answer, Envelope};
use super::incident::INFORMATION_KEYS;
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::principal::Scope;
use crate::services::Services;

/// Keys of `information`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InformationKeys {
    /// The keys, in the order in which they are sent.
    #[schema(value_type = Vec<String>, example = json!(["anomalyCategory", "activityCount"]))]
    information_keys: [&'static str; INFORMATION_KEYS.len()],
}

/// Lists the keys of `information`. Criteria are checked and change nothing, since every incident has
/// every key; `nextStartTime` is their `startTime`, or now.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/queryIncidentInformationKeys",
    operation_id = "query_incident_information_keys", tag = "incidents",
    request_body = Option<Criteria>,
    responses(
        ExternalCallerErrors,
        (status = 200, description = "The keys", body = Envelope<InformationKeys>),
        (status = 400, description = "A criterion is wrong", body = ExternalErrorBody),
        (status = 401, description = "No valid credentials", body = ExternalErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ExternalErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ExternalErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn query_incident_information_keys(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = Answer::begin();
    caller.require(Scope::AnomaliesRead)?;
    let criteria: Criteria = body::json_or_default(request).await?;
    let next_start_ms = criteria.resolve()?.start_ms.unwrap_or_else(|| services.clock.now_ms());
    let content = || InformationKeys { information_keys: INFORMATION_KEYS };
    answer.send(&services, MAX_LIMIT, next_start_ms, content).await
}
