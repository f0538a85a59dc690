//! `GET /api/v1/users/{user}/uci`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, CallerErrors, ErrorBody};
use crate::domain::principal::Scope;
use crate::domain::time_text::format_time;
use crate::services::Services;
use crate::services::uci::{CountingImpact, UciError, UserExplained};

/// A score and what it is made of.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedUci {
    /// The user in the spelling first seen.
    #[schema(example = "ann@example.com")]
    pub user: String,
    /// The moment that it is true of, RFC 3339.
    pub at: String,
    /// The score, 1000 is best.
    #[schema(minimum = 0, maximum = 1000, example = 950)]
    pub score: i64,
    /// `poor`, `moderate` or `good`.
    #[schema(example = "good")]
    pub band: String,
    /// How long an impact counts from its time on, in ms.
    pub window_ms: i64,
    /// The impacts that count. What is missing to 1000 is the sum of their points, or less where the score is 0.
    pub impacts: Vec<ExplainedImpact>,
}

/// An impact that counts.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedImpact {
    /// Id of the anomaly that it is, 24 hex digits.
    #[schema(example = "a1000000000000000000002a")]
    pub anomaly_id: String,
    /// When it happened, RFC 3339.
    pub time: String,
    /// When it stops to count, RFC 3339.
    pub until: String,
    /// Points that it takes off.
    #[schema(example = 50)]
    pub score: i64,
    /// Who reported it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// When it was accepted, RFC 3339.
    pub created_at: String,
}

impl From<UserExplained> for ExplainedUci {
    fn from(user: UserExplained) -> Self {
        Self {
            user: user.user,
            at: format_time(user.at_ms),
            score: user.score,
            band: user.band.as_str().to_owned(),
            window_ms: user.window_ms,
            impacts: user.impacts.into_iter().map(ExplainedImpact::from).collect(),
        }
    }
}

impl From<CountingImpact> for ExplainedImpact {
    fn from(impact: CountingImpact) -> Self {
        let anomaly = impact.anomaly;
        Self {
            anomaly_id: anomaly.id.to_hex(),
            time: format_time(anomaly.time_ms),
            until: format_time(impact.until_ms),
            score: anomaly.score,
            source: anomaly.source,
            reason: anomaly.reason,
            created_at: format_time(anomaly.created_at_ms),
        }
    }
}

/// Explains a user's score: the score now, its band, and the impacts that make it up.
#[utoipa::path(
    get, path = "/api/v1/users/{user}/uci", operation_id = "show_user_uci", tag = "uci",
    params(("user" = String, Path, description = "The user in any spelling", example = "ann@example.com")),
    responses(
        CallerErrors,
        (status = 200, description = "The score, explained", body = ExplainedUci),
        (status = 403, description = "The scope uci:read is missing", body = ErrorBody),
        (status = 404, description = "The user has neither an impact nor a reset", body = ErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn show_user_uci(
    State(services): State<Arc<Services>>,
    caller: Caller,
    user: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let unknown =
        || ApiError::not_found("the user has no confidence index: neither an impact nor a reset").with_target("user");
    let Path(user) = user.map_err(|_| unknown())?;
    let explained = services.explain_user(&caller.tenant, &user).await.map_err(|error| match error {
        UciError::UnknownUsers(_) => unknown(),
        other => other.into(),
    })?;
    body::answer(StatusCode::OK, &ExplainedUci::from(explained))
}
