//! Who is calling: one credential out of the headers, checked, with the tenant it opens.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::credential::{self, Peer, header, named_tenant};
use super::error::ApiError;
use crate::domain::principal::{Role, Scope, Scopes};
use crate::domain::tenant::TenantId;
use crate::registry::tenants::{Tenant, TenantError};
use crate::services::Services;
use crate::services::auth::{Actor, AuthError, AuthRequest};

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
    /// Whether the caller holds a scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }

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
        let Ok(Peer(peer)) = Peer::from_request_parts(parts, services).await;
        let headers = &parts.headers;
        let request = AuthRequest { credential: credential::shown(headers)?, tenant: named_tenant(headers)?, peer };
        let principal = services.auth.authenticate(request).await?;
        let tenant = services.tenant(principal.tenant.id).await.map_err(|error| match error {
            TenantError::NotFound(_) | TenantError::Dropping(_) => AuthError::InvalidCredentials.into(),
            other => ApiError::from(other),
        })?;
        if tenant.key != principal.tenant {
            // Dropped and made anew since the credential was checked.
            return Err(AuthError::InvalidCredentials.into());
        }
        Ok(Self { actor: Actor::caller(&principal, peer), tenant, scopes: principal.scopes })
    }
}
