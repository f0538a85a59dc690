//! Backups of the whole data directory.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::watched::watched;
use crate::api::body;
use crate::api::error::ApiError;
use crate::services::Services;
use crate::services::auth::Actor;
use crate::services::meter::Meter;

/// Where the backup goes.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateBackup {
    /// Absolute path of a folder that is empty or not there yet, as the serving process sees it.
    pub dir: PathBuf,
}

/// Makes a backup; the answer's last line holds the report.
pub async fn create_backup(State(services): State<Arc<Services>>, request: Request) -> Result<Response, ApiError> {
    let CreateBackup { dir } = body::json(request).await?;
    let meter = Arc::<Meter>::default();
    let watch = Arc::clone(&meter);
    Ok(watched(meter, async move {
        let made = services.create_backup(&Actor::command_line(), &dir, &watch).await;
        made.map_err(ApiError::from)
    }))
}
