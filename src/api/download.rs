//! Exports as answers: format by `Accept`, chunks as they come, the row count where it is known.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{ACCEPT, CONTENT_TYPE, TE, TRAILER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use http_body::Frame;

use super::error::ApiError;
use crate::formats::wire_csv::WireCsvOptions;
use crate::services::export::{Export, ExportBody, ExportFormat};

/// Rows of the answer: a header where the count is known before the first row, else a trailer.
pub const ROWS: HeaderName = HeaderName::from_static("anomalake-rows");

/// Chooses the format that the caller accepts; CSV without a wish.
///
/// # Errors
/// `406` naming the formats there are.
pub fn negotiate(headers: &HeaderMap, csv: WireCsvOptions) -> Result<ExportFormat, ApiError> {
    let mut best: Option<(f32, ExportFormat)> = None;
    let mut asked = false;
    for value in headers.get_all(ACCEPT) {
        for choice in value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|c| !c.is_empty()) {
            asked = true;
            let mut parts = choice.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "*/*" | "text/*" | "text/csv" => ExportFormat::Csv(csv),
                "application/x-ndjson" | "application/ndjson" => ExportFormat::Ndjson,
                _ => continue,
            };
            let weight = parts
                .find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if weight > 0.0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, format));
            }
        }
    }
    match best {
        Some((_, format)) => Ok(format),
        None if !asked => Ok(ExportFormat::Csv(csv)),
        None => {
            let message = "none of the accepted formats can be written; there are text/csv and application/x-ndjson";
            Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message).with_target("Accept"))
        }
    }
}

/// Answers with an export. A failure on the way ends the connection without the end of the body, so
/// that the client can tell.
pub fn respond(export: Export, request_headers: &HeaderMap) -> Response {
    let trailers = export.rows.is_none() && accepts_trailers(request_headers);
    let content_type = export.content_type;
    let rows = export.rows;
    let mut response = if rows == Some(0) {
        // Zero bytes: the wire contract has no header line without rows.
        Response::new(Body::empty())
    } else {
        Response::new(Body::new(DownloadBody { inner: export.body, trailers }))
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(rows) = rows {
        headers.insert(ROWS, HeaderValue::from(rows));
    }
    if trailers {
        headers.insert(TRAILER, HeaderValue::from_static("anomalake-rows"));
    }
    response.into_response()
}

/// `200` with zero bytes: the wire contract's answer for nothing to give.
pub fn nothing(format: ExportFormat) -> Response {
    let headers = [(CONTENT_TYPE, format.content_type()), (ROWS, "0")];
    (StatusCode::OK, headers, Body::empty()).into_response()
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(TE).iter().any(|value| {
        value.to_str().unwrap_or_default().split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    })
}

struct DownloadBody {
    inner: ExportBody,
    trailers: bool,
}

impl http_body::Body for DownloadBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.inner).poll_next(context) {
            Poll::Ready(None) if self.trailers => {
                self.trailers = false;
                let rows = HeaderMap::from_iter([(ROWS, HeaderValue::from(self.inner.rows_written()))]);
                Poll::Ready(Some(Ok(Frame::trailers(rows))))
            }
            other => other.map(|next| next.map(|chunk| chunk.map(Frame::data))),
        }
    }
}
