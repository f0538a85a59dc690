//! A tenant's settings: overrides of the server's limits, and the anomalous-activity feature.

use sqlx::{FromRow, SqliteConnection};

use super::tenants::{self, Tenant, TenantError};
use crate::domain::api_rate::ApiRate;
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantId;
use crate::domain::uci::score::{BEST, MAX_WINDOW_MS};

const HOUR_MS: i64 = 3_600_000;

/// The limits that apply to a tenant; as a value of its own, the server's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from an anomaly's creation until its activities are available, in ms.
    pub availability_delay_ms: i64,
    /// Time from an anomaly's creation during which its activities are available, in ms.
    pub recency_ms: i64,
    /// Activities of one anomaly that an export gives, the newest win.
    pub max_activities: i64,
    /// Time that activities are kept, in ms.
    pub activity_retention_ms: i64,
}

impl Default for Limits {
    /// 12 hours, 15 days, 100,000 activities, 100 days (wire contract, section 1).
    fn default() -> Self {
        Self {
            availability_delay_ms: 12 * HOUR_MS,
            recency_ms: 15 * DAY_MS,
            max_activities: 100_000,
            activity_retention_ms: 100 * DAY_MS,
        }
    }
}

/// A tenant's own limits; none means the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Overrides {
    /// See [`Limits::availability_delay_ms`].
    pub availability_delay_ms: Option<i64>,
    /// See [`Limits::recency_ms`].
    pub recency_ms: Option<i64>,
    /// See [`Limits::max_activities`].
    pub max_activities: Option<i64>,
    /// See [`Limits::activity_retention_ms`].
    pub activity_retention_ms: Option<i64>,
}

impl Overrides {
    /// The limits that apply over the server's defaults.
    #[must_use]
    pub fn over(&self, defaults: &Limits) -> Limits {
        Limits {
            availability_delay_ms: self.availability_delay_ms.unwrap_or(defaults.availability_delay_ms),
            recency_ms: self.recency_ms.unwrap_or(defaults.recency_ms),
            max_activities: self.max_activities.unwrap_or(defaults.max_activities),
            activity_retention_ms: self.activity_retention_ms.unwrap_or(defaults.activity_retention_ms),
        }
    }
}

/// Settings of the User Confidence Index; as a value of its own, the server's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UciSettings {
    /// How long an impact counts, in ms; at most 90 days.
    pub window_ms: i64,
    /// A fall below this score is told; 0 tells none.
    pub threshold: i64,
    /// Requests a second that the rate-limited routes take from one token.
    pub api_rate: ApiRate,
}

impl Default for UciSettings {
    /// 30 days, 651, 4 a second (wire contract of the index, sections 1 to 3).
    fn default() -> Self {
        Self { window_ms: 30 * DAY_MS, threshold: 651, api_rate: ApiRate::default() }
    }
}

/// A tenant's own settings of the index; none means the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct UciOverrides {
    /// See [`UciSettings::window_ms`].
    #[sqlx(rename = "uci_window_ms")]
    pub window_ms: Option<i64>,
    /// See [`UciSettings::threshold`].
    #[sqlx(rename = "uci_threshold")]
    pub threshold: Option<i64>,
    /// See [`UciSettings::api_rate`], as [`ApiRate::number`].
    pub api_rate: Option<u32>,
}

impl UciOverrides {
    /// The settings that apply over the server's defaults.
    #[must_use]
    pub fn over(&self, defaults: &UciSettings) -> UciSettings {
        UciSettings {
            window_ms: self.window_ms.unwrap_or(defaults.window_ms),
            threshold: self.threshold.unwrap_or(defaults.threshold),
            api_rate: self.api_rate.map_or(defaults.api_rate, ApiRate::of_number),
        }
    }
}

/// A change of settings; what is none stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// Switches the anomalous-activity feature. `true` while it is on changes nothing; after `false` it starts anew.
    pub anomalous_activity: Option<bool>,
    /// New overrides, each at least 0; `max_activities` and `activity_retention_ms` at least 1.
    pub overrides: Overrides,
    /// A new storage quota.
    pub quota: Option<Quota>,
    /// New settings of the User Confidence Index.
    pub uci: UciOverrides,
}

/// What a tenant may store, activities and evidence together. As JSON a number or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Option<i64>", into = "Option<i64>")]
pub enum Quota {
    /// This many bytes, at least 0.
    Bytes(i64),
    /// As much as the disk holds.
    Unlimited,
}

impl From<Option<i64>> for Quota {
    fn from(bytes: Option<i64>) -> Self {
        bytes.map_or(Self::Unlimited, Self::Bytes)
    }
}

impl From<Quota> for Option<i64> {
    fn from(quota: Quota) -> Self {
        match quota {
            Quota::Bytes(bytes) => Some(bytes),
            Quota::Unlimited => None,
        }
    }
}

fn check_range(setting: &'static str, value: Option<i64>, at_least: i64) -> Result<(), TenantError> {
    match value {
        Some(value) if value < at_least => Err(TenantError::OutOfRange { setting, at_least, value }),
        _ => Ok(()),
    }
}

fn check_most(setting: &'static str, value: Option<i64>, at_most: i64) -> Result<(), TenantError> {
    match value {
        Some(value) if value > at_most => Err(TenantError::TooLarge { setting, at_most, value }),
        _ => Ok(()),
    }
}

/// Changes the given settings of an active tenant and returns it as it is then.
///
/// # Errors
/// [`TenantError::NotFound`], [`TenantError::Dropping`], [`TenantError::OutOfRange`], or
/// [`TenantError::RecencyExceedsRetention`] when the limits that would apply disagree.
pub async fn update(
    conn: &mut SqliteConnection,
    id: TenantId,
    change: &SettingsChange,
    defaults: &Limits,
    now_ms: i64,
) -> Result<Tenant, TenantError> {
    let tenant = tenants::get_active(conn, id).await?;
    let asked = change.overrides;
    check_range("availability delay (ms)", asked.availability_delay_ms, 0)?;
    check_range("recency (ms)", asked.recency_ms, 0)?;
    check_range("max activities", asked.max_activities, 1)?;
    check_range("activity retention (ms)", asked.activity_retention_ms, 1)?;
    let quota_bytes = change.quota.map_or(tenant.quota_bytes, Option::from);
    check_range("quota (bytes)", quota_bytes, 0)?;
    check_range("uci window (ms)", change.uci.window_ms, 1)?;
    check_most("uci window (ms)", change.uci.window_ms, MAX_WINDOW_MS)?;
    check_range("uci threshold", change.uci.threshold, 0)?;
    check_most("uci threshold", change.uci.threshold, BEST)?;
    let overrides = Overrides {
        availability_delay_ms: asked.availability_delay_ms.or(tenant.overrides.availability_delay_ms),
        recency_ms: asked.recency_ms.or(tenant.overrides.recency_ms),
        max_activities: asked.max_activities.or(tenant.overrides.max_activities),
        activity_retention_ms: asked.activity_retention_ms.or(tenant.overrides.activity_retention_ms),
    };
    let Limits { recency_ms, activity_retention_ms, .. } = overrides.over(defaults);
    if recency_ms > activity_retention_ms {
        return Err(TenantError::RecencyExceedsRetention { recency_ms, activity_retention_ms });
    }
    let since_ms = match change.anomalous_activity {
        Some(false) => None,
        Some(true) => tenant.anomalous_activity_since_ms.or(Some(now_ms)),
        None => tenant.anomalous_activity_since_ms,
    };
    let changed = sqlx::query_as(
        "UPDATE tenants SET anomalous_activity_since_ms = ?, availability_delay_ms = ?, recency_ms = ?,
             max_activities = ?, activity_retention_ms = ?, quota_bytes = ?, uci_window_ms = ?, uci_threshold = ?,
             api_rate = ?
         WHERE tenant_id = ? AND incarnation = ? RETURNING *",
    )
    .bind(since_ms)
    .bind(overrides.availability_delay_ms)
    .bind(overrides.recency_ms)
    .bind(overrides.max_activities)
    .bind(overrides.activity_retention_ms)
    .bind(quota_bytes)
    .bind(change.uci.window_ms.or(tenant.uci.window_ms))
    .bind(change.uci.threshold.or(tenant.uci.threshold))
    .bind(change.uci.api_rate.or(tenant.uci.api_rate))
    .bind(tenant.key.id.get())
    .bind(tenant.key.incarnation)
    .fetch_one(conn)
    .await?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tenant::TenantKey;
    use crate::registry::testing::TestRegistry;

    async fn set(t: &TestRegistry, key: TenantKey, change: SettingsChange, now_ms: i64) -> Result<Tenant, TenantError> {
        t.registry
            .try_write(move |conn| {
                Box::pin(async move { update(conn, key.id, &change, &Limits::default(), now_ms).await })
            })
            .await
    }

    #[tokio::test]
    async fn only_what_is_given_changes() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let delay = Overrides { availability_delay_ms: Some(0), ..Overrides::default() };
        let cap = Overrides { max_activities: Some(5), ..Overrides::default() };
        set(&t, key, SettingsChange { overrides: delay, ..Default::default() }, 1).await.unwrap();
        let tenant = set(&t, key, SettingsChange { overrides: cap, ..Default::default() }, 1).await.unwrap();
        assert_eq!(
            tenant.overrides.over(&Limits::default()),
            Limits { availability_delay_ms: 0, max_activities: 5, ..Limits::default() }
        );
        assert_eq!(tenant.anomalous_activity_since_ms, None);
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(tenants::get(&mut conn, key.id).await.unwrap(), Some(tenant));
    }

    #[tokio::test]
    async fn a_quota_stays_until_it_is_changed_or_taken_away() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let change = |quota| SettingsChange { quota, ..Default::default() };
        let steps = [(None, None), (Some(Quota::Bytes(5)), Some(5)), (None, Some(5)), (Some(Quota::Unlimited), None)];
        for (asked, wanted) in steps {
            assert_eq!(set(&t, key, change(asked), 1).await.unwrap().quota_bytes, wanted, "{asked:?}");
        }
        let refused = set(&t, key, change(Some(Quota::Bytes(-1))), 1).await;
        assert!(matches!(refused, Err(TenantError::OutOfRange { at_least: 0, .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn settings_of_the_index_have_two_ends() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let change = |window_ms, threshold, api_rate| SettingsChange {
            uci: UciOverrides { window_ms, threshold, api_rate },
            ..Default::default()
        };
        set(&t, key, change(Some(90 * DAY_MS), None, Some(0)), 1).await.unwrap();
        let tenant = set(&t, key, change(None, Some(1000), None), 1).await.unwrap();
        let expected = UciSettings { window_ms: 90 * DAY_MS, threshold: 1000, api_rate: ApiRate::Off };
        assert_eq!(tenant.uci.over(&UciSettings::default()), expected);
        for refused in [
            change(Some(0), None, None),
            change(Some(90 * DAY_MS + 1), None, None),
            change(None, Some(-1), None),
            change(None, Some(1001), None),
        ] {
            let refused = set(&t, key, refused, 1).await;
            assert!(
                matches!(refused, Err(TenantError::OutOfRange { .. } | TenantError::TooLarge { .. })),
                "{refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn the_feature_keeps_its_start_until_it_is_switched_off() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let switch = |on: Option<bool>, now_ms| {
            let change = SettingsChange { anomalous_activity: on, ..Default::default() };
            let t = &t;
            async move { set(t, key, change, now_ms).await.unwrap().anomalous_activity_since_ms }
        };
        assert_eq!(switch(Some(true), 10).await, Some(10));
        assert_eq!(switch(Some(true), 20).await, Some(10));
        assert_eq!(switch(None, 25).await, Some(10));
        assert_eq!(switch(Some(false), 30).await, None);
        assert_eq!(switch(Some(true), 40).await, Some(40));
    }

    #[tokio::test]
    async fn recency_beyond_retention_is_refused_whichever_of_them_is_given() {
        let t = TestRegistry::new().await;
        let key = t.tenant(7).await;
        let change = |recency_ms, activity_retention_ms| SettingsChange {
            anomalous_activity: Some(true),
            overrides: Overrides { recency_ms, activity_retention_ms, ..Overrides::default() },
            ..Default::default()
        };
        for refused in
            [change(Some(101 * DAY_MS), None), change(None, Some(14 * DAY_MS)), change(Some(2 * DAY_MS), Some(DAY_MS))]
        {
            let error = set(&t, key, refused, 1).await.unwrap_err();
            assert!(matches!(error, TenantError::RecencyExceedsRetention { .. }), "{error}");
        }
        for out_of_range in [change(Some(-1), None), change(None, Some(0))] {
            assert!(matches!(set(&t, key, out_of_range, 1).await, Err(TenantError::OutOfRange { .. })));
        }
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(tenants::get(&mut conn, key.id).await.unwrap().unwrap().anomalous_activity_since_ms, None);
        drop(conn);
        set(&t, key, change(Some(DAY_MS), Some(DAY_MS)), 1).await.unwrap();
    }
}
