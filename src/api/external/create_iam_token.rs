//! `POST /shnapi/rest/external/api/v1/token`.
//!
//! Source of the rule: wire contract of the anomaly activities, section 4.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{answer_secret, unknown_grant};
use crate::api::credential::{self, Peer, named_tenant};
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::services::Services;
use crate::services::auth::AuthError;

/// Which token for what. Other parameters are ignored.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CreateIamTokenParams {
    /// `password`.
    #[param(required, value_type = String, example = "password")]
    grant_type: Option<String>,
    /// `iam`.
    #[param(required, value_type = String, example = "iam")]
    token_type: Option<String>,
}

/// An IAM token, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
struct IamTokenAnswer<'a> {
    /// For `Authorization: Bearer` or `x-iam-token`; valid for 10 minutes unless set otherwise.
    access_token: &'a str,
    /// `bearer`.
    token_type: &'static str,
}

/// Gives an IAM token for e-mail address and password.
///
/// Only the Basic header counts here; the body and other credentials are ignored.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/token", operation_id = "create_iam_token", tag = "external",
    params(
        CreateIamTokenParams,
        ("bps-tenant-id" = Option<i64>, Header, description = "One of the user's tenants; needed only with several"),
    ),
    responses(
        ExternalCallerErrors,
        (status = 200, description = "The token", body = IamTokenAnswer),
        (status = 400, description = "Unknown grant or kind of token, or the user has several tenants and names none", body = ExternalErrorBody),
        (status = 401, description = "Unknown user, wrong password or disabled user", body = ExternalErrorBody),
        (status = 403, description = "The user has no role in the tenant", body = ExternalErrorBody),
        (status = 429, description = "Too many failed sign-ins, or too many at once; `Retry-After` tells when to try again", body = ExternalErrorBody),
    ),
    security(("basic" = [])),
)]
pub async fn create_iam_token(
    State(services): State<Arc<Services>>,
    Peer(peer): Peer,
    headers: HeaderMap,
    params: Result<Query<CreateIamTokenParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    if params.grant_type.as_deref() != Some("password") {
        return Err(unknown_grant("grant_type must be password"));
    }
    if params.token_type.as_deref() != Some("iam") {
        return Err(ApiError::bad_request("bad_value", "token_type", "token_type must be iam"));
    }
    let (email, password) = credential::basic(&headers).ok_or(AuthError::InvalidCredentials)?;
    let token = services.auth.issue_iam_token(&email, password, named_tenant(&headers)?, peer).await?;
    answer_secret(&IamTokenAnswer { access_token: token.expose(), token_type: "bearer" })
}
