//! `POST /api/v2/incidents/users/uci/reset`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::{Fields, UserName};
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::services::Services;
use crate::services::uci::MAX_RESET_USERS;

/// Users to reset.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(example = json!({ "users": ["name@netskope.com"] }))]
pub struct ResetUci {
    /// Users in any spelling.
    #[schema(min_items = 1, max_items = 1000, value_type = Vec<UserName>)]
    pub users: Vec<String>,
}

/// Users whose score is 1000.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({ "status": "success", "users": ["name@netskope.com"] }))]
pub struct ResetAnswer {
    /// Always `success`.
    pub status: String,
    /// The users, each once, in the spelling first seen.
    pub users: Vec<String>,
}

/// Sets scores to 1000, all or none. `200` means that they are durable, each with an audit anomaly and an alert.
#[utoipa::path(
    post, path = "/api/v2/incidents/users/uci/reset", operation_id = "reset_uci", tag = "uci",
    request_body = ResetUci,
    responses(
        UciBodyErrors,
        (status = 200, description = "All were reset", body = ResetAnswer),
        (status = 400, description = "Users without an index, named; nobody was reset", body = UciErrorBody),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn reset_uci(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let users = Fields::read(request).await?.users("users", MAX_RESET_USERS)?;
    let users = services.reset_users(&caller.actor, &caller.tenant, users).await?;
    body::answer(StatusCode::OK, &ResetAnswer { status: "success".to_owned(), users })
}
