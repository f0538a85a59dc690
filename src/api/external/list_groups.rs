//! `GET /shnapi/rest/external/api/v1/groups`.
//!
//! The wire contract (section 5) names the route and no answer; this shape is ours: every group that an
//! incident can have, in the envelope of the family.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::criteria::MAX_LIMIT;
use super::envelope::{Answer, Envelope};
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::incident_group::IncidentGroup;
use crate::domain::principal::Scope;
use crate::services::Services;

/// Every group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Groups {
    /// The groups, by their number.
    groups: Vec<Group>,
}

/// A group that an incident can have.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Name.
    #[serde(rename = "incidentGroup")]
    #[schema(example = "Alert.Data.DataDownload")]
    name: &'static str,
    /// Number.
    #[serde(rename = "incidentGroupId")]
    #[schema(example = 303)]
    id: u16,
    /// First part of the name, as criteria take it.
    #[schema(example = "Alert")]
    incident_type: &'static str,
    /// Second part of the name, as criteria take it.
    #[schema(example = "Data")]
    category: &'static str,
    /// What people call it: the category of anomalies in it.
    #[schema(example = "Data Download")]
    title: &'static str,
}

/// Lists every group that an incident can have, whether or not it occurs; `nextStartTime` is now.
#[utoipa::path(
    get, path = "/shnapi/rest/external/api/v1/groups", operation_id = "list_groups", tag = "incidents",
    responses(
        ExternalCallerErrors,
        (status = 200, description = "The groups", body = Envelope<Groups>),
        (status = 401, description = "No valid credentials", body = ExternalErrorBody),
        (status = 403, description = "The scope anomalies:read is missing", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn list_groups(State(services): State<Arc<Services>>, caller: Caller) -> Result<Response, ApiError> {
    let answer = Answer::begin();
    caller.require(Scope::AnomaliesRead)?;
    let content = || Groups {
        groups: IncidentGroup::all()
            .map(|group| {
                let (incident_type, category) = group.type_and_category();
                Group { name: group.name, id: group.id, incident_type, category, title: group.title }
            })
            .collect(),
    };
    answer.send(&services, MAX_LIMIT, services.clock.now_ms(), content).await
}
