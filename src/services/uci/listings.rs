//! Listings over many users: their anomalies, who is active, who is in which band.

use super::error::UciError;
use super::search::Page;
use crate::domain::uci::band::Band;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// A request for the anomalies of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserActivityRequest {
    /// Users in any spelling; none: all.
    pub users: Option<Vec<String>>,
    /// Days before now, at least 1; what is older than 90 days is never shown.
    pub timeframe_days: i64,
    /// Rows to skip; at least 0.
    pub offset: i64,
    /// Most rows, 1 to 10,000.
    pub limit: i64,
    /// Latest first; else earliest first. Ordered by time, then by id.
    pub descending: bool,
}

/// A request for users who were active in the last 48 hours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveRequest {
    /// Only these users, in any spelling; none: all.
    pub users: Option<Vec<String>>,
    /// Only those in this band.
    pub band: Option<Band>,
}

/// A request for users by band.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsersRequest {
    /// Only those with an impact in so many days before now; at least 1.
    pub active_in_last_days: Option<i64>,
    /// Only those in this band in the results; the counts are of all bands.
    pub band: Option<Band>,
    /// Only those whose name contains this, without regard to case.
    pub user_contains: Option<String>,
}

/// A user's score now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserScore {
    /// The user in the spelling first seen.
    pub user: String,
    /// The score.
    pub score: i64,
    /// Start of the UTC day that it is of, ms since epoch.
    pub day_start_ms: i64,
    /// Time of the user's latest impact, ms since epoch.
    pub last_impact_ms: Option<i64>,
}

/// How many users are in each band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandCounts {
    /// 0 to 350.
    pub poor: i64,
    /// 351 to 650.
    pub moderate: i64,
    /// 651 to 1000.
    pub good: i64,
}

/// Users and how many are in which band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsersByBand {
    /// Counts before the choice of a band.
    pub counts: BandCounts,
    /// The users, by user key.
    pub users: Vec<UserScore>,
}

impl Services {
    /// A page of the anomalies of users.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::Registry`].
    pub async fn user_anomalies(
        &self,
        tenant: &Tenant,
        request: UserActivityRequest,
    ) -> Result<Page<UciAnomaly>, UciError> {
        todo!()
    }

    /// Users with an impact in the last 48 hours and their scores, by user key.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn active_users(&self, tenant: &Tenant, request: ActiveRequest) -> Result<Vec<UserScore>, UciError> {
        todo!()
    }

    /// Known users by band.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::Registry`].
    pub async fn users_by_band(&self, tenant: &Tenant, request: UsersRequest) -> Result<UsersByBand, UciError> {
        todo!()
    }
}
