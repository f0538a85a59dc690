//! Scores by day: of many users at once, and of one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::{Fields, UserName};
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::domain::uci::score::DayScore;
use crate::services::Services;
use crate::services::uci::{DEFAULT_DAYS, MAX_USERS, UserConfidences};

/// A score of a day.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confidence {
    /// 00:00 UTC of the day, ms since epoch.
    #[schema(example = 1_795_305_600_000_i64)]
    start: i64,
    /// The score at the day's last ms; today's is the one of now.
    #[schema(minimum = 0, maximum = 1000)]
    confidence_score: i64,
}

impl From<DayScore> for Confidence {
    fn from(day: DayScore) -> Self {
        Self { start: day.start_ms, confidence_score: day.score }
    }
}

/// A user's scores.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserUci {
    /// The user in the spelling first seen; an unknown one as asked.
    user_id: String,
    /// Days ascending, the last one is today; empty for an unknown user.
    confidences: Vec<Confidence>,
}

impl From<UserConfidences> for UserUci {
    fn from(user: UserConfidences) -> Self {
        Self { user_id: user.user, confidences: user.days.into_iter().map(Confidence::from).collect() }
    }
}

/// Users whose scores are wanted.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "users": ["name@netskope.com"], "fromTime": 0, "capPerUser": 7 }))]
pub struct GetUci {
    /// Users in any spelling, at most 512, repeated ones counted.
    #[schema(min_items = 1, max_items = 512)]
    pub users: Vec<UserName>,
    /// Days before the one of this time are left out, in ms since epoch; 0, the default, leaves out none.
    #[schema(minimum = 0, value_type = Option<f64>)]
    pub from_time: Option<i64>,
    /// Newest days of each user that are given; 7 by default.
    #[schema(minimum = 1)]
    pub cap_per_user: Option<i64>,
}

/// Scores of users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "usersUci": [{
    "userId": "name@netskope.com", "confidences": [{ "start": 1_795_305_600_000_i64, "confidenceScore": 950 }],
}] }))]
pub struct UsersUci {
    /// One entry for every user asked, in the order asked.
    users_uci: Vec<UserUci>,
}

/// Gives the scores of many users by day.
#[utoipa::path(
    post, path = "/api/v2/incidents/uba/getuci", operation_id = "get_uci", tag = "uci",
    request_body = GetUci,
    responses(
        UciBodyErrors,
        (status = 200, description = "One entry for every user asked", body = UsersUci),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_uci(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let fields = Fields::read(request).await?;
    let users = fields.users("users", MAX_USERS)?;
    let from_ms = fields.time_ms("fromTime")?.unwrap_or(0);
    let newest = fields.integer("capPerUser", 1..=i64::MAX)?.unwrap_or(DEFAULT_DAYS);
    let found = services.confidences(&caller.tenant, users, from_ms, Some(newest)).await?;
    body::answer_large(&services, move || Ok(UsersUci { users_uci: found.into_iter().map(UserUci::from).collect() }))
        .await
}

/// A user whose scores are wanted.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(example = json!({ "user": "name@netskope.com", "fromTime": 0 }))]
pub enum GetUserUci {
    /// As the contract calls it; goes before the other one.
    User(GetUciOfUser),
    /// As some clients call it.
    Username(GetUciOfUsername),
}

/// A user whose scores are wanted.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct GetUciOfUser {
    /// The user in any spelling.
    pub user: UserName,
    /// Days before the one of this time are left out, in ms since epoch; 0, the default, leaves out none.
    #[schema(minimum = 0, value_type = Option<f64>)]
    pub from_time: Option<i64>,
}

/// A user whose scores are wanted.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct GetUciOfUsername {
    /// The user in any spelling.
    pub username: UserName,
    /// Days before the one of this time are left out, in ms since epoch; 0, the default, leaves out none.
    #[schema(minimum = 0, value_type = Option<f64>)]
    pub from_time: Option<i64>,
}

/// Gives all scores of one user by day.
#[utoipa::path(
    post, path = "/api/v2/ubadatasvc/user/uci", operation_id = "get_user_uci", tag = "uci",
    request_body = GetUserUci,
    responses(
        UciBodyErrors,
        (status = 200, description = "The user's days; none for an unknown user", body = UserUci),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_user_uci(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let fields = Fields::read(request).await?;
    let name = if fields.has("user") || !fields.has("username") { "user" } else { "username" };
    let user = fields.needed_text(name)?;
    let from_ms = fields.time_ms("fromTime")?.unwrap_or(0);
    let found = services.confidences(&caller.tenant, vec![user.clone()], from_ms, None).await?;
    let found = found.into_iter().next().map_or(UserUci { user_id: user, confidences: Vec::new() }, UserUci::from);
    body::answer_large(&services, move || Ok(found)).await
}
