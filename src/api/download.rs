//! Exports as answers: a file with a name, chunks as they come, the row count where it is known.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, TE, TRAILER, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use http_body::Frame;

use crate::domain::anomaly::AnomalyId;
use crate::formats::output::{ExportForm, ExportFormat};
use crate::services::export::{Export, ExportBody};

/// Rows of the answer: a header where the count is known before the first row, else a trailer.
pub const ROWS: HeaderName = HeaderName::from_static("anomalake-rows");

/// Answers with an export. A failure on the way ends the connection without the end of the body, so
/// that the client can tell.
pub fn respond(export: Export, anomaly: Option<AnomalyId>, request_headers: &HeaderMap) -> Response {
    if export.rows == Some(0) {
        return nothing(export.form, anomaly);
    }
    let name = file_name(anomaly);
    respond_as(export, &name, request_headers)
}

/// As [`respond`], for a file of this name, without its extension. Zero rows have their format's empty form.
pub fn respond_as(export: Export, name: &str, request_headers: &HeaderMap) -> Response {
    let trailers = export.rows.is_none() && accepts_trailers(request_headers);
    let (form, rows) = (export.form, export.rows);
    let mut response = Response::new(Body::new(DownloadBody { inner: export.body, trailers }));
    let headers = response.headers_mut();
    describe(headers, form.format, name);
    if let Some(compression) = form.compression {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(compression.name()));
    }
    if let Some(rows) = rows {
        headers.insert(ROWS, HeaderValue::from(rows));
    }
    if trailers {
        headers.insert(TRAILER, HeaderValue::from_static("anomalake-rows"));
    }
    response
}

/// `200` with zero bytes, whatever the format: the wire contract's answer for nothing to give, which has no header
/// line without rows.
pub fn nothing(form: ExportForm, anomaly: Option<AnomalyId>) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    describe(headers, form.format, &file_name(anomaly));
    headers.insert(ROWS, HeaderValue::from(0));
    response
}

/// Type and name of the file, and what they were chosen by.
fn describe(headers: &mut HeaderMap, format: ExportFormat, name: &str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    let name = format!("attachment; filename=\"{name}.{}\"", format.extension());
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
}

fn file_name(anomaly: Option<AnomalyId>) -> String {
    format!("anomaly-{}-activities", anomaly.map_or(0, AnomalyId::get))
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
