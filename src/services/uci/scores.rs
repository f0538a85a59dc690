//! Scores: by day, now, and explained.

use super::error::UciError;
use crate::domain::uci::band::Band;
use crate::domain::uci::score::DayScore;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// Most users of one request, repeated ones counted.
pub const MAX_USERS: usize = 512;

/// Days of a user that are shown when nothing else is said.
pub const DEFAULT_DAYS: i64 = 7;

/// Most days of one answer, of all users together.
pub const MAX_DAYS: i64 = 1_000_000;

/// One user's scores by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserConfidences {
    /// The user in the spelling first seen; an unknown one as asked.
    pub user: String,
    /// Days ascending, the last one is now; empty for an unknown user.
    pub days: Vec<DayScore>,
}

/// An impact that makes up a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountingImpact {
    /// The anomaly.
    pub anomaly: UciAnomaly,
    /// First ms at which it counts no more, since epoch.
    pub until_ms: i64,
}

/// A score and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserExplained {
    /// The user in the spelling first seen.
    pub user: String,
    /// The moment that it is true of, ms since epoch.
    pub at_ms: i64,
    /// The score.
    pub score: i64,
    /// Its band.
    pub band: Band,
    /// How long an impact counts, in ms.
    pub window_ms: i64,
    /// Impacts that count, in the order in which they were accepted. Their points make up what is missing
    /// to 1000, or more than that when the score is 0.
    pub impacts: Vec<CountingImpact>,
}

impl Services {
    /// Scores by day, one entry for every user asked, in the order asked: days from that of `from_ms` on (0:
    /// all), of them the newest `newest` ones (none: all).
    ///
    /// # Errors
    /// [`UciError::Field`] for more than [`MAX_USERS`] users (`users`), a negative `newest` (`capPerUser`) or
    /// more than [`MAX_DAYS`] days (`fromTime`); [`UciError::Registry`].
    pub async fn confidences(
        &self,
        tenant: &Tenant,
        users: Vec<String>,
        from_ms: i64,
        newest: Option<i64>,
    ) -> Result<Vec<UserConfidences>, UciError> {
        todo!()
    }

    /// A user's score now and the impacts that make it up.
    ///
    /// # Errors
    /// [`UciError::UnknownUsers`], [`UciError::Registry`].
    pub async fn explain_user(&self, tenant: &Tenant, user: &str) -> Result<UserExplained, UciError> {
        todo!()
    }
}
