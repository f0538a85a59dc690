//! `POST /api/v1/anomalies`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::model::{AnomalyModel, TimeValue};
use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::registry::anomalies::NewAnomaly;
use crate::services::Services;

/// An anomaly to create. `user` or `where` is needed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"user": "ann@example.com", "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:00Z", "category": "Insider Threats"}))]
pub struct CreateAnomaly {
    /// Whose activities belong to it; matched trimmed and without case.
    user: Option<String>,
    /// First moment of the window: RFC 3339, epoch ms, or relative (`-24h`).
    from: TimeValue,
    /// First moment after the window; may lie in the future.
    to: TimeValue,
    /// Condition over the activity columns, for example `downloadBytes > 1000000`.
    #[serde(rename = "where")]
    condition: Option<String>,
    /// Risk score.
    score: Option<f64>,
    /// Category; fills `threatCategory` of evidence rows that have none.
    category: Option<String>,
    /// What reported it.
    source: Option<String>,
    /// Why it was reported.
    reason: Option<String>,
    /// What the user did, in words.
    activity: Option<String>,
    /// When it counts as created; now by default.
    created_at: Option<TimeValue>,
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
        created_at_ms: created_at_ms.unwrap_or(now_ms),
        user: body.user,
        where_sql: body.condition,
        score: body.score,
        category: body.category,
        source: body.source,
        reason: body.reason,
        activity: body.activity,
    };
    let anomaly = services.create_anomaly(&caller.actor, &caller.tenant, new).await?;
    body::answer(StatusCode::CREATED, &AnomalyModel::new(&services, &caller.tenant, anomaly, None))
}
