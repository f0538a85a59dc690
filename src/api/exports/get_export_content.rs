//! `GET /api/v1/exports/{id}/content`.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tower_http::services::ServeFile;

use super::model::file_name;
use super::{id, viewer};
use crate::api::body::Binary;
use crate::api::caller::Caller;
use crate::api::download::ROWS;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::registry::exports::SavedExport;
use crate::services::Services;
use crate::services::saved_exports::{SavedExportError, format_of};

/// Gives the file of an export that is ready. It never changes, so a download that broke off goes on with
/// `Range` from where it stopped; `If-Range` with the `ETag` makes sure of the same file. Of several ranges
/// in one request none is served alone: the answer is the whole file.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/content", operation_id = "get_export_content", tag = "exports",
    params(
        ("id" = String, Path, description = "Number of the export", example = "17"),
        ("Range" = Option<String>, Header, description = "Part of the file: `bytes=1048576-`"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the caller has"),
    ),
    responses(
        CallerErrors,
        (
            status = 200, description = "The file",
            content(
                (String = "text/csv"),
                (Vec<Object> = "application/json"),
                (String = "application/x-ndjson"),
                (Binary = "application/vnd.apache.arrow.stream"),
                (Binary = "application/vnd.apache.parquet"),
            ),
            headers(
                ("ETag" = String, description = "SHA-256 of the file, hex, in quotes"),
                ("anomalake-rows" = i64, description = "Rows in the file"),
                ("Content-Disposition" = String, description = "`attachment; filename=\"export-17.csv\"`"),
            ),
        ),
        (
            status = 206, description = "A part of the file", body = Binary, content_type = "application/octet-stream",
            headers(("Content-Range" = String, description = "`bytes 1048576-2097151/2097152`")),
        ),
        (status = 304, description = "The caller has the file already"),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope sql:read is missing", body = ErrorBody),
        (status = 404, description = "No such export of the caller", body = ErrorBody),
        (status = 409, description = "Not made yet (`export_not_ready`), or given up (`export_failed`)", body = ErrorBody),
        (status = 412, description = "`If-Match` names another file", body = ErrorBody),
        (status = 416, description = "The range lies outside the file, whose size is in `Content-Range`", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_export_content(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.require(Scope::SqlRead)?;
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let asked = services.saved_export_file(&caller.actor, &caller.tenant, viewer(&caller), id(&path)?, range);
    let (export, file) = asked.await?;
    let Some(made) = &export.made else { return Err(ApiError::not_found("the export has no file")) };
    let etag = format!("\"{}\"", made.sha256);
    match wanted(&headers, &etag) {
        Wanted::Nothing => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            describe(response.headers_mut(), &export, &etag)?;
            Ok(response)
        }
        Wanted::Another => {
            let message = "the export's file is another than If-Match names";
            Err(ApiError::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", message).with_target("If-Match"))
        }
        Wanted::Bytes { range } => {
            let mut request = Request::new(Body::empty());
            if let Some(range) = range {
                request.headers_mut().insert(RANGE, range.clone());
            }
            let served = ServeFile::new(file).ignore_multi_range_requests(true).try_call(request).await;
            let mut response = match served {
                Ok(response) if response.status() != StatusCode::NOT_FOUND => response.map(Body::new),
                // It was deleted since it was looked up.
                Ok(_) => return Err(SavedExportError::Unknown.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SavedExportError::Unknown.into()),
                Err(error) => return Err(ApiError::internal(&error)),
            };
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok(unsatisfiable(&response));
            }
            describe(response.headers_mut(), &export, &etag)?;
            Ok(response)
        }
    }
}

/// What of the file the caller wants, by its conditions (RFC 9110, section 13.2.2).
#[derive(Debug, PartialEq, Eq)]
enum Wanted<'a> {
    /// It has the file.
    Nothing,
    /// It wants a file that this one is not.
    Another,
    /// The file or a part of it.
    Bytes {
        /// The part.
        range: Option<&'a HeaderValue>,
    },
}

fn wanted<'a>(headers: &'a HeaderMap, etag: &str) -> Wanted<'a> {
    let names = |header: &HeaderName, weak: bool| {
        let values = headers.get_all(header).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        let mut tags = values.map(str::trim);
        tags.any(|tag| tag == "*" || tag == etag || (weak && tag.strip_prefix("W/") == Some(etag)))
    };
    if headers.contains_key(IF_MATCH) && !names(&IF_MATCH, false) {
        return Wanted::Another;
    }
    if headers.contains_key(IF_NONE_MATCH) && names(&IF_NONE_MATCH, true) {
        return Wanted::Nothing;
    }
    // A date cannot name the file for certain, so it asks for the whole.
    let same = headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == etag.as_bytes());
    Wanted::Bytes { range: headers.get(RANGE).filter(|_| same) }
}

fn describe(headers: &mut HeaderMap, export: &SavedExport, etag: &str) -> Result<(), ApiError> {
    let value = |text: String| HeaderValue::try_from(text).map_err(|e| ApiError::internal(&e));
    // Two files of one second would be the same by date.
    headers.remove(LAST_MODIFIED);
    headers.insert(ETAG, value(etag.to_owned())?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, immutable"));
    headers.insert(CONTENT_DISPOSITION, value(format!("attachment; filename=\"{}\"", file_name(export)))?);
    if let Some(format) = format_of(&export.new) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    }
    if let Some(made) = &export.made {
        headers.insert(ROWS, HeaderValue::from(made.rows));
    }
    Ok(())
}

/// `416` with the body of our errors; the size of the file stays in its header.
fn unsatisfiable(served: &Response) -> Response {
    let message = "the range lies outside the file; its size is in the header Content-Range";
    let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad_range", message).with_target("Range");
    let mut response = error.into_response();
    if let Some(size) = served.headers().get(CONTENT_RANGE) {
        response.headers_mut().insert(CONTENT_RANGE, size.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_decide_what_is_sent() {
        let asked = |pairs: &[(HeaderName, &'static str)]| -> String {
            let headers: HeaderMap =
                pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
            match wanted(&headers, "\"a\"") {
                Wanted::Nothing => "nothing".to_owned(),
                Wanted::Another => "another".to_owned(),
                Wanted::Bytes { range } => range.map_or("all", |range| range.to_str().unwrap()).to_owned(),
            }
        };
        let range = (RANGE, "bytes=1-");
        assert_eq!(asked(&[]), "all");
        assert_eq!(asked(std::slice::from_ref(&range)), "bytes=1-");
        assert_eq!(asked(&[range.clone(), (IF_RANGE, "\"a\"")]), "bytes=1-");
        for other in ["\"b\"", "W/\"a\"", "Sun, 22 Nov 2026 00:00:00 GMT"] {
            assert_eq!(asked(&[range.clone(), (IF_RANGE, other)]), "all", "{other}");
        }
        for (tags, expected) in
            [("\"a\"", "nothing"), ("\"b\", W/\"a\"", "nothing"), ("*", "nothing"), ("\"b\"", "all")]
        {
            assert_eq!(asked(&[(IF_NONE_MATCH, tags)]), expected, "{tags}");
        }
        for (tags, expected) in [("\"a\"", "all"), ("*", "all"), ("W/\"a\"", "another"), ("\"b\"", "another")] {
            assert_eq!(asked(&[(IF_MATCH, tags)]), expected, "{tags}");
        }
    }
}
