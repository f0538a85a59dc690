//! Everything that holds for every request, in the order in which a request meets it.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use uuid::Uuid;

use super::error::{self, ApiError};
use super::rate::{self, RateLimits};
use super::unread;
use crate::services::Services;
use crate::services::metrics::RequestLabels;

/// Header that names a request; taken over from the caller when present.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the routes. The layer added last meets a request first.
pub fn apply(routes: Router, services: &Arc<Services>) -> Router {
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        // 8. Callers of the wire family /api/v2 are told what is left of their limit of requests.
        .layer(middleware::from_fn_with_state(Arc::new(RateLimits::new(Arc::clone(&services.clock))), rate::tell))
        // 7. A client that is refused in mid-upload gets to read why.
        .layer(middleware::from_fn(unread::read_the_rest))
        // 6. A page of another site may not use a browser's access to this server.
        .layer(middleware::from_fn(refuse_cross_site))
        // 5. A panic is an error of ours, and the connection and the process live on.
        .layer(CatchPanicLayer::custom(panicked))
        // 4. Errors get the body of their family.
        .layer(middleware::from_fn(error::render))
        // 3. Counted by route template, never by path.
        .layer(middleware::from_fn_with_state(Arc::clone(services), count))
        // 2. One span a request; neither headers nor query strings are logged.
        .layer(TraceLayer::new_for_http().make_span_with(span))
        // 1. Every request and every answer has an id.
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, NewRequestId))
}

#[derive(Debug, Clone, Copy)]
struct NewRequestId;

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        HeaderValue::from_str(&Uuid::now_v7().to_string()).ok().map(RequestId::new)
    }
}

fn span(request: &Request) -> tracing::Span {
    tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
        request_id = error::request_id(request),
    )
}

async fn count(State(services): State<Arc<Services>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = known_method(request.method()).to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let seconds = begun.elapsed().as_secs_f64();
    services.metrics.request_seconds.observe(seconds);
    let labels = RequestLabels { method, route, status: response.status().as_u16() };
    services.metrics.requests.get_or_create(&labels).inc();
    tracing::info!(status = response.status().as_u16(), seconds, "answered");
    response
}

/// A caller may invent methods; a label may not grow with them.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

async fn refuse_cross_site(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site");
    if site.is_some_and(|site| site.as_bytes() == b"cross-site") {
        let message = "requests from pages of other sites are refused";
        return ApiError::new(StatusCode::FORBIDDEN, "cross_site", message).into_response();
    }
    next.run(request).await
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message = "the server failed; see its log for this request id";
    let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
    ApiError { internal: Some(format!("panic: {}", text.unwrap_or("without a text"))), ..error }.into_response()
}

async fn no_route(uri: Uri) -> ApiError {
    if error::is_v2(uri.path()) {
        return ApiError::no_v2_route();
    }
    ApiError::not_found("there is no such route; /openapi.json lists all")
}

async fn wrong_method(uri: Uri) -> ApiError {
    if error::is_v2(uri.path()) {
        return ApiError::no_v2_route();
    }
    let message = "the route has no such method; /openapi.json lists all";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
