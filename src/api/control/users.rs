//! Users and their roles.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::principal::Role;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::services::Services;
use crate::services::auth::{Actor, Secret};

/// A user to create.
#[derive(Serialize, Deserialize)]
pub struct CreateUser {
    /// Tenant of the first role.
    pub tenant: TenantId,
    /// E-mail address.
    pub email: String,
    /// First role.
    pub role: Role,
    /// Password, at least 8 characters.
    pub password: String,
}

impl std::fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateUser").field("tenant", &self.tenant).field("email", &self.email).finish_non_exhaustive()
    }
}

/// A role in a tenant.
#[derive(Debug, Serialize, Deserialize)]
pub struct GrantRole {
    /// The tenant.
    pub tenant: TenantId,
    /// The role; takes the place of an earlier one.
    pub role: Role,
}

/// A tenant to lose.
#[derive(Debug, Serialize, Deserialize)]
pub struct RevokeRole {
    /// The tenant.
    pub tenant: TenantId,
}

/// A new password.
#[derive(Serialize, Deserialize)]
pub struct NewPassword {
    /// At least 8 characters.
    pub password: String,
}

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewPassword").finish_non_exhaustive()
    }
}

/// A user as the command line shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserModel {
    /// E-mail address.
    pub email: String,
    /// May sign in.
    pub enabled: bool,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// Roles by tenant.
    pub roles: Vec<RoleModel>,
}

/// One role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleModel {
    /// The tenant's number.
    pub tenant: i64,
    /// The role.
    pub role: Role,
}

/// Creates a user with a first role.
pub async fn create_user(State(services): State<Arc<Services>>, request: Request) -> Result<StatusCode, ApiError> {
    let new: CreateUser = body::json(request).await?;
    let password = Secret::new(new.password);
    services.auth.create_user(&Actor::command_line(), new.tenant, &new.email, password, new.role).await?;
    Ok(StatusCode::CREATED)
}

/// Lists all users by address.
pub async fn list_users(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let users: Vec<UserModel> = services
        .auth
        .list_users()
        .await?
        .into_iter()
        .map(|user| UserModel {
            email: user.email,
            enabled: user.enabled,
            created_at: format_time(user.created_at_ms),
            roles: user.roles.into_iter().map(|(key, role)| RoleModel { tenant: key.id.get(), role }).collect(),
        })
        .collect();
    body::answer(StatusCode::OK, &users)
}

/// Gives a role.
pub async fn grant(
    State(services): State<Arc<Services>>,
    Path(email): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let grant: GrantRole = body::json(request).await?;
    services.auth.grant(&Actor::command_line(), grant.tenant, &email, grant.role).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the role in a tenant away.
pub async fn revoke(
    State(services): State<Arc<Services>>,
    Path(email): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let revoke: RevokeRole = body::json(request).await?;
    services.auth.revoke(&Actor::command_line(), revoke.tenant, &email).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a new password.
pub async fn passwd(
    State(services): State<Arc<Services>>,
    Path(email): Path<String>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let new: NewPassword = body::json(request).await?;
    services.auth.passwd(&Actor::command_line(), &email, Secret::new(new.password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a user sign in again.
pub async fn enable(State(services): State<Arc<Services>>, Path(email): Path<String>) -> Result<StatusCode, ApiError> {
    services.auth.enable(&Actor::command_line(), &email).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keeps a user from signing in.
pub async fn disable(State(services): State<Arc<Services>>, Path(email): Path<String>) -> Result<StatusCode, ApiError> {
    services.auth.disable(&Actor::command_line(), &email).await?;
    Ok(StatusCode::NO_CONTENT)
}
