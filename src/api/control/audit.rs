//! The audit trail of a tenant.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::services::Services;

/// Most entries of an answer, the oldest win.
pub const LIMIT: u32 = 10_000;

/// Since when.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditParams {
    #[serde(default)]
    since_ms: i64,
}

/// One entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditModel {
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub principal: String,
    /// From where.
    pub address: Option<String>,
    /// What.
    pub action: String,
    /// On what.
    pub target: Option<String>,
    /// More.
    pub detail: serde_json::Value,
    /// Rows given.
    pub rows: Option<i64>,
}

/// Lists entries, as the registry orders them.
pub async fn list_audit(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    Query(params): Query<AuditParams>,
) -> Result<Response, ApiError> {
    let tenant = services.tenant(id).await?;
    let mut conn = services.registry.read().await?;
    let entries = crate::registry::audit::list(&mut conn, tenant.key, params.since_ms, LIMIT).await?;
    let entries: Vec<AuditModel> = entries
        .into_iter()
        .map(|e| AuditModel {
            at: format_time(e.at_ms),
            principal: e.principal,
            address: e.address,
            action: e.action,
            target: e.target,
            detail: e.detail,
            rows: e.rows,
        })
        .collect();
    body::answer(StatusCode::OK, &entries)
}
