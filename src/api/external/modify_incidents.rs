//! `POST /shnapi/rest/external/api/v1/modifyIncidents`.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5. It does not say what becomes of
//! an array with wrong items; here all of it is refused, with every wrong item named, so that a caller
//! never has to find out which half was done.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::{Answer, Envelope};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::{IncidentStatus, workflow_word};
use crate::domain::modified_clock::next_start;
use crate::domain::principal::Scope;
use crate::domain::time_text::format_time;
use crate::services::Services;
use crate::services::incidents::{ModifyError, StatusChange};

/// Most items of a request: one transaction makes them all, and other writes wait for it.
const MAX_ITEMS: usize = 1000;

/// The change request that there is, as [`workflow_word`] writes it.
const WORKFLOW_STATUS: &str = "workflow status";

/// A change of one incident.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"incidentId": "ANO-1", "changeRequests": {"WORKFLOW_STATUS": "RESOLVED"}}))]
pub struct IncidentChange {
    /// `ANO-1`, or another spelling of the anomaly's id.
    #[schema(value_type = String)]
    incident_id: Option<Value>,
    /// `WORKFLOW_STATUS` with the new status; case and underscores do not matter.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    change_requests: BTreeMap<String, Value>,
}

/// What became of the items, in the order of the request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangeResults {
    /// One for each item.
    results: Vec<ChangeResult>,
}

/// What became of one item.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeResult {
    /// `ANO-n`.
    #[schema(example = "ANO-1")]
    incident_id: String,
    /// The status now.
    #[schema(example = "resolved")]
    status: &'static str,
    /// Whether it was another one before; if not, nothing was changed.
    changed: bool,
    /// When the incident was last modified.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    time_modified: String,
}

/// A wrong item.
struct Wrong {
    position: usize,
    target: &'static str,
    message: String,
}

fn refused(status: StatusCode, code: &'static str, wrong: &[Wrong], items: &[IncidentChange]) -> ApiError {
    let first = wrong.first();
    let message = match first {
        Some(first) => format!("item {} (from 0): {}; nothing was changed", first.position, first.message),
        None => "nothing was changed".to_owned(),
    };
    let details = wrong.iter().map(|wrong| {
        let id = items.get(wrong.position).and_then(|item| item.incident_id.clone());
        json!({"position": wrong.position, "incidentId": id, "target": wrong.target, "message": wrong.message})
    });
    ApiError::new(status, code, message)
        .with_target(first.map_or("incidentId", |first| first.target))
        .with_details(details.collect())
}

fn status_of(item: &IncidentChange) -> Result<IncidentStatus, String> {
    let mut found = None;
    for (name, value) in &item.change_requests {
        if workflow_word(name) != WORKFLOW_STATUS {
            return Err(format!("unknown change request `{name}`; there is WORKFLOW_STATUS"));
        }
        let text = value.as_str().ok_or("WORKFLOW_STATUS must be a text")?;
        if found.replace(text.parse().map_err(|e| format!("{e}"))?).is_some() {
            return Err("WORKFLOW_STATUS is given twice".to_owned());
        }
    }
    found.ok_or_else(|| "a change is missing; send {\"WORKFLOW_STATUS\": \"RESOLVED\"}".to_owned())
}

/// The incident of an item; none for a text or number that is no id, which is as unknown as any.
fn id_of(item: &IncidentChange) -> Result<Option<AnomalyId>, String> {
    match &item.incident_id {
        Some(Value::String(text)) => Ok(text.trim().parse().ok()),
        Some(Value::Number(number)) => Ok(number.as_i64().and_then(|n| AnomalyId::try_from(n).ok())),
        _ => Err("incidentId is missing; send \"ANO-1\"".to_owned()),
    }
}

fn changes(items: &[IncidentChange]) -> Result<Vec<StatusChange>, Vec<Wrong>> {
    let (mut changes, mut wrong) = (Vec::with_capacity(items.len()), Vec::new());
    for (position, item) in items.iter().enumerate() {
        match (id_of(item), status_of(item)) {
            (Ok(id), Ok(status)) => changes.push(StatusChange { id, status }),
            (Err(message), _) => wrong.push(Wrong { position, target: "incidentId", message }),
            (_, Err(message)) => wrong.push(Wrong { position, target: "changeRequests", message }),
        }
    }
    if wrong.is_empty() { Ok(changes) } else { Err(wrong) }
}

/// Changes the status of incidents: all of them, durably, or none.
///
/// Items are taken in order, and an incident may occur in several. An item that asks for the status that an
/// incident has changes nothing, not even `timeModified`. `nextStartTime` starts after the latest change.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/modifyIncidents", operation_id = "modify_incidents", tag = "incidents",
    request_body = Vec<IncidentChange>,
    responses(
        ExternalCallerErrors,
        (status = 200, description = "All changes are durable", body = Envelope<ChangeResults>),
        (status = 400, description = "An item is wrong; nothing was changed, `details` names each", body = ExternalErrorBody),
        (status = 401, description = "No valid credentials", body = ExternalErrorBody),
        (status = 403, description = "The scope anomalies:write is missing", body = ExternalErrorBody),
        (status = 404, description = "An incident is unknown; nothing was changed, `details` names each", body = ExternalErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ExternalErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn modify_incidents(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = Answer::begin();
    caller.require(Scope::AnomaliesWrite)?;
    let items: Vec<IncidentChange> = body::json(request).await?;
    if items.len() > MAX_ITEMS {
        let message = format!("the array has {} items; send at most {MAX_ITEMS} at once", items.len());
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "too_many_items", message));
    }
    let wanted = changes(&items).map_err(|wrong| refused(StatusCode::BAD_REQUEST, "bad_items", &wrong, &items))?;
    let done = services.modify_incidents(&caller.actor, &caller.tenant, wanted).await;
    let done = done.map_err(|error| match error {
        ModifyError::Unknown(positions) => {
            let message = "there is no such incident";
            let wrong = |position| Wrong { position, target: "incidentId", message: message.to_owned() };
            let wrong: Vec<_> = positions.into_iter().map(wrong).collect();
            refused(StatusCode::NOT_FOUND, "not_found", &wrong, &items)
        }
        ModifyError::Registry(error) => error.into(),
    })?;
    let last_ms = done.iter().map(|done| done.modified_at_ms).max();
    let next_start_ms = next_start(last_ms, None, services.clock.now_ms());
    let content = move || ChangeResults {
        results: done
            .into_iter()
            .map(|done| ChangeResult {
                incident_id: done.id.to_incident(),
                status: done.status.as_str(),
                changed: done.changed,
                time_modified: format_time(done.modified_at_ms),
            })
            .collect(),
    };
    answer.send(&services, items.len(), next_start_ms, content).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Vec<StatusChange>, Vec<(usize, &'static str)>> {
        let items: Vec<IncidentChange> = serde_json::from_value(body).unwrap();
        changes(&items).map_err(|wrong| wrong.into_iter().map(|w| (w.position, w.target)).collect())
    }

    #[test]
    fn case_and_underscores_do_not_matter() {
        for (name, value) in [
            ("WORKFLOW_STATUS", "FALSE_POSITIVE"),
            ("workflow status", "False Positive"),
            ("Workflow_Status", "false positive"),
        ] {
            let changes = read(json!([{"incidentId": "ANO-1", "changeRequests": {name: value}, "more": 1}])).unwrap();
            assert_eq!(changes[0].status, IncidentStatus::FalsePositive);
            assert_eq!(changes[0].id.map(AnomalyId::get), Some(1));
        }
        assert_eq!(read(json!([])), Ok(vec![]));
    }

    #[test]
    fn every_wrong_item_is_named() {
        let good = json!({"WORKFLOW_STATUS": "NEW"});
        let wrong = read(json!([
            {"incidentId": 1, "changeRequests": good},
            {"incidentId": "ANO-1", "changeRequests": {"WORKFLOW_STATUS": "DONE"}},
            {"incidentId": "ANO-1", "changeRequests": {"WORKFLOW_STATUS": 1}},
            {"incidentId": "ANO-1", "changeRequests": {"OWNER": "ann"}},
            {"incidentId": "ANO-1", "changeRequests": {"WORKFLOW_STATUS": "NEW", "workflow_status": "NEW"}},
            {"incidentId": "ANO-1", "changeRequests": {}},
            {"incidentId": "ANO-1"},
            {"changeRequests": good},
            {"incidentId": "no id", "changeRequests": good},
        ]));
        let (change, id) = ("changeRequests", "incidentId");
        let expected = vec![(1, change), (2, change), (3, change), (4, change), (5, change), (6, change), (7, id)];
        assert_eq!(wrong.unwrap_err(), expected);
    }
}
