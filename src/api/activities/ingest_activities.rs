//! `POST /api/v1/activities`.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::api::body::Binary;
use crate::api::caller::{Caller, Operator};
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::formats::input::decompress::ContentEncoding;
use crate::formats::input::{Format, NATIVE_SOURCE, OnError};
use crate::services::Services;
use crate::services::ingest::{Dedup, IngestAnswer, IngestRequest};
use crate::services::own_sources::ChosenSource;
use crate::sources::{EMBEDDED, EmbeddedSource, Layout, embedded};

/// Header that makes a repeated request safe.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// Says that the answer is the first one of the key and that nothing was stored again.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Data files that the ingest wrote, those of its commit group included.
pub const FILES: HeaderName = HeaderName::from_static("anomalake-files");

/// Parameters of an ingest.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IngestParams {
    /// `reject` (default): a bad record refuses the whole body. `skip`: the good ones are stored.
    #[serde(default)]
    #[param(inline)]
    on_error: OnErrorParam,
    /// Whose records they are: `activities` (default) has the lake's own columns; `box`, `cloudtrail`,
    /// `dropbox`, `entra`, `github`, `google-workspace`, `m365`, `ocsf`, `okta` and `slack` are what these
    /// deliver, as `application/json` or `application/x-ndjson` (a record a line, bare or wrapped, documents
    /// over one line or many, lists of records, and any of these one after the other) or as `text/csv`.
    #[serde(default = "native")]
    source: String,
    /// `activityId`: a record is left out and counted in `duplicates` if a row with its `activityId` was stored from the
    /// same source within the last 7 days, or if a record before it has the same; a record without an id is always
    /// stored. `off` or `none`: every record is stored. Default `activityId`, for the source `activities` `off`.
    #[param(inline, example = "activityId")]
    dedup: Option<DedupParam>,
}

#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
enum DedupParam {
    #[serde(rename = "activityId")]
    ActivityId,
    #[serde(rename = "off")]
    Off,
    #[serde(rename = "none")]
    None,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum OnErrorParam {
    #[default]
    Reject,
    Skip,
}

fn native() -> String {
    NATIVE_SOURCE.to_owned()
}

/// Stores activities. `200` means that every accepted record is committed and on stable storage.
#[utoipa::path(
    post, path = "/api/v1/activities", operation_id = "ingest_activities", tag = "activities",
    params(
        IngestParams,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat of this request safe for 7 days"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`; found by content when absent"),
    ),
    request_body(
        description = "Records whose keys are the 56 columns and `activityId`; `timeStamp` is required. \
            CSV has a header line that names its columns, and an empty cell is null; Arrow may be a stream or a file. \
            Without a content type NDJSON, Arrow and Parquet are told by content",
        content(
            (String = "application/x-ndjson", example = "{\"timeStamp\":1596831780000,\"user\":\"ann@example.com\",\"actionName\":\"LOGIN\"}\n"),
            (String = "text/csv", example = "timeStamp,user,actionName\n1596831780000,ann@example.com,LOGIN\n"),
            (Binary = "application/vnd.apache.arrow.stream"),
            (Binary = "application/vnd.apache.parquet"),
        )
    ),
    responses(
        CallerErrors,
        (status = 200, description = "Stored and durable", body = IngestAnswer),
        (status = 400, description = "Bad records or body; nothing was stored", body = ErrorBody),
        (status = 401, description = "No valid credentials", body = ErrorBody),
        (status = 403, description = "The scope activities:write is missing", body = ErrorBody),
        (status = 408, description = "The upload stalled; nothing was stored", body = ErrorBody),
        (status = 409, description = "The idempotency key was used with another body", body = ErrorBody),
        (status = 413, description = "A record over 1 MiB, a record batch of Arrow that is too large, or the inflated body over `max-body`", body = ErrorBody),
        (status = 415, description = "A content type or encoding that is not known", body = ErrorBody),
        (status = 429, description = "Too much is queued; nothing was stored", body = ErrorBody),
        (status = 503, description = "Not stored, or the outcome is unknown: repeat with the same key", body = ErrorBody),
        (status = 507, description = "The tenant's quota or the server's disk has no room; nothing was stored", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn ingest_activities(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<IngestParams>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::ActivitiesWrite)?;
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let headers = request.headers();
    // The owner of the data directory may pipe in what comes when it comes.
    let is_operator = request.extensions().get::<Operator>().is_some();
    let own = if is_operator { services.kept_source(&params.source) } else { None };
    let source = match own {
        Some(own) => Some(ChosenSource::Own(own)),
        None => source(&params.source)?.map(ChosenSource::Embedded),
    };
    let ingest = IngestRequest {
        tenant: caller.tenant.key,
        format: if source.is_some() { None } else { format(headers)? },
        source: source.map(|source| Ok::<_, ApiError>((source, layout(headers)?))).transpose()?,
        encoding: encoding(headers)?,
        on_error: match params.on_error {
            OnErrorParam::Reject => OnError::Reject,
            OnErrorParam::Skip => OnError::Skip,
        },
        dedup: params.dedup.map(|dedup| match dedup {
            DedupParam::ActivityId => Dedup::ActivityId,
            DedupParam::Off | DedupParam::None => Dedup::Off,
        }),
        key: idempotency_key(headers)?,
        patience: (!is_operator).then_some(services.settings.upload_stall_timeout),
        body: request.into_body().into_data_stream().map_err(std::io::Error::other).boxed(),
    };
    let done = services.ingest(ingest).await?;
    let status = StatusCode::from_u16(done.status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(CONTENT_TYPE, "application/json")], done.answer).into_response();
    if done.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response.headers_mut().insert(FILES, HeaderValue::from(done.files));
    Ok(response)
}

/// The source of this name; none for the lake's own columns.
fn source(name: &str) -> Result<Option<&'static EmbeddedSource>, ApiError> {
    if name == NATIVE_SOURCE {
        return Ok(None);
    }
    embedded(name).map(Some).ok_or_else(|| {
        let known = EMBEDDED.iter().fold(NATIVE_SOURCE.to_owned(), |known, source| known + ", " + source.name);
        let message = format!("there is no source `{name}`; known are {known}");
        ApiError::bad_request("unknown_source", "source", message)
    })
}

/// Sources are read as CSV where it is said, else as JSON, whichever way it is laid out.
fn layout(headers: &HeaderMap) -> Result<Layout, ApiError> {
    if essence(headers).as_deref() == Some("application/json") {
        return Ok(Layout::Json);
    }
    match format(headers)? {
        None | Some(Format::Ndjson) => Ok(Layout::Json),
        Some(Format::Csv) => Ok(Layout::Csv),
        Some(Format::Arrow | Format::Parquet) => {
            let message = "sources are read as json or csv; send application/json, application/x-ndjson or text/csv";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message)
                .with_target("Content-Type"))
        }
    }
}

/// Type and subtype of the content, in lower case.
fn essence(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Types that say nothing about the content, such as curl's default, leave the choice to the content.
fn format(headers: &HeaderMap) -> Result<Option<Format>, ApiError> {
    let Some(essence) = essence(headers) else { return Ok(None) };
    match essence.as_str() {
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Some(Format::Ndjson)),
        "text/csv" => Ok(Some(Format::Csv)),
        "application/vnd.apache.arrow.stream" | "application/vnd.apache.arrow.file" => Ok(Some(Format::Arrow)),
        "application/vnd.apache.parquet" => Ok(Some(Format::Parquet)),
        "" | "application/octet-stream" | "application/x-www-form-urlencoded" => Ok(None),
        _ => {
            let message = "the content type is not known; send application/x-ndjson, text/csv, \
                application/vnd.apache.arrow.stream or application/vnd.apache.parquet";
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message)
                .with_target("Content-Type"))
        }
    }
}

fn encoding(headers: &HeaderMap) -> Result<Option<ContentEncoding>, ApiError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    let parsed = value.to_str().unwrap_or_default().trim().to_ascii_lowercase().parse::<ContentEncoding>();
    parsed.map(Some).map_err(|error| {
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", error.to_string())
            .with_target("Content-Encoding")
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let message = format!("the key must have 1 to {MAX_KEY_BYTES} visible ASCII characters");
        return Err(ApiError::bad_request("bad_value", "Idempotency-Key", message));
    }
    Ok(Some(key.to_owned()))
}
