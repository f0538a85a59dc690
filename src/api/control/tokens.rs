//! Long-lived tokens of a tenant.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::principal::Scopes;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::services::Services;
use crate::services::auth::{Actor, NewApiToken};

/// A token to make.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateToken {
    /// Comma list of scopes.
    pub scopes: String,
    /// Lifetime in ms; without end when absent.
    pub lifetime_ms: Option<u64>,
    /// Name for people.
    pub name: Option<String>,
}

/// A made token, shown this once.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedTokenModel {
    /// Number.
    pub id: i64,
    /// The token.
    pub token: String,
    /// RFC 3339.
    pub expires_at: Option<String>,
}

impl std::fmt::Debug for CreatedTokenModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedTokenModel").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A token as the command line lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenModel {
    /// Number.
    pub id: i64,
    /// Name for people.
    pub name: Option<String>,
    /// Comma list of scopes.
    pub scopes: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; without end when absent.
    pub expires_at: Option<String>,
    /// RFC 3339.
    pub last_used_at: Option<String>,
    /// RFC 3339; valid when absent.
    pub revoked_at: Option<String>,
}

/// Makes a token.
pub async fn create_token(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    request: Request,
) -> Result<Response, ApiError> {
    let new: CreateToken = body::json(request).await?;
    let scopes: Scopes = new.scopes.parse().map_err(|e: crate::domain::principal::UnknownScope| {
        ApiError::bad_request("bad_value", "scopes", e.to_string())
    })?;
    let new = NewApiToken { name: new.name, scopes, lifetime: new.lifetime_ms.map(Duration::from_millis) };
    let created = services.auth.create_token(&Actor::command_line(), id, new).await?;
    let model = CreatedTokenModel {
        id: created.id,
        token: created.token.expose().to_owned(),
        expires_at: created.expires_at_ms.map(format_time),
    };
    body::answer(StatusCode::CREATED, &model)
}

/// Lists the tokens of a tenant.
pub async fn list_tokens(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
) -> Result<Response, ApiError> {
    let tokens: Vec<TokenModel> = services
        .auth
        .list_tokens(id)
        .await?
        .into_iter()
        .map(|token| TokenModel {
            id: token.id,
            name: token.name,
            scopes: token.scopes.to_string(),
            created_at: format_time(token.created_at_ms),
            expires_at: token.expires_at_ms.map(format_time),
            last_used_at: token.last_used_at_ms.map(format_time),
            revoked_at: token.revoked_at_ms.map(format_time),
        })
        .collect();
    body::answer(StatusCode::OK, &tokens)
}

/// Revokes a token.
pub async fn revoke_token(
    State(services): State<Arc<Services>>,
    Path((id, token)): Path<(TenantId, i64)>,
) -> Result<StatusCode, ApiError> {
    services.auth.revoke_token(&Actor::command_line(), id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}
