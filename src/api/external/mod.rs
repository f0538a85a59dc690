//! The wire contract of the anomalous activity and incidents APIs, under `/shnapi` and, for its access
//! tokens, `/neo`.

pub mod create_access_token;
pub mod create_iam_token;
pub mod criteria;
pub mod envelope;
pub mod incident;
pub mod list_groups;
pub mod modify_incidents;
pub mod query_activities;
pub mod query_incident_groups;
pub mod query_incident_information_keys;
pub mod query_incidents;

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::body;
use super::error::ApiError;

/// Answers with what nothing on the way may keep.
fn answer_secret<T: Serialize>(value: &T) -> Result<Response, ApiError> {
    let mut response = body::answer(StatusCode::OK, value)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn unknown_grant(message: &str) -> ApiError {
    ApiError::bad_request("unsupported_grant", "grant_type", message)
}
