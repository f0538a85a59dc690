//! `POST /api/v2/incidents/user/uciimpact`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::batch::idempotency_key;
use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::Fields;
use super::impact::UciImpact;
use super::model::whole_seconds;
use crate::api::activities::ingest_activities::{IDEMPOTENCY_KEY, REPLAYED};
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// An impact that counts.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "anomalyId": "a1000000000000000000002a", "user": "name@netskope.com", "time": 1_654_823_213_000_i64, "score": 50,
    "activity": "ActivityForUciImpactAPI", "source": "Dropbox", "reason": "login failed too many times",
    "anomalyCreatedTime": "2026-11-22T10:00:00Z",
}))]
pub struct UciImpactAnswer {
    /// Id of the anomaly that it is, 24 hex digits.
    pub anomaly_id: String,
    /// The user in the spelling first seen.
    pub user: String,
    /// When it happened, ms since epoch.
    pub time: i64,
    /// Points taken off.
    pub score: i64,
    /// Always `ActivityForUciImpactAPI`.
    pub activity: String,
    /// Who reported it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// When it was accepted, RFC 3339 in whole seconds.
    pub anomaly_created_time: String,
}

impl From<UciAnomaly> for UciImpactAnswer {
    fn from(anomaly: UciAnomaly) -> Self {
        Self {
            anomaly_id: anomaly.id.to_hex(),
            user: anomaly.user,
            time: anomaly.time_ms,
            score: anomaly.score,
            activity: anomaly.activity.as_str().to_owned(),
            source: anomaly.source,
            reason: anomaly.reason,
            anomaly_created_time: whole_seconds(anomaly.created_at_ms),
        }
    }
}

/// Takes points off a user's score. `200` means that the impact, its anomaly, its alerts and the new score are durable.
///
/// A repeat with the same `Idempotency-Key` within 24 hours gets the first answer and takes nothing off again.
#[utoipa::path(
    post, path = "/api/v2/incidents/user/uciimpact", operation_id = "create_uci_impact", tag = "uci",
    params((
        "Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
        description = "Makes a repeat of this request safe for 24 hours",
    )),
    request_body = UciImpact,
    responses(
        UciBodyErrors,
        (
            status = 200, description = "Stored, durable, and counting", body = UciImpactAnswer,
            headers(("idempotent-replayed" = String, description = "`true` when an earlier request with the key stored it")),
        ),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
        (status = 409, description = "The idempotency key was used for another impact", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn create_uci_impact(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let key = key_header(request.headers())?;
    let impact = UciImpact::of(&Fields::read(request).await?)?;
    let recorded = services.record_impact(&caller.tenant, impact.request(key)).await?;
    let mut response = body::answer(StatusCode::OK, &UciImpactAnswer::from(recorded.anomaly))?;
    if recorded.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn key_header(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    idempotency_key("Idempotency-Key", value.to_str().unwrap_or_default()).map(Some)
}
