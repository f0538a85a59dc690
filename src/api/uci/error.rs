//! Errors of `/api/v2` on the wire and in the document.
//!
//! Source of the rules: wire contract of the user confidence index, section 3.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::IntoResponses;
use utoipa::openapi::schema::{Object, OneOfBuilder, Type};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, ResponseBuilder};

use crate::api::error::caller_errors;
use crate::api::rate::{LIMIT, REMAINING, RESET};

/// Body of an error under `/api/v2`: one text under every name that clients look for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UciErrorBody {
    /// Always 0.
    #[schema(example = 0, minimum = 0, maximum = 0)]
    pub ok: u8,
    /// Always `error`.
    #[schema(example = "error")]
    pub status: &'static str,
    /// What happened and what to do.
    pub message: String,
    /// The same.
    pub error: String,
    /// The same.
    pub error_msg: String,
}

impl UciErrorBody {
    /// A body with this text.
    #[must_use]
    pub fn new(message: &str) -> Self {
        let text = || message.to_owned();
        Self { ok: 0, status: "error", message: text(), error: text(), error_msg: text() }
    }
}

/// Body under `/api/v2` of what is refused before any route: no such route, too many requests.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GatewayErrorBody {
    /// What happened.
    #[schema(example = "API rate limit exceeded")]
    pub message: String,
}

/// The same under `/api/v2`, where too many requests have a body of their own.
#[derive(Debug)]
pub struct UciCallerErrors;

/// [`UciCallerErrors`] and those of a JSON body.
#[derive(Debug)]
pub struct UciBodyErrors;

impl IntoResponses for UciCallerErrors {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut responses = caller_errors("UciErrorBody");
        let headers = [
            ("retry-after", "Seconds to wait"),
            (LIMIT, "Requests that the limit allows at once"),
            (REMAINING, "Requests of these that are left"),
            (RESET, "Seconds until all are left again"),
        ];
        let body = ContentBuilder::new()
            .schema(Some(
                OneOfBuilder::new()
                    .item(Ref::from_schema_name("GatewayErrorBody"))
                    .item(Ref::from_schema_name("UciErrorBody")),
            ))
            .build();
        let text = "More requests than the tenant's limit, or too much at once; `Retry-After` tells when to try again";
        let mut response = ResponseBuilder::new().description(text).content("application/json", body);
        for (name, text) in headers {
            let header =
                HeaderBuilder::new().description(Some(text)).schema(Some(Object::with_type(Type::Integer))).build();
            response = response.header(name, header);
        }
        responses.insert(StatusCode::TOO_MANY_REQUESTS.as_str().to_owned(), RefOr::T(response.build()));
        responses
    }
}

impl IntoResponses for UciBodyErrors {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let body = || ContentBuilder::new().schema(Some(Ref::from_schema_name("UciErrorBody"))).build();
        let of_bodies = [
            (StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time; nothing was stored"),
            (StatusCode::PAYLOAD_TOO_LARGE, "A body over 1 MiB"),
        ];
        let mut responses = UciCallerErrors::responses();
        responses.extend(of_bodies.map(|(status, text)| {
            let response = ResponseBuilder::new().description(text).content("application/json", body()).build();
            (status.as_str().to_owned(), RefOr::T(response))
        }));
        responses
    }
}
