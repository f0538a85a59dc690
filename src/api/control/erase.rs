//! Erasing a monitored user.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::watched::watched;
use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::services::Services;
use crate::services::auth::Actor;
use crate::services::meter::Meter;

/// Whom to erase.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EraseUser {
    /// The user, in any spelling that activities match by.
    pub user: String,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
}

/// Erases a user; the answer's last line holds the report.
pub async fn erase_user(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    request: Request,
) -> Result<Response, ApiError> {
    let EraseUser { user, dry_run } = body::json(request).await?;
    let meter = Arc::<Meter>::default();
    let watch = Arc::clone(&meter);
    Ok(watched(meter, async move {
        let erased = services.erase_user(&Actor::command_line(), id, &user, dry_run, &watch).await;
        erased.map_err(ApiError::from)
    }))
}
