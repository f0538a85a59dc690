//! Source files of the operator.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::services::Services;

/// A file to check and keep.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeepSource {
    /// The file.
    pub text: String,
}

/// A kept file.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeptSource {
    /// What `?source=` says for it, until the server stops.
    pub source: String,
    /// Its name, which the column `source` of its rows holds.
    pub name: String,
}

/// Checks a file and keeps it ready.
pub async fn keep_source(State(services): State<Arc<Services>>, request: Request) -> Result<Response, ApiError> {
    let KeepSource { text } = body::json(request).await?;
    let (source, kept) = services.keep_source(text).await?;
    body::answer(StatusCode::OK, &KeptSource { source, name: kept.name().to_owned() })
}
