//! Listings over many users: their anomalies, who is active, who is in which band.

use std::sync::Arc;

use super::error::{UciError, field};
use super::search::{Page, check_page, horizon, user_keys};
use crate::domain::day::DAY_MS;
use crate::domain::uci::band::Band;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::{UciActivity, UciAnomaly};
use crate::registry::uci::search::{RecordFilter, RecordOrder};
use crate::registry::uci::users;
use crate::services::Services;

/// A user with an impact in this time before now is active, in ms: 48 hours.
const ACTIVE_MS: i64 = 2 * DAY_MS;

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

impl BandCounts {
    fn count(&mut self, band: Band) {
        match band {
            Band::Poor => self.poor += 1,
            Band::Moderate => self.moderate += 1,
            Band::Good => self.good += 1,
        }
    }
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
        check_page(request.offset, request.limit)?;
        let now_ms = self.clock.now_ms();
        let filter = RecordFilter {
            activities: UciActivity::ALL.to_vec(),
            user_keys: request.users.as_deref().map(user_keys),
            sources: None,
            ids: None,
            start_ms: days_ago("timeframe", request.timeframe_days, now_ms)?.max(horizon(now_ms)),
            end_ms: i64::MAX,
        };
        let order = if request.descending { RecordOrder::TimeDescending } else { RecordOrder::TimeAscending };
        self.record_page(tenant, filter, order, request.offset, request.limit).await
    }

    /// Users with an impact in the last 48 hours and their scores, by user key.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn active_users(&self, tenant: &Tenant, request: ActiveRequest) -> Result<Vec<UserScore>, UciError> {
        let now_ms = self.clock.now_ms();
        let keys = request.users.as_deref().map(user_keys);
        let mut users = self.scores_now(tenant, keys, Some(now_ms.saturating_sub(ACTIVE_MS)), None, now_ms).await?;
        users.retain(|user| request.band.is_none_or(|band| Band::of_score(user.score) == band));
        Ok(users)
    }

    /// Known users by band.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::Registry`].
    pub async fn users_by_band(&self, tenant: &Tenant, request: UsersRequest) -> Result<UsersByBand, UciError> {
        let now_ms = self.clock.now_ms();
        let since_ms = match request.active_in_last_days {
            None => None,
            Some(days) => Some(days_ago("usersActiveInLastDays", days, now_ms)?),
        };
        let part = request.user_contains.map(|part| part.to_lowercase());
        let mut users = self.scores_now(tenant, None, since_ms, part, now_ms).await?;
        let mut counts = BandCounts::default();
        for user in &users {
            counts.count(Band::of_score(user.score));
        }
        users.retain(|user| request.band.is_none_or(|band| Band::of_score(user.score) == band));
        Ok(UsersByBand { counts, users })
    }

    /// Scores of known users at one moment, by user key. Cost: their rows, and the impacts of those whose score
    /// time has changed since it was last written.
    async fn scores_now(
        &self,
        tenant: &Tenant,
        keys: Option<Vec<String>>,
        active_since_ms: Option<i64>,
        part: Option<String>,
        now_ms: i64,
    ) -> Result<Vec<UserScore>, UciError> {
        let (registry, key, window_ms) = (Arc::clone(&self.registry), tenant.key, self.uci_settings(tenant).window_ms);
        let read = self.cpu.spawn(async move {
            let mut conn = registry.read().await?;
            let mut scores = Vec::new();
            for user in users::list(&mut conn, key, keys.as_deref(), active_since_ms).await? {
                if part.as_ref().is_some_and(|part| !user.user_key.contains(part.as_str())) {
                    continue;
                }
                let standing = users::standing(&mut conn, key, &user, window_ms, now_ms).await?;
                scores.push(UserScore {
                    user: user.user,
                    score: standing.score(),
                    day_start_ms: now_ms.div_euclid(DAY_MS) * DAY_MS,
                    last_impact_ms: user.last_impact_ms,
                });
            }
            Ok::<_, UciError>(scores)
        });
        read.await?
    }
}

/// So many days before now, ms since epoch.
fn days_ago(name: &'static str, days: i64, now_ms: i64) -> Result<i64, UciError> {
    if days < 1 {
        return Err(field(name, "must be a number of days, at least 1"));
    }
    Ok(now_ms.saturating_sub(days.saturating_mul(DAY_MS)))
}
