//! Who is calling: one credential out of the headers, checked, with the tenant it opens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::error::ApiError;
use crate::domain::principal::{Role, Scope, Scopes};
use crate::domain::tenant::TenantId;
use crate::registry::tenants::Tenant;
use crate::services::Services;
use crate::services::auth::{Actor, AuthError, AuthRequest, Credential, Secret};

/// Header by which the owner of the machine names the tenant on the control socket.
pub const OPERATOR_TENANT: &str = "anomalake-tenant";

/// Marks requests that came through the control socket: whoever may open it owns the data directory.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

/// A caller with a tenant.
#[derive(Debug, Clone)]
pub struct Caller {
    /// How the audit trail names the caller.
    pub actor: Actor,
    /// The tenant that the request acts in.
    pub tenant: Tenant,
    scopes: Scopes,
}

impl Caller {
    /// Refuses a caller that lacks a scope.
    ///
    /// # Errors
    /// `403` naming the scope.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        let message = format!("the credentials are valid but lack the scope {scope}");
        Err(ApiError::new(StatusCode::FORBIDDEN, "missing_scope", message).with_target(scope.as_str()))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // A value that is not text is present all the same, and wrong.
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The first credential present decides; there is no fall-through to the next one.
fn credential(headers: &HeaderMap) -> Result<Credential, AuthError> {
    if header(headers, "x-access-token").is_some() {
        // Access tokens are not issued, so none is valid.
        return Err(AuthError::InvalidCredentials);
    }
    if let Some(token) = header(headers, "netskope-api-token") {
        return Ok(Credential::ApiToken(Secret::new(token.trim().to_owned())));
    }
    let authorization = header(headers, AUTHORIZATION.as_str()).unwrap_or_default();
    let (scheme, value) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credential::ApiToken(Secret::new(value.trim().to_owned())));
    }
    if header(headers, "x-iam-token").is_none() && scheme.eq_ignore_ascii_case("basic") {
        return basic(value.trim()).ok_or(AuthError::InvalidCredentials);
    }
    Err(AuthError::InvalidCredentials)
}

fn basic(value: &str) -> Option<Credential> {
    let decoded = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    let (email, password) = decoded.split_once(':')?;
    Some(Credential::Basic { email: email.to_owned(), password: Secret::new(password.to_owned()) })
}

fn named_tenant(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(text) = header(headers, "bps-tenant-id") else { return Ok(None) };
    let number = text.trim().parse::<i64>();
    number.map(Some).map_err(|_| ApiError::bad_request("bad_value", "bps-tenant-id", "bps-tenant-id must be a number"))
}

impl FromRequestParts<Arc<Services>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, ApiError> {
        if parts.extensions.get::<Operator>().is_some() {
            let id: TenantId = header(&parts.headers, OPERATOR_TENANT).unwrap_or_default().parse().map_err(
                |e: crate::domain::tenant::InvalidTenantId| {
                    ApiError::bad_request("bad_value", OPERATOR_TENANT, e.to_string())
                },
            )?;
            let tenant = services.tenant(id).await?;
            return Ok(Self { actor: Actor::command_line(), tenant, scopes: Role::Admin.scopes() });
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let request =
            AuthRequest { credential: credential(&parts.headers)?, tenant: named_tenant(&parts.headers)?, peer };
        let principal = services.auth.authenticate(request).await?;
        let tenant = services.tenant(principal.tenant.id).await.map_err(|_| AuthError::InvalidCredentials)?;
        if tenant.key != principal.tenant {
            // Dropped and made anew since the credential was checked.
            return Err(AuthError::InvalidCredentials.into());
        }
        Ok(Self { actor: Actor::caller(&principal, peer), tenant, scopes: principal.scopes })
    }
}
