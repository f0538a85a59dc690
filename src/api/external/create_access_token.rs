//! `POST /neo/neo-auth-service/oauth/token`.
//!
//! Source of the rule: wire contract of the anomaly activities, section 4.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::{answer_secret, unknown_grant};
use crate::api::credential::{IAM_TOKEN, PASSWORD, Peer, REFRESH_TOKEN, USERNAME, header, named_tenant, secret};
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::domain::principal::Role;
use crate::services::Services;
use crate::services::auth::{AuthError, Session, SessionGrant, SessionRequest};

/// What is exchanged. Other parameters are ignored.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CreateAccessTokenParams {
    /// `iam_token`, `password` or `refresh_token`.
    #[param(required, value_type = String, example = "iam_token")]
    grant_type: Option<String>,
}

/// An access token and the refresh token for the next one, shown this once.
#[derive(Serialize, utoipa::ToSchema)]
struct AccessTokenAnswer<'a> {
    /// For `x-access-token` or `Authorization: Bearer`.
    access_token: &'a str,
    /// `bearer`.
    token_type: &'static str,
    /// For `x-refresh-token` of this route, once.
    refresh_token: &'a str,
    /// Seconds until the access token expires.
    #[schema(example = 899)]
    expires_in: u64,
    /// `read` or `read write`, from the user's role in the tenant.
    scope: &'static str,
    /// The tenant's number.
    #[serde(rename = "tenantID")]
    tenant_id: i64,
    /// The tenant's name.
    #[serde(rename = "tenantName")]
    tenant_name: &'a str,
    /// The user's number.
    #[serde(rename = "userId")]
    user_id: i64,
    /// The user's e-mail address.
    email: &'a str,
    /// The user's e-mail address.
    user: &'a str,
}

impl<'a> AccessTokenAnswer<'a> {
    fn of(session: &'a Session) -> Self {
        Self {
            access_token: session.access_token.expose(),
            token_type: "bearer",
            refresh_token: session.refresh_token.expose(),
            expires_in: session.expires_in.as_secs(),
            scope: match session.role {
                Role::Reader => "read",
                Role::Manager | Role::Admin => "read write",
            },
            tenant_id: session.tenant.id.get(),
            tenant_name: &session.tenant_name,
            user_id: session.user_id,
            email: &session.email,
            user: &session.email,
        }
    }
}

/// Gives an access token for an IAM token, a password or a refresh token.
///
/// The grant names the header that counts; the body and other credentials are ignored. A refresh token is
/// taken once. Shown again it is refused, and all tokens that came from the same sign-in end.
#[utoipa::path(
    post, path = "/neo/neo-auth-service/oauth/token", operation_id = "create_access_token", tag = "external",
    params(
        CreateAccessTokenParams,
        ("bps-tenant-id" = Option<i64>, Header, description = "One of the user's tenants; needed only for `password` and with several"),
    ),
    responses(
        ExternalCallerErrors,
        (status = 200, description = "The tokens", body = AccessTokenAnswer),
        (status = 400, description = "Unknown grant, or the user has several tenants and names none", body = ExternalErrorBody),
        (status = 401, description = "Wrong, expired, used or revoked token, or wrong password", body = ExternalErrorBody),
        (status = 403, description = "Not in the named tenant", body = ExternalErrorBody),
        (status = 429, description = "Too many failed sign-ins, or too many at once; `Retry-After` tells when to try again", body = ExternalErrorBody),
    ),
    security(("iam_token" = []), ("username" = [], "password" = []), ("refresh_token" = [])),
)]
pub async fn create_access_token(
    State(services): State<Arc<Services>>,
    Peer(peer): Peer,
    headers: HeaderMap,
    params: Result<Query<CreateAccessTokenParams>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let grant = match params.grant_type.as_deref() {
        Some("iam_token") => secret(&headers, IAM_TOKEN).map(SessionGrant::IamToken),
        Some("refresh_token") => secret(&headers, REFRESH_TOKEN).map(SessionGrant::RefreshToken),
        Some("password") => header(&headers, USERNAME)
            .zip(secret(&headers, PASSWORD))
            .map(|(email, password)| SessionGrant::Password { email: email.into_owned(), password }),
        _ => return Err(unknown_grant("grant_type must be iam_token, password or refresh_token")),
    };
    let grant = grant.ok_or(AuthError::InvalidCredentials)?;
    let request = SessionRequest { grant, tenant: named_tenant(&headers)?, peer };
    let session = services.auth.open_session(request).await?;
    answer_secret(&AccessTokenAnswer::of(&session))
}
