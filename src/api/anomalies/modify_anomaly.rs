//! `PATCH /api/v1/anomalies/{id}`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::model::{AnomalyModel, TimeValue};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::incident::IncidentStatus;
use crate::domain::principal::Scope;
use crate::services::Services;
use crate::services::anomaly_changes::{AnomalyChange, Patch};

/// What to change: an absent field stays, `null` removes it (RFC 7396). `createdAt` never changes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"status": "resolved", "reason": "a test"}))]
pub struct ModifyAnomaly {
    /// `new`, `opened`, `false positive`, `resolved`, `suppressed` or `archived`; cannot be removed.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    status: Patch<String>,
    /// Whose activities belong to it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    user: Patch<String>,
    /// First moment of the window: RFC 3339, epoch ms, or relative (`-24h`); cannot be removed.
    #[serde(default)]
    #[schema(value_type = Option<TimeValue>)]
    from: Patch<TimeValue>,
    /// First moment after the window; cannot be removed.
    #[serde(default)]
    #[schema(value_type = Option<TimeValue>)]
    to: Patch<TimeValue>,
    /// Condition over the activity columns.
    #[serde(default, rename = "where")]
    #[schema(value_type = Option<String>)]
    condition: Patch<String>,
    /// Risk score.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    score: Patch<f64>,
    /// Category; fills `threatCategory` of evidence rows that have none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    category: Patch<String>,
    /// What reported it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    source: Patch<String>,
    /// Why it was reported.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Patch<String>,
    /// What the user did, in words.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    activity: Patch<String>,
    /// The measured value that was out of the ordinary.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    value: Patch<f64>,
    /// Cloud services that it concerns, at most 64.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    service_names: Patch<Vec<String>>,
    /// Connected instance of the service.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    instance_id: Patch<i64>,
    /// Name of that instance.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    instance_name: Patch<String>,
}

impl ModifyAnomaly {
    fn resolve(self, now_ms: i64) -> Result<AnomalyChange, ApiError> {
        let status = self.status.try_map(|text| text.parse::<IncidentStatus>());
        Ok(AnomalyChange {
            status: status.map_err(|e| ApiError::bad_request("bad_value", "status", e.to_string()))?,
            user: self.user,
            from_ms: self.from.try_map(|time| time.resolve("from", now_ms))?,
            to_ms: self.to.try_map(|time| time.resolve("to", now_ms))?,
            where_sql: self.condition,
            score: self.score,
            category: self.category,
            source: self.source,
            reason: self.reason,
            activity: self.activity,
            value: self.value,
            service_names: self.service_names,
            instance_id: self.instance_id,
            instance_name: self.instance_name,
        })
    }
}

/// Changes an anomaly. `200` means that the change is durable.
///
/// A change of the user, the window, `where` or the category makes the evidence pending again, a failed one
/// included; it is remade when it is next asked for, or when due.
#[utoipa::path(
    patch, path = "/api/v1/anomalies/{id}", operation_id = "modify_anomaly", tag = "anomalies",
    params(("id" = String, Path, description = "`42`, `ANO-42` or the 24 hex digits", example = "ANO-42")),
    request_body = ModifyAnomaly,
    responses(
        CallerErrors,
        (status = 200, description = "The anomaly as it is now", body = AnomalyModel),
        (status = 400, description = "A field is wrong; nothing was changed", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope anomalies:write is missing", body = ErrorBody),
        (status = 404, description = "No such anomaly in this tenant", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn modify_anomaly(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::AnomaliesWrite)?;
    let (before, _) = super::find(&services, &caller.tenant, &id).await?;
    let body: ModifyAnomaly = body::object(request).await?;
    let change = body.resolve(services.clock.now_ms())?;
    let anomaly = services.change_anomaly(&caller.actor, &caller.tenant, before.id, change).await?;
    let (anomaly, evidence) = super::find(&services, &caller.tenant, &anomaly.id.to_string()).await?;
    let history = services.status_history(&caller.tenant, anomaly.id).await?;
    let model = AnomalyModel::new(&services, &caller.tenant, anomaly, evidence.as_ref()).with_history(history);
    body::answer(StatusCode::OK, &model)
}
