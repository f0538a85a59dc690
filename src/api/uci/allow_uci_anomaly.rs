//! `POST /api/v2/incidents/anomalies/{anomalyId}/allow`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::Fields;
use super::model::whole_seconds;
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::services::Services;

/// Why an impact is allowed.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "reason": "not an anomaly" }))]
pub struct AllowUciAnomaly {
    /// For people; kept with the anomaly.
    #[schema(max_length = 4096)]
    pub reason: Option<String>,
}

/// An impact that is allowed.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "anomalyId": "a1000000000000000000002a", "user": "name@netskope.com", "markAsAllowed": true,
    "reasonForAllowed": "not an anomaly", "anomalyCreatedTime": "2026-11-22T10:00:00Z",
}))]
pub struct AllowedAnswer {
    /// Its id, 24 hex digits.
    pub anomaly_id: String,
    /// The user in the spelling first seen.
    pub user: String,
    /// Always true.
    pub mark_as_allowed: bool,
    /// The reason that was given first; empty when none was.
    pub reason_for_allowed: String,
    /// When the anomaly was accepted, RFC 3339 in whole seconds.
    pub anomaly_created_time: String,
}

/// Gives back the points of an impact. `200` means that the new score is durable.
///
/// The anomaly is flagged, its alert stays. Repeating it changes nothing and keeps the first reason.
#[utoipa::path(
    post, path = "/api/v2/incidents/anomalies/{anomalyId}/allow", operation_id = "allow_uci_anomaly", tag = "uci",
    params(("anomalyId" = String, Path, description = "The 24 hex digits, `42` or `ANO-42`", example = "a1000000000000000000002a")),
    request_body = Option<AllowUciAnomaly>,
    responses(
        UciBodyErrors,
        (status = 200, description = "It no longer counts", body = AllowedAnswer),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
        (status = 404, description = "No such anomaly in this tenant's index", body = UciErrorBody),
        (status = 409, description = "The anomaly is a reset, which takes no points off", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn allow_uci_anomaly(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let id = super::anomaly_id(id)?;
    let reason = Fields::read_optional(request).await?.text("reason")?.filter(|reason| !reason.trim().is_empty());
    let anomaly = services.allow_impact(&caller.actor, &caller.tenant, id, reason).await?;
    let reason = anomaly.allowed.and_then(|allowed| allowed.reason);
    let answer = AllowedAnswer {
        anomaly_id: anomaly.id.to_hex(),
        user: anomaly.user,
        mark_as_allowed: true,
        reason_for_allowed: reason.unwrap_or_default(),
        anomaly_created_time: whole_seconds(anomaly.created_at_ms),
    };
    body::answer(StatusCode::OK, &answer)
}
