//! An impact as callers send it.

use serde::{Deserialize, Serialize};

use super::fields::Fields;
use crate::api::error::ApiError;
use crate::services::uci::ImpactRequest;

/// Most points that one impact takes off.
pub const MAX_POINTS: i64 = 1000;

/// Risk that another product has seen in a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({
    "user": "name@netskope.com", "score": 50, "timestamp": 1_654_823_213_000_i64, "source": "Dropbox",
    "reason": "login failed too many times",
}))]
pub struct UciImpact {
    /// Whose score falls; matched trimmed and without case.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S")]
    pub user: String,
    /// Points to take off.
    #[schema(minimum = 1, maximum = 1000)]
    pub score: i64,
    /// When it happened, in ms since epoch; at most 5 minutes ahead of the server's clock. A float is cut off, and
    /// what is plainly in seconds is refused.
    #[schema(value_type = f64, minimum = 0)]
    pub timestamp: i64,
    /// The product that saw it.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S")]
    pub source: String,
    /// What it saw.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S")]
    pub reason: String,
}

impl UciImpact {
    /// Reads an impact; whether its time lies ahead is for the service to say.
    ///
    /// # Errors
    /// `400` naming the field.
    pub fn of(fields: &Fields) -> Result<Self, ApiError> {
        Ok(Self {
            user: fields.needed_text("user")?,
            score: fields.needed_integer("score", 1..=MAX_POINTS)?,
            timestamp: fields.needed_time_ms("timestamp")?,
            source: fields.needed_text("source")?,
            reason: fields.needed_text("reason")?,
        })
    }

    /// The impact as the service takes it.
    #[must_use]
    pub fn request(self, idempotency_key: Option<String>) -> ImpactRequest {
        let Self { user, score, timestamp: timestamp_ms, source, reason } = self;
        ImpactRequest { user, score, timestamp_ms, source, reason, idempotency_key }
    }
}
