//! Scores: by day, now, and explained.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::SqliteConnection;

use super::error::{UciError, field};
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;
use crate::domain::uci::band::Band;
use crate::domain::uci::score::{DayScore, Impact, Reset, Voids, score_of, span_of};
use crate::domain::user_key::user_key;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::{self, UciActivity, UciAnomaly};
use crate::registry::uci::users;
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

/// Which days are asked for.
#[derive(Clone, Copy)]
struct Days {
    from_ms: i64,
    newest: i64,
    now_ms: i64,
    window_ms: i64,
}

fn too_many_days() -> UciError {
    field("fromTime", format!("asks for more than {MAX_DAYS} days of all users; ask for fewer"))
}

/// One user's days, at most `room` of them.
async fn days_of(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user: &str,
    asked: Days,
    room: i64,
) -> Result<UserConfidences, UciError> {
    let key = user_key(user);
    let Some(known) = users::get(conn, tenant, &key).await? else {
        return Ok(UserConfidences { user: user.to_owned(), days: Vec::new() });
    };
    let first_ms = records::first_impact_ms(conn, tenant, &key).await?;
    // Of an earlier day only what still counts at its last ms matters.
    let newest_ms = asked.newest.saturating_mul(DAY_MS);
    let since_ms = asked.now_ms.saturating_sub(newest_ms).max(asked.from_ms.saturating_sub(DAY_MS));
    let line = records::timeline(conn, tenant, &key, since_ms, asked.window_ms).await?.beginning(first_ms);
    let range = line.day_range(asked.from_ms, asked.newest, asked.now_ms);
    if range.end - range.start > room {
        return Err(too_many_days());
    }
    Ok(UserConfidences { user: known.user, days: line.days(asked.from_ms, asked.newest, asked.now_ms) })
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
        if users.len() > MAX_USERS {
            return Err(field("users", format!("has {} users; at most {MAX_USERS} are answered at once", users.len())));
        }
        let newest = newest.unwrap_or(i64::MAX);
        if newest < 0 {
            return Err(field("capPerUser", "must be at least 0"));
        }
        // 0 stands for all days, and so do the years before it.
        let from_ms = if from_ms <= 0 { i64::MIN } else { from_ms };
        let window_ms = self.uci_settings(tenant).window_ms;
        let asked = Days { from_ms, newest, now_ms: self.clock.now_ms(), window_ms };
        let (registry, key) = (Arc::clone(&self.registry), tenant.key);
        let read = self.cpu.spawn(async move {
            let (mut room, mut answers) = (MAX_DAYS, Vec::<UserConfidences>::with_capacity(users.len()));
            let mut conn = registry.read().await?;
            let mut before: HashMap<String, usize> = HashMap::new();
            for (place, user) in users.iter().enumerate() {
                // A repeated user costs room, but not another look.
                let answer: UserConfidences = match before.get(&user_key(user)).and_then(|&at| answers.get(at)) {
                    Some(answer) => UserConfidences::clone(answer),
                    None => days_of(&mut conn, key, user, asked, room).await?,
                };
                room -= i64::try_from(answer.days.len()).unwrap_or(i64::MAX);
                if room < 0 {
                    return Err(too_many_days());
                }
                if !answer.days.is_empty() {
                    before.insert(user_key(user), place);
                }
                answers.push(answer);
            }
            Ok::<_, UciError>(answers)
        });
        read.await?
    }

    /// A user's score now and the impacts that make it up.
    ///
    /// # Errors
    /// [`UciError::UnknownUsers`], [`UciError::Registry`].
    pub async fn explain_user(&self, tenant: &Tenant, user: &str) -> Result<UserExplained, UciError> {
        let (key, window_ms) = (user_key(user), self.uci_settings(tenant).window_ms);
        let mut conn = self.registry.read().await?;
        let known = users::get(&mut conn, tenant.key, &key).await?;
        let known = known.ok_or_else(|| UciError::UnknownUsers(vec![user.to_owned()]))?;
        let at_ms = self.clock.now_ms();
        let history = records::of_user(&mut conn, tenant.key, &key, at_ms.saturating_sub(window_ms)).await?;
        let resets: Vec<Reset> = history
            .iter()
            .filter(|record| record.activity == UciActivity::Reset)
            .map(|record| Reset { number: record.id.get(), at_ms: record.time_ms })
            .collect();
        let voids = Voids::new(&resets);
        let impacts: Vec<CountingImpact> = history
            .into_iter()
            .filter(|record| record.activity == UciActivity::Impact)
            .filter_map(|anomaly| {
                let impact = Impact {
                    number: anomaly.id.get(),
                    time_ms: anomaly.time_ms,
                    points: anomaly.score,
                    allowed: anomaly.allowed.is_some(),
                };
                let span = span_of(impact, voids.of(impact.number), window_ms);
                span.contains(&at_ms).then_some(CountingImpact { anomaly, until_ms: span.end })
            })
            .collect();
        let score = score_of(impacts.iter().map(|counting| counting.anomaly.score).sum());
        Ok(UserExplained { user: known.user, at_ms, score, band: Band::of_score(score), window_ms, impacts })
    }
}
