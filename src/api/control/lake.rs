//! Upkeep of a tenant's lake by hand.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::services::Services;
use crate::services::auth::Actor;
use crate::services::evidence::chain;
use crate::services::upkeep::{Command, UpkeepStep};

/// Steps that may wait for the client.
const STEPS_AHEAD: usize = 16;

/// What to do.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpkeepParams {
    #[serde(default)]
    dry_run: bool,
}

/// A line of the answer. The last one is [`UpkeepLine::End`]; an answer without it is cut off.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpkeepLine {
    /// A step that was done, or would be.
    Did(UpkeepStep),
    /// The end.
    End {
        /// What failed; nothing on success.
        error: Option<String>,
    },
}

/// How the lake is doing.
pub async fn lake_status(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
) -> Result<Response, ApiError> {
    body::answer(StatusCode::OK, &services.lake_status(id).await?)
}

/// Does upkeep and tells of each step as a line of JSON.
pub async fn lake_upkeep(
    State(services): State<Arc<Services>>,
    Path((id, command)): Path<(TenantId, String)>,
    Query(params): Query<UpkeepParams>,
) -> Result<Response, ApiError> {
    let command = match command.as_str() {
        "compact" => Command::Compact,
        "retain" => Command::Retain,
        "vacuum" => Command::Vacuum,
        other => return Err(ApiError::not_found(format!("there is no upkeep called `{other}`"))),
    };
    // An unknown tenant is an answer of its own.
    services.tenant(id).await?;
    let (steps, mut told) = mpsc::channel(STEPS_AHEAD);
    let (lines, body) = mpsc::channel::<Result<Bytes, serde_json::Error>>(1);
    let work = tokio::spawn(async move {
        services.upkeep_by_hand(&Actor::command_line(), id, command, params.dry_run, steps).await
    });
    tokio::spawn(async move {
        while let Some(step) = told.recv().await {
            if lines.send(line(&UpkeepLine::Did(step))).await.is_err() {
                return;
            }
        }
        let error = match work.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(chain(&error)),
            Err(error) => Some(chain(&error)),
        };
        // A client that is gone wants no end.
        let _ = lines.send(line(&UpkeepLine::End { error })).await;
    });
    let body = futures::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let answer = Response::builder().header(CONTENT_TYPE, "application/x-ndjson").body(Body::from_stream(body));
    answer.map_err(|error| ApiError::internal(&error))
}

fn line(line: &UpkeepLine) -> Result<Bytes, serde_json::Error> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text.into())
}
