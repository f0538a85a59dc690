//! Routes about the server itself: open to anyone who can reach it, naming no tenant and no user.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body;
use super::error::{ApiError, ErrorBody};
use crate::services::Services;
use crate::services::room::NoRoom;

/// State of the server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok`; `disk_low` where reads go on but nothing is stored.
    #[schema(example = "ok")]
    status: &'static str,
    /// Version of the server.
    version: &'static str,
}

const HEALTH: Health = Health { status: "ok", version: env!("CARGO_PKG_VERSION") };

/// The process lives.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "system",
    responses((status = 200, description = "The process lives", body = Health)),
)]
pub async fn healthz() -> Result<Response, ApiError> {
    body::answer(StatusCode::OK, &HEALTH)
}

/// The server can do its work: the registry answers.
///
/// A disk that is almost full is told in `status` and not by the answer's own status, or a load balancer
/// would take away the reads as well.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "system",
    responses(
        (status = 200, description = "Ready", body = Health),
        (status = 500, description = "The disk does not answer", body = ErrorBody),
        (status = 503, description = "Not ready", body = ErrorBody),
    ),
)]
pub async fn readyz(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    services.list_tenants().await.map_err(|error| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the registry does not answer").with_cause(&error)
    })?;
    let status = match services.check_disk() {
        Ok(()) => HEALTH.status,
        Err(NoRoom::Disk { .. } | NoRoom::Quota { .. }) => "disk_low",
        Err(error @ NoRoom::Unknown(_)) => return Err((&error).into()),
    };
    body::answer(StatusCode::OK, &Health { status, ..HEALTH })
}

/// Series for Prometheus.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "system",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")),
)]
pub async fn metrics(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let text = services.metrics_text().await.map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}
