//! The envelope of every answer of the incidents API.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::error::ApiError;
use crate::domain::time_text::format_time;
use crate::services::Services;

/// An object without keys.
#[derive(Debug, Clone, Copy, Default, Serialize, utoipa::ToSchema)]
pub struct NoHeaders {}

/// The envelope.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<T> {
    /// Always an empty object.
    headers: NoHeaders,
    /// The answer.
    body: EnvelopeBody<T>,
    /// Always `OK`: an error has a status and a body of its own.
    #[schema(example = "OK")]
    status_code: &'static str,
    /// Always 200.
    #[schema(example = 200)]
    status_code_value: u16,
}

/// The answer within the envelope.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvelopeBody<T> {
    /// About the answer.
    response_info: ResponseInfo,
    /// What was asked for.
    #[serde(flatten)]
    content: T,
}

/// About an answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResponseInfo {
    /// The limit that was applied.
    #[schema(example = 100)]
    actual_limit: usize,
    /// Time from the request to the answer, in ms.
    api_elapsed_millis: u64,
    /// Always null.
    error: Option<String>,
    /// Always null: pages go on by time.
    next_offset: Option<u64>,
    /// `startTime` of the next page.
    #[schema(example = "2026-11-22T10:00:00.001Z")]
    next_start_time: String,
}

/// An answer in the making; counts its time from here.
#[derive(Debug, Clone, Copy)]
pub struct Answer(Instant);

impl Answer {
    /// Begins to count.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Wraps the content and writes it, on the CPU runtime: a page of 10,000 incidents takes long enough
    /// to hold up other requests.
    ///
    /// # Errors
    /// `500` when the content cannot be written, which only a fault of ours can cause.
    pub async fn send<T, F>(
        self,
        services: &Arc<Services>,
        actual_limit: usize,
        next_start_ms: i64,
        content: F,
    ) -> Result<Response, ApiError>
    where
        T: Serialize,
        F: FnOnce() -> T + Send + 'static,
    {
        let written = services.cpu.spawn(async move {
            let content = content();
            let response_info = ResponseInfo {
                actual_limit,
                api_elapsed_millis: u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX),
                error: None,
                next_offset: None,
                next_start_time: format_time(next_start_ms),
            };
            serde_json::to_vec(&Envelope {
                headers: NoHeaders {},
                body: EnvelopeBody { response_info, content },
                status_code: "OK",
                status_code_value: 200,
            })
        });
        let bytes = written.await.map_err(|e| ApiError::internal(&e))?.map_err(|e| ApiError::internal(&e))?;
        Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response())
    }
}
