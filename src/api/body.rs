//! Small bodies: JSON in, whatever the content type says, and JSON out.

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A file of bytes, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(pub Vec<u8>);

/// Largest JSON body, in bytes.
pub const MAX_JSON_BYTES: usize = 1 << 20;

/// Reads a JSON body. Both wire families parse JSON whatever the content type.
///
/// # Errors
/// `413` beyond [`MAX_JSON_BYTES`], `400` with line and column for bad JSON.
pub async fn json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    parse(&collect(request).await?)
}

/// [`json`] for a body all of whose fields are optional: an array would read as an object without any.
///
/// # Errors
/// As [`json`], and `400` for what is no object.
pub async fn object<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    let bytes = collect(request).await?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_json", "the body is wrong: an object is needed"));
    }
    parse(&bytes)
}

/// [`json`] for routes whose body is optional: an empty one is the default.
///
/// # Errors
/// As [`json`].
pub async fn json_or_default<T: DeserializeOwned + Default>(request: Request) -> Result<T, ApiError> {
    let bytes = collect(request).await?;
    if bytes.trim_ascii().is_empty() { Ok(T::default()) } else { parse(&bytes) }
}

async fn collect(request: Request) -> Result<Bytes, ApiError> {
    let limited = http_body_util::Limited::new(request.into_body(), MAX_JSON_BYTES);
    let collected = http_body_util::BodyExt::collect(limited).await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let message = format!("the body exceeds {MAX_JSON_BYTES} bytes");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        } else {
            ApiError::new(StatusCode::BAD_REQUEST, "incomplete_body", "the body did not arrive whole")
        }
    })?;
    Ok(collected.to_bytes())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "bad_json", format!("the body is wrong: {error}")))
}

/// Answers with JSON.
///
/// # Errors
/// `500` when the value cannot be written, which only a fault of ours can cause.
pub fn answer<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))?;
    Ok((status, [(CONTENT_TYPE, "application/json")], Body::from(body)).into_response())
}
