//! Small bodies: JSON in, whatever the content type says, and JSON out.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::services::Services;

/// A file of bytes, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct Binary(pub Vec<u8>);

/// Largest JSON body, in bytes.
pub const MAX_JSON_BYTES: usize = 1 << 20;

/// Longest time for a JSON body to arrive.
pub const JSON_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a JSON body. Both wire families parse JSON whatever the content type.
///
/// # Errors
/// `413` beyond [`MAX_JSON_BYTES`], `408` after [`JSON_TIMEOUT`], `400` with line and column for bad JSON.
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

/// Reads a body of text.
///
/// # Errors
/// As [`json`], and `400` for what is no UTF-8.
pub async fn text(request: Request) -> Result<String, ApiError> {
    let bytes = collect(request).await?;
    String::from_utf8(bytes.into())
        .map_err(|_| ApiError::new(StatusCode::BAD_REQUEST, "bad_text", "the body is no text in UTF-8"))
}

async fn collect(request: Request) -> Result<Bytes, ApiError> {
    collect_within(request, MAX_JSON_BYTES, JSON_TIMEOUT).await
}

/// Reads a whole body of at most so many bytes within so much time.
///
/// # Errors
/// `413` beyond the bytes, `408` after the time, `400` when it breaks off.
pub async fn collect_within(request: Request, most: usize, time: Duration) -> Result<Bytes, ApiError> {
    let limited = http_body_util::Limited::new(request.into_body(), most);
    let arrived = tokio::time::timeout(time, http_body_util::BodyExt::collect(limited)).await;
    let arrived = arrived.map_err(|_| {
        let message = format!("the body did not arrive within {}", humantime::format_duration(time));
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
    })?;
    let collected = arrived.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            let message = format!("the body exceeds {most} bytes");
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

/// [`answer`] with a body that may be large: made and written on the CPU runtime, so that it holds up no other request.
///
/// # Errors
/// As [`answer`].
pub async fn answer_large<T, F>(services: &Services, content: F) -> Result<Response, ApiError>
where
    T: Serialize,
    F: FnOnce() -> serde_json::Result<T> + Send + 'static,
{
    let written = services.cpu.spawn(async move { serde_json::to_vec(&content()?) });
    let bytes = written.await.map_err(|e| ApiError::internal(&e))?.map_err(|e| ApiError::internal(&e))?;
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], Body::from(bytes)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = collect_within(Request::new(silent), 10, Duration::from_millis(5)).await.unwrap_err();
        assert_eq!((refused.status, refused.code), (StatusCode::REQUEST_TIMEOUT, "body_too_slow"));
        assert_eq!(collect_within(Request::new(Body::from("7")), 10, JSON_TIMEOUT).await.unwrap(), "7");
    }
}
