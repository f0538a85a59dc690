//! `POST /api/v1/anomalies`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::model::{AnomalyModel, TimeValue};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::registry::anomalies::NewAnomaly;
use crate::services::Services;

/// An anomaly to create. `user` or `where` is needed.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"user": "ann@example.com", "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z", "category": "Insider Threats"}))]
pub struct CreateAnomaly {
    /// Whose activities belong to it; matched trimmed and without case.
    pub user: Option<String>,
    /// First moment of the window: RFC 3339, epoch ms, or relative (`-24h`).
    pub from: TimeValue,
    /// First moment after the window; may lie in the future.
    pub to: TimeValue,
    /// Condition over the activity columns, for example `downloadBytes > 1000000`.
    #[serde(rename = "where")]
    pub condition: Option<String>,
    /// Risk score.
    pub score: Option<f64>,
    /// Category; fills `threatCategory` of evidence rows that have none.
    pub category: Option<String>,
    /// What reported it.
    pub source: Option<String>,
    /// Why it was reported.
    pub reason: Option<String>,
    /// What the user did, in words.
    pub activity: Option<String>,
    /// The measured value that was out of the ordinary.
    pub value: Option<f64>,
    /// Cloud services that it concerns, at most 64.
    #[serde(default)]
    pub service_names: Vec<String>,
    /// Connected instance of the service.
    pub instance_id: Option<i64>,
    /// Name of that instance.
    pub instance_name: Option<String>,
    /// When it counts as created; now by default.
    pub created_at: Option<TimeValue>,
}

/// Creates an anomaly. `201` means that it is durable; its evidence follows when due.
#[utoipa::path(
    post, path = "/api/v1/anomalies", operation_id = "create_anomaly", tag = "anomalies",
    request_body = CreateAnomaly,
    responses(
        CallerErrors,
        (status = 201, description = "Stored and durable", body = AnomalyModel),
        (status = 400, description = "A field is missing or wrong; nothing was stored", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 408, description = "The body did not arrive in time; nothing was stored", body = ErrorBody),
        (status = 403, description = "The scope anomalies:write is missing", body = ErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn create_anomaly(
    State(services): State<Arc<Services>>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::AnomaliesWrite)?;
    let body: CreateAnomaly = body::json(request).await?;
    let now_ms = services.clock.now_ms();
    let created_at_ms = body.created_at.as_ref().map(|at| at.resolve("createdAt", now_ms)).transpose()?;
    let new = NewAnomaly {
        from_ms: body.from.resolve("from", now_ms)?,
        to_ms: body.to.resolve("to", now_ms)?,
        created_at_ms: created_at_ms.unwrap_or_else(|| services.creation_ms(&caller.tenant)),
        user: body.user,
        where_sql: body.condition,
        score: body.score,
        category: body.category,
        source: body.source,
        reason: body.reason,
        activity: body.activity,
        value: body.value,
        service_names: body.service_names,
        instance_id: body.instance_id,
        instance_name: body.instance_name,
    };
    let anomaly = services.create_anomaly(&caller.actor, &caller.tenant, new).await?;
    body::answer(StatusCode::CREATED, &AnomalyModel::new(&services, &caller.tenant, anomaly, None))
}
