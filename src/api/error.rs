//! Errors on the wire: what happened, as a status, a stable code and a message for the caller.
//!
//! A handler returns an [`ApiError`]; the layer [`render`] writes the body that the route's family
//! uses. The cause goes to the log with the request id and never to the caller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};

use super::uci::error::{GatewayErrorBody, UciErrorBody};
use crate::services::evidence::chain;
use crate::services::trouble::Trouble;

/// An error as the caller sees it, with the cause beside it.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Status.
    pub status: StatusCode,
    /// Stable code of `/api/v1`, for programs.
    pub code: &'static str,
    /// What happened and what to do, for people.
    pub message: String,
    /// The field or parameter at fault.
    pub target: Option<String>,
    /// More, for programs.
    pub details: Option<Value>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The cause; logged, not sent.
    pub internal: Option<String>,
}

impl ApiError {
    /// An error without target, details or cause.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), target: None, details: None, retry_after: None, internal: None }
    }

    /// A bad request, naming the field or parameter at fault.
    #[must_use]
    pub fn bad_request(code: &'static str, target: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message).with_target(target)
    }

    /// A fault of the server, of which the caller learns no more than that; or a trouble of its machine,
    /// which is told.
    #[must_use]
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(trouble) = Trouble::of(cause) {
            return Self::of_trouble(trouble, cause);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; see its log for this request id")
            .with_cause(cause)
    }

    /// The server's machine lacks something; what failed because of it is the cause.
    #[must_use]
    pub fn of_trouble(trouble: Trouble, cause: &(dyn std::error::Error + 'static)) -> Self {
        let (status, code, retry_after) = match trouble {
            Trouble::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "disk_full", None),
            Trouble::DiskReadOnly => (StatusCode::SERVICE_UNAVAILABLE, "disk_read_only", None),
            Trouble::OpenFiles => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many_open_files", Some(Duration::from_secs(1)))
            }
        };
        Self { retry_after, ..Self::new(status, code, trouble.message()).with_cause(cause) }
    }

    /// Adds to the message.
    #[must_use]
    pub fn saying(self, more: &str) -> Self {
        Self { message: format!("{}; {more}", self.message), ..self }
    }

    /// Nothing there.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Come back later.
    #[must_use]
    pub fn too_many(code: &'static str, message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, message) }
    }

    /// No such route, or method of it, under `/api/v2`.
    #[must_use]
    pub fn no_v2_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, NO_ROUTE, "no Route matched with those values")
    }

    /// Names the field or parameter at fault.
    #[must_use]
    pub fn with_target(self, target: &str) -> Self {
        Self { target: Some(target.to_owned()), ..self }
    }

    /// Adds details for programs.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_cause(self, cause: &(dyn std::error::Error + 'static)) -> Self {
        Self { internal: Some(chain(cause)), ..self }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Body of an error under `/api/v1`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// Stable code.
    pub code: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// The field or parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// More, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Id of the request, as in the server's log.
    pub request_id: String,
}

/// Body of an error under `/shnapi` and `/neo`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExternalErrorBody {
    /// The status.
    pub code: u16,
    /// What happened and what to do.
    pub message: String,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// More, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// Errors that every route with a caller may answer with; a route documents its own beside them.
#[derive(Debug)]
pub struct CallerErrors;

/// The same under `/shnapi`.
#[derive(Debug)]
pub struct ExternalCallerErrors;

const CALLER_ERRORS: [(StatusCode, &str); 7] = [
    (StatusCode::BAD_REQUEST, "A parameter, header or body is wrong"),
    (StatusCode::UNAUTHORIZED, "No valid credentials"),
    (StatusCode::FORBIDDEN, "The credentials lack the scope or the tenant"),
    (StatusCode::TOO_MANY_REQUESTS, "Too much at once; `Retry-After` tells when to try again"),
    (StatusCode::INTERNAL_SERVER_ERROR, "The server failed"),
    (StatusCode::SERVICE_UNAVAILABLE, "The server cannot answer now; try again"),
    (StatusCode::INSUFFICIENT_STORAGE, "The server's disk is full"),
];

/// Responses of [`CallerErrors`] with a body of this schema.
pub(super) fn caller_errors(schema: &str) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    let response = |text| ResponseBuilder::new().description(text).content("application/json", content()).build();
    CALLER_ERRORS.iter().map(|(status, text)| (status.as_str().to_owned(), RefOr::T(response(*text)))).collect()
}

impl IntoResponses for CallerErrors {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        caller_errors("ErrorBody")
    }
}

impl IntoResponses for ExternalCallerErrors {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        caller_errors("ExternalErrorBody")
    }
}

/// Whose conventions the error's body follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Own,
    External,
    Uci,
}

impl Family {
    fn of_path(path: &str) -> Self {
        if path.starts_with("/shnapi/") || path.starts_with("/neo/") {
            Self::External
        } else if is_v2(path) {
            Self::Uci
        } else {
            Self::Own
        }
    }
}

/// Whether a path belongs to the wire family of the user confidence index.
#[must_use]
pub fn is_v2(path: &str) -> bool {
    path.strip_prefix("/api/v2").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Browsers answer a Basic challenge with their own dialog, so only the routes whose clients know it give one.
fn challenge(path: &str) -> &'static str {
    if path.starts_with("/shnapi/") { "Basic realm=\"anomalake\", charset=\"UTF-8\"" } else { "Bearer" }
}

/// Writes the body of an error, in the form of the route's family, and logs the cause.
pub async fn render(request: Request, next: Next) -> Response {
    let family = Family::of_path(request.uri().path());
    let challenge = challenge(request.uri().path());
    let request_id = request_id(&request);
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() else { return response };
    if error.status.is_server_error() {
        tracing::error!(code = error.code, status = error.status.as_u16(), cause = error.internal, "request failed");
    } else {
        tracing::debug!(code = error.code, status = error.status.as_u16(), cause = error.internal, "request refused");
    }
    let body = match family {
        Family::Own => serde_json::to_vec(&ErrorBody {
            code: error.code,
            message: error.message.clone(),
            target: error.target.clone(),
            details: error.details.clone(),
            request_id,
        }),
        Family::External => serde_json::to_vec(&ExternalErrorBody {
            code: error.status.as_u16(),
            message: error.message.clone(),
            target: error.target.clone(),
            details: error.details.clone(),
        }),
        Family::Uci if matches!(error.code, NO_ROUTE | RATE_LIMITED) => {
            serde_json::to_vec(&GatewayErrorBody { message: error.message.clone() })
        }
        Family::Uci => serde_json::to_vec(&UciErrorBody::new(&error.message)),
    };
    let headers = response.headers_mut();
    headers.remove(axum::http::header::CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if error.code == UNAUTHENTICATED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(after) = error.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)));
    }
    *response.body_mut() = Body::from(body.unwrap_or_default());
    response
}

/// Code of missing or wrong credentials.
pub const UNAUTHENTICATED: &str = "unauthenticated";

/// Code of a route that does not exist under `/api/v2`.
pub const NO_ROUTE: &str = "no_route";

/// Code of too many requests under `/api/v2`.
pub const RATE_LIMITED: &str = "rate_limited";

/// Id of a request, as the outermost layer has set it.
pub fn request_id(request: &Request) -> String {
    let id = request.headers().get(super::policy::REQUEST_ID);
    id.and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned()
}
