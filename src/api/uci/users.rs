//! Listings of users: who is active, who is in which band.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::{Fields, UserName, refuse};
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::domain::uci::band::Band;

use crate::services::Services;
use crate::services::uci::{ActiveRequest, BandCounts, UserScore, UsersRequest};

/// Most users of one listing, repeated ones counted.
pub(super) const MAX_USERS: usize = 10_000;

/// The band that is asked for; none for `all` and for nothing.
fn rating_rank(fields: &Fields) -> Result<Option<Band>, ApiError> {
    let Some(text) = fields.text("ratingRank")? else { return Ok(None) };
    if text.trim().eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| refuse("ratingRank", "must be `all`, `poor`, `moderate` or `good`"))
}

/// Ratings that can be asked for, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum RatingRank {
    /// Any.
    All,
    /// 0 to 350.
    Poor,
    /// 351 to 650.
    Moderate,
    /// 651 to 1000.
    Good,
}

/// Which active users.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "ratingRank": "poor" }))]
pub struct ListActiveUci {
    /// Only these users, in any spelling; all when absent.
    #[schema(min_items = 1, max_items = 10000)]
    pub watchlist: Option<Vec<UserName>>,
    /// `all`, the default, `poor`, `moderate` or `good`.
    pub rating_rank: Option<RatingRank>,
}

/// An active user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveUser {
    /// The user in the spelling first seen.
    user: String,
    /// 00:00 UTC of the day of the score, ms since epoch.
    start_time: i64,
    /// The score now.
    #[schema(minimum = 0, maximum = 1000)]
    uci_score: i64,
}

/// Active users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveUsers {
    /// How many there are.
    #[schema(minimum = 0)]
    total_count: usize,
    /// All of them, by user.
    results: Vec<ActiveUser>,
}

/// Lists users with an impact in the last 48 hours, and their scores.
#[utoipa::path(
    post, path = "/api/v2/incidents/users/getactiveuci", operation_id = "list_active_uci", tag = "uci",
    request_body = Option<ListActiveUci>,
    responses(
        UciBodyErrors,
        (status = 200, description = "All of them", body = ActiveUsers),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_active_uci(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let fields = Fields::read_optional(request).await?;
    let users = if fields.has("watchlist") { Some(fields.users("watchlist", MAX_USERS)?) } else { None };
    let request = ActiveRequest { users, band: rating_rank(&fields)? };
    let found = services.active_users(&caller.tenant, request).await?;
    body::answer_large(&services, move || {
        let results: Vec<_> = found
            .into_iter()
            .map(|user| ActiveUser { user: user.user, start_time: user.day_start_ms, uci_score: user.score })
            .collect();
        Ok(ActiveUsers { total_count: results.len(), results })
    })
    .await
}

/// A text that is part of the user.
#[derive(Debug, utoipa::ToSchema)]
pub struct ContainsText {
    /// The text, without case.
    pub contains: Option<String>,
}

/// Which users.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "ratingRank": "poor", "user": { "contains": "@netskope.com" } }))]
pub struct ListUci {
    /// Only those with an impact in so many days before now.
    #[schema(minimum = 1)]
    pub users_active_in_last_days: Option<i64>,
    /// `all`, the default, `poor`, `moderate` or `good`; the counts are of all bands.
    pub rating_rank: Option<RatingRank>,
    /// Only those whose name contains this.
    pub user: Option<ContainsText>,
}

/// Users in each band.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BandCountsModel {
    /// 0 to 350.
    #[schema(minimum = 0)]
    poor: i64,
    /// 351 to 650.
    #[schema(minimum = 0)]
    moderate: i64,
    /// 651 to 1000.
    #[schema(minimum = 0)]
    good: i64,
}

impl From<BandCounts> for BandCountsModel {
    fn from(counts: BandCounts) -> Self {
        let BandCounts { poor, moderate, good } = counts;
        Self { poor, moderate, good }
    }
}

/// A user and the score now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatedUser {
    /// The user in the spelling first seen.
    user: String,
    /// 00:00 UTC of the day of the score, ms since epoch.
    start_time: i64,
    /// The score now.
    #[schema(minimum = 0, maximum = 1000)]
    uci_score: i64,
    /// `poor`, `moderate` or `good`.
    #[schema(example = "good")]
    rating_rank: &'static str,
    /// Time of the latest impact, ms since epoch; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last_impact_time: Option<i64>,
}

impl From<UserScore> for RatedUser {
    fn from(user: UserScore) -> Self {
        Self {
            user: user.user,
            start_time: user.day_start_ms,
            uci_score: user.score,
            rating_rank: Band::of_score(user.score).as_str(),
            last_impact_time: user.last_impact_ms,
        }
    }
}

/// Users by band.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatedUsers {
    /// Users in `results`.
    #[schema(minimum = 0)]
    total_count: usize,
    /// Users in each band, before the choice of one.
    counts: BandCountsModel,
    /// All of the chosen ones, by user.
    results: Vec<RatedUser>,
}

/// Lists known users and their scores, and counts them by band.
#[utoipa::path(
    post, path = "/api/v2/incidents/users/getuci", operation_id = "list_uci", tag = "uci",
    request_body = Option<ListUci>,
    responses(
        UciBodyErrors,
        (status = 200, description = "All of them", body = RatedUsers),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_uci(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let fields = Fields::read_optional(request).await?;
    let request = UsersRequest {
        // No impact lies further back than the calendar: beyond it everybody is active.
        active_in_last_days: fields.integer("usersActiveInLastDays", 1..=i64::MAX)?.map(|days| days.min(1_000_000)),
        band: rating_rank(&fields)?,
        user_contains: fields.object("user")?.unwrap_or_default().text("contains")?,
    };
    let found = services.users_by_band(&caller.tenant, request).await?;
    body::answer_large(&services, move || {
        let results: Vec<_> = found.users.into_iter().map(RatedUser::from).collect();
        Ok(RatedUsers { total_count: results.len(), counts: found.counts.into(), results })
    })
    .await
}
