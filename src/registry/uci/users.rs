//! The people whom the index is about, and what counts against them at present.

use sqlx::{FromRow, SqliteConnection};

use crate::domain::tenant::TenantKey;
use crate::domain::uci::score::Standing;
use crate::registry::RegistryError;
use crate::registry::rows::text_list;
use crate::registry::tenants::Tenant;
use crate::registry::writes::Writes;

/// A known user.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct MonitoredUser {
    /// The form of `user` that matching uses.
    pub user_key: String,
    /// The user in the spelling first seen.
    pub user: String,
    /// When the user was first seen, ms since epoch.
    pub first_seen_ms: i64,
    /// Time of the latest impact, ms since epoch.
    pub last_impact_ms: Option<i64>,
    /// The score that alerts have told.
    pub score: i64,
    points: i64,
    holds_from_ms: i64,
    holds_until_ms: i64,
    window_ms: i64,
}

impl MonitoredUser {
    /// A user of whom nothing is known yet.
    pub(super) fn new(user_key: String, user: &str, now_ms: i64, window_ms: i64) -> Self {
        let Standing { points, from_ms, until_ms } = Standing::CLEAR;
        Self {
            user_key,
            user: user.trim().to_owned(),
            first_seen_ms: now_ms,
            last_impact_ms: None,
            score: Standing::CLEAR.score(),
            points,
            holds_from_ms: from_ms,
            holds_until_ms: until_ms,
            window_ms,
        }
    }

    /// What is remembered of this moment; none when it must be computed.
    fn remembered(&self, window_ms: i64, t_ms: i64) -> Option<Standing> {
        let standing = Standing { points: self.points, from_ms: self.holds_from_ms, until_ms: self.holds_until_ms };
        (self.window_ms == window_ms && standing.holds_at(t_ms)).then_some(standing)
    }

    /// Remembers what counts under a window, and that its score was told.
    pub(super) fn remember(&mut self, standing: Standing, window_ms: i64) {
        self.score = standing.score();
        self.points = standing.points;
        self.holds_from_ms = standing.from_ms;
        self.holds_until_ms = standing.until_ms;
        self.window_ms = window_ms;
    }
}

/// What counts against a user at a moment, as the user's history says it: [`Timeline`](crate::domain::uci::score::Timeline)
/// at one time, added up where the rows are. Cost: the impacts of a window, once along an index; no row leaves it.
pub(super) async fn compute(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
    window_ms: i64,
    t_ms: i64,
) -> Result<Standing, RegistryError> {
    // The latest reset so far voids what was accepted before it; every start, end and reset to come may change the sum.
    let found: (i64, Option<i64>, Option<i64>, Option<i64>) = sqlx::query_as(
        "WITH resets AS (
             SELECT MAX(anomaly_id) FILTER (WHERE time_ms <= ?5) AS voided, MIN(time_ms) FILTER (WHERE time_ms > ?5) AS next_ms
             FROM uci_anomalies INDEXED BY uci_anomalies_by_user
             WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3 AND activity = 'reset')
         SELECT COALESCE(SUM(points), 0), MIN(time_ms), (SELECT next_ms FROM resets), (
             SELECT MIN(time_ms) FROM uci_anomalies INDEXED BY uci_anomalies_by_user
             WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3 AND activity = 'impact' AND time_ms > ?5)
         FROM uci_anomalies INDEXED BY uci_anomalies_by_user
         WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3 AND activity = 'impact' AND time_ms > ?4 AND time_ms <= ?5
             AND allowed_at_ms IS NULL AND anomaly_id > COALESCE((SELECT voided FROM resets), 0)",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(user_key)
    .bind(t_ms.saturating_sub(window_ms))
    .bind(t_ms)
    .fetch_one(conn)
    .await?;
    let (points, first_ms, next_reset_ms, next_impact_ms) = found;
    let first_end_ms = first_ms.map(|first_ms| first_ms.saturating_add(window_ms));
    let until_ms = [first_end_ms, next_reset_ms, next_impact_ms].into_iter().flatten().min().unwrap_or(i64::MAX);
    // Impacts that ended before `t` are not looked at, so of the time before it nothing is known.
    Ok(Standing { points, from_ms: t_ms, until_ms })
}

/// What counts against a user at a moment: as remembered, else computed. Cost: none, else the impacts of a window.
pub async fn standing(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user: &MonitoredUser,
    window_ms: i64,
    t_ms: i64,
) -> Result<Standing, RegistryError> {
    match user.remembered(window_ms, t_ms) {
        Some(standing) => Ok(standing),
        None => compute(conn, tenant, &user.user_key, window_ms, t_ms).await,
    }
}

/// The user of this key, when known.
pub async fn get(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
) -> Result<Option<MonitoredUser>, RegistryError> {
    let user = sqlx::query_as("SELECT * FROM monitored_users WHERE tenant_id = ? AND incarnation = ? AND user_key = ?");
    Ok(user.bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).fetch_optional(conn).await?)
}

/// Stores a user's present state.
pub(super) fn put(writes: &mut Writes, tenant: TenantKey, user: &MonitoredUser) {
    writes
        .row(
            "INSERT INTO monitored_users (tenant_id, incarnation, user_key, user, first_seen_ms, last_impact_ms, score, points,
                 holds_from_ms, holds_until_ms, window_ms)",
        )
        .value(tenant.id.get())
        .value(tenant.incarnation)
        .value(user.user_key.clone())
        .value(user.user.clone())
        .value(user.first_seen_ms)
        .value(user.last_impact_ms)
        .value(user.score)
        .value(user.points)
        .value(user.holds_from_ms)
        .value(user.holds_until_ms)
        .value(user.window_ms)
        .end(
            "ON CONFLICT (tenant_id, incarnation, user_key) DO UPDATE SET last_impact_ms = excluded.last_impact_ms,
                 score = excluded.score, points = excluded.points, holds_from_ms = excluded.holds_from_ms,
                 holds_until_ms = excluded.holds_until_ms, window_ms = excluded.window_ms",
        );
}

/// Known users by key: those among `keys`, when given, with an impact at `active_since_ms` or later, when given.
pub async fn list(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    keys: Option<&[String]>,
    active_since_ms: Option<i64>,
) -> Result<Vec<MonitoredUser>, RegistryError> {
    let users = match keys {
        None => sqlx::query_as(
            "SELECT * FROM monitored_users WHERE tenant_id = ?1 AND incarnation = ?2
                 AND (?3 IS NULL OR last_impact_ms >= ?3) ORDER BY user_key",
        ),
        Some(_) => sqlx::query_as(
            "SELECT * FROM monitored_users WHERE tenant_id = ?1 AND incarnation = ?2
                 AND (?3 IS NULL OR last_impact_ms >= ?3) AND user_key IN (SELECT value FROM json_each(?4))
             ORDER BY user_key",
        ),
    };
    let users = users.bind(tenant.id.get()).bind(tenant.incarnation).bind(active_since_ms);
    let users = match keys {
        None => users,
        Some(keys) => users.bind(text_list(keys)),
    };
    Ok(users.fetch_all(conn).await?)
}

/// The next known users behind a key, by key.
pub async fn after(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    after_key: &str,
    limit: u32,
) -> Result<Vec<MonitoredUser>, RegistryError> {
    let users = sqlx::query_as(
        "SELECT * FROM monitored_users WHERE tenant_id = ? AND incarnation = ? AND user_key > ? ORDER BY user_key LIMIT ?",
    );
    Ok(users.bind(tenant.id.get()).bind(tenant.incarnation).bind(after_key).bind(limit).fetch_all(conn).await?)
}

/// Active tenants that have users whose remembered state is not of now, as [`stale`] finds them. Cost: four look-ups in an
/// index a tenant, and nothing is written, so that thousands of idle tenants can be asked every few seconds.
pub async fn tenants_to_settle(
    conn: &mut SqliteConnection,
    default_window_ms: i64,
    now_ms: i64,
) -> Result<Vec<Tenant>, RegistryError> {
    let tenants = sqlx::query_as(
        "SELECT t.* FROM tenants t
         WHERE t.state = 'active' AND (
             EXISTS (SELECT 1 FROM monitored_users u WHERE u.tenant_id = t.tenant_id AND u.incarnation = t.incarnation
                 AND u.window_ms = COALESCE(t.uci_window_ms, ?1) AND u.holds_until_ms <= ?2)
             OR EXISTS (SELECT 1 FROM monitored_users u WHERE u.tenant_id = t.tenant_id AND u.incarnation = t.incarnation
                 AND u.window_ms < COALESCE(t.uci_window_ms, ?1))
             OR EXISTS (SELECT 1 FROM monitored_users u WHERE u.tenant_id = t.tenant_id AND u.incarnation = t.incarnation
                 AND u.window_ms > COALESCE(t.uci_window_ms, ?1))
             OR EXISTS (SELECT 1 FROM modified_clock c WHERE c.tenant_id = t.tenant_id AND c.incarnation = t.incarnation
                 AND c.last_ms > ?2))
         ORDER BY t.tenant_id",
    );
    Ok(tenants.bind(default_window_ms).bind(now_ms).fetch_all(conn).await?)
}

/// Users whose remembered state is past its end, or of another window; with `stepped_back` also those whose state
/// is of a time after now. Cost: index ranges of these; with `stepped_back` all users of the tenant.
pub(super) async fn stale(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    window_ms: i64,
    now_ms: i64,
    stepped_back: bool,
    limit: u32,
) -> Result<Vec<MonitoredUser>, RegistryError> {
    // One statement for each range, as an OR would not go along the index.
    let users = sqlx::query_as(
        "SELECT * FROM monitored_users
         WHERE tenant_id = ?1 AND incarnation = ?2 AND window_ms = ?3 AND holds_until_ms <= ?4
         UNION ALL SELECT * FROM monitored_users WHERE tenant_id = ?1 AND incarnation = ?2 AND window_ms < ?3
         UNION ALL SELECT * FROM monitored_users WHERE tenant_id = ?1 AND incarnation = ?2 AND window_ms > ?3
         UNION ALL SELECT * FROM monitored_users
         WHERE tenant_id = ?1 AND incarnation = ?2 AND window_ms = ?3 AND holds_until_ms > ?4 AND ?5 AND holds_from_ms > ?4
         LIMIT ?6",
    );
    let users = users.bind(tenant.id.get()).bind(tenant.incarnation).bind(window_ms).bind(now_ms);
    Ok(users.bind(stepped_back).bind(limit).fetch_all(conn).await?)
}
