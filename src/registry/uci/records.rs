//! Anomalies of the index: impacts and resets.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use crate::domain::anomaly::AnomalyId;
use crate::domain::day::{DAY_MS, MIN_TIME_STAMP_MS};
use crate::domain::tenant::TenantKey;
use crate::domain::uci::alert::AlertId;
use crate::domain::uci::band::UciSeverity;
use crate::domain::uci::score::{Impact, Reset, Timeline};
use crate::registry::RegistryError;
use crate::registry::rows::decode_error;
use crate::registry::writes::Writes;

/// What an anomaly of the index records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum UciActivity {
    /// Points taken off by a third party.
    Impact,
    /// Points given back.
    Reset,
}

impl UciActivity {
    /// Every activity.
    pub const ALL: [Self; 2] = [Self::Impact, Self::Reset];

    /// The activity as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Impact => "ActivityForUciImpactAPI",
            Self::Reset => "UciReset",
        }
    }

    /// The activity that is sent so; none for any other text.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activity| activity.as_str() == text)
    }

    /// The activity in the table.
    pub(super) const fn stored(self) -> &'static str {
        match self {
            Self::Impact => "impact",
            Self::Reset => "reset",
        }
    }
}

/// That an impact was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// When, ms since epoch.
    pub at_ms: i64,
    /// Why; none when nothing was said.
    pub reason: Option<String>,
}

/// An anomaly of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UciAnomaly {
    /// Its number, in the order in which anomalies were accepted.
    pub id: AnomalyId,
    /// What it records.
    pub activity: UciActivity,
    /// The user in the spelling first seen.
    pub user: String,
    /// The form of `user` that matching uses.
    pub user_key: String,
    /// When it happened, ms since epoch.
    pub time_ms: i64,
    /// Points taken off; 0 for a reset.
    pub score: i64,
    /// Who reported it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// When it was accepted, ms since epoch; never falls along the ids of a tenant.
    pub created_at_ms: i64,
    /// Set once it was allowed.
    pub allowed: Option<Allowed>,
    /// Its own alert, named External UCI impact or UCI reset.
    pub alert: AlertId,
}

impl UciAnomaly {
    /// Id of the event behind it: `e1` and 22 lower-case hex digits of its number.
    #[must_use]
    pub fn event_id(&self) -> String {
        format!("e1{:022x}", self.id.get())
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(&self) -> UciSeverity {
        UciSeverity::of_points(self.score)
    }
}

impl FromRow<'_, SqliteRow> for UciAnomaly {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let id: i64 = row.try_get("anomaly_id")?;
        let allowed_at_ms: Option<i64> = row.try_get("allowed_at_ms")?;
        let reason = row.try_get("allow_reason")?;
        Ok(Self {
            id: AnomalyId::try_from(id).map_err(|error| decode_error("anomaly_id", error))?,
            activity: row.try_get("activity")?,
            user: row.try_get("user")?,
            user_key: row.try_get("user_key")?,
            time_ms: row.try_get("time_ms")?,
            score: row.try_get("points")?,
            source: row.try_get("source")?,
            reason: row.try_get("reason")?,
            created_at_ms: row.try_get("created_at_ms")?,
            allowed: allowed_at_ms.map(|at_ms| Allowed { at_ms, reason }),
            alert: AlertId::new(row.try_get("alert_id")?),
        })
    }
}

/// Stores the record as an anomaly, whose evidence are the user's activities of the 24 hours before it. The rest
/// follows with [`put`], behind its alert. Returns its id.
///
/// No row of evidence is made: evidence of the index is made on request only, and so is its row.
pub(super) async fn insert_anomaly(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    new: &UciAnomaly,
) -> Result<AnomalyId, RegistryError> {
    let inserted = sqlx::query(
        "INSERT INTO anomalies (tenant_id, incarnation, user, user_key, from_ms, to_ms, score, source, reason, activity,
             created_at_ms, modified_at_ms, significant_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?11)",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(&new.user)
    .bind(&new.user_key)
    .bind(new.time_ms.saturating_sub(DAY_MS).max(MIN_TIME_STAMP_MS))
    .bind(new.time_ms)
    .bind(new.score)
    .bind(&new.source)
    .bind(&new.reason)
    .bind(new.activity.as_str())
    .bind(new.created_at_ms)
    .execute(conn)
    .await?;
    let id = AnomalyId::try_from(inserted.last_insert_rowid());
    Ok(id.map_err(|error| decode_error("id", error))?)
}

/// Stores what makes an anomaly one of the index, right behind its own alert, whose number it gives.
pub(super) fn put(writes: &mut Writes, tenant: TenantKey, record: &UciAnomaly) {
    writes
        .row(
            "INSERT INTO uci_anomalies (anomaly_id, tenant_id, incarnation, user_key, activity, time_ms, points, source, alert_id)",
        )
        .value(record.id.get())
        .value(tenant.id.get())
        .value(tenant.incarnation)
        .value(record.user_key.clone())
        .value(record.activity)
        .value(record.time_ms)
        .value(record.score)
        .value(record.source.clone())
        .expression("last_insert_rowid()")
        .end("RETURNING alert_id");
}

/// The tenant's anomaly of this id when it is one of the index; those of others do not exist here.
pub async fn get(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Option<UciAnomaly>, RegistryError> {
    let found = sqlx::query_as("SELECT * FROM uci_records WHERE anomaly_id = ? AND tenant_id = ? AND incarnation = ?");
    Ok(found.bind(id.get()).bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?)
}

/// Flags an impact as allowed.
pub(super) async fn allow(
    conn: &mut SqliteConnection,
    id: AnomalyId,
    at_ms: i64,
    reason: Option<&str>,
) -> Result<(), RegistryError> {
    let update = sqlx::query("UPDATE uci_anomalies SET allowed_at_ms = ?, allow_reason = ? WHERE anomaly_id = ?");
    update.bind(at_ms).bind(reason).bind(id.get()).execute(conn).await?;
    Ok(())
}

/// A user's history as far as it matters from `since_ms` on: every reset, and the impacts whose window ends
/// after that. Cost: one index range of these.
pub async fn timeline(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
    since_ms: i64,
    window_ms: i64,
) -> Result<Timeline, RegistryError> {
    let rows: Vec<(i64, UciActivity, i64, i64, bool)> = sqlx::query_as(
        "SELECT anomaly_id, activity, time_ms, points, allowed_at_ms IS NOT NULL FROM uci_anomalies
         WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3 AND activity = 'impact' AND time_ms > ?4
         UNION ALL SELECT anomaly_id, activity, time_ms, points, FALSE FROM uci_anomalies
         WHERE tenant_id = ?1 AND incarnation = ?2 AND user_key = ?3 AND activity = 'reset'",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(user_key)
    .bind(since_ms.saturating_sub(window_ms))
    .fetch_all(conn)
    .await?;
    let (mut impacts, mut resets) = (Vec::new(), Vec::new());
    for (number, activity, time_ms, points, allowed) in rows {
        match activity {
            UciActivity::Impact => impacts.push(Impact { number, time_ms, points, allowed }),
            UciActivity::Reset => resets.push(Reset { number, at_ms: time_ms }),
        }
    }
    Ok(Timeline::new(&impacts, &resets, window_ms))
}

/// Time of a user's earliest impact that is kept, ms since epoch.
pub async fn first_impact_ms(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
) -> Result<Option<i64>, RegistryError> {
    let first = sqlx::query_scalar(
        "SELECT MIN(time_ms) FROM uci_anomalies
         WHERE tenant_id = ? AND incarnation = ? AND user_key = ? AND activity = 'impact'",
    );
    Ok(first.bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).fetch_one(conn).await?)
}

/// Impacts of a user with a time from `from_ms` on, allowed ones too, and resets, in the order in which they
/// were accepted.
pub async fn of_user(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    user_key: &str,
    from_ms: i64,
) -> Result<Vec<UciAnomaly>, RegistryError> {
    let found = sqlx::query_as(
        "SELECT * FROM uci_records
         WHERE tenant_id = ? AND incarnation = ? AND user_key = ? AND (activity = 'reset' OR time_ms >= ?)
         ORDER BY anomaly_id",
    );
    let found = found.bind(tenant.id.get()).bind(tenant.incarnation).bind(user_key).bind(from_ms);
    Ok(found.fetch_all(conn).await?)
}
