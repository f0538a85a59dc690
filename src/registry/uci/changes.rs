//! What may happen to a score: an impact, an allowance, a reset, the passing of time.
//!
//! Every function here runs inside one write transaction and does the whole of it: the anomaly, its alerts,
//! the user's new state. Each first tells what time alone has changed since the user was last looked at, so that
//! the alerts of the act tell of the act only.

use sqlx::SqliteConnection;

use super::alerts::{self, Alert};
use super::before::{self, Before};
use super::keys::{self, ImpactKey};
use super::records::{self, Allowed, UciActivity, UciAnomaly};
use super::users::{self, MonitoredUser};
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;
use crate::domain::uci::alert::{AlertId, AlertName, alerts_of_change};
use crate::domain::uci::band::{Band, UciSeverity};
use crate::domain::uci::score::{Impact, Standing};
use crate::domain::user_key::user_key;
use crate::registry::settings::UciSettings;
use crate::registry::writes::Writes;
use crate::registry::{RegistryError, modified_clock};

/// Id of what is not stored yet.
const UNNUMBERED: AlertId = AlertId::new(0);

/// An impact to be stored; its texts are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewImpact {
    /// Whose score falls, in any spelling.
    pub user: String,
    /// Points to take off, 1 to 1000.
    pub points: i64,
    /// When it happened, ms since epoch.
    pub time_ms: i64,
    /// Who reports it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// Makes a repeat return the first answer.
    pub key: Option<ImpactKey>,
}

/// What became of an impact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    New(UciAnomaly),
    /// The key's first request stored this.
    Before(UciAnomaly),
    /// The key stands for another impact, or one that was erased since; nothing was stored.
    KeyTaken,
}

/// What became of an allowance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowOutcome {
    /// The impact is allowed now.
    Done(UciAnomaly),
    /// It was before; nothing was changed.
    Before(UciAnomaly),
    /// The tenant's index has no such anomaly.
    Unknown,
    /// It records a reset.
    NotAnImpact,
}

/// Where and when a change happens.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The tenant.
    pub tenant: TenantKey,
    /// The settings that apply to it.
    pub settings: UciSettings,
    /// The machine's time, read inside the transaction, ms since epoch.
    pub now_ms: i64,
}

impl Moment {
    async fn stamp(&self, conn: &mut SqliteConnection) -> Result<i64, RegistryError> {
        modified_clock::stamp(conn, self.tenant, self.now_ms).await
    }

    async fn standing(&self, conn: &mut SqliteConnection, user: &MonitoredUser) -> Result<Standing, RegistryError> {
        users::standing(conn, self.tenant, user, self.settings.window_ms, self.now_ms).await
    }
}

/// A change of one user's score: how it was before, and the alerts' common parts.
struct Change<'a> {
    moment: &'a Moment,
    user: &'a MonitoredUser,
    made_at_ms: i64,
    cause: Option<&'a UciAnomaly>,
}

impl Change<'_> {
    fn alert(&self, name: AlertName, severity: UciSeverity, points: i64, score: i64) -> Alert {
        let cause = self.cause;
        Alert {
            id: UNNUMBERED,
            name,
            made_at_ms: self.made_at_ms,
            anomaly_id: cause.map(|cause| cause.id),
            user: self.user.user.clone(),
            user_key: self.user.user_key.clone(),
            activity: cause.map_or("", |cause| cause.activity.as_str()).to_owned(),
            severity,
            points,
            score,
            source: cause.map_or("", |cause| cause.source.as_str()).to_owned(),
            reason: cause
                .map_or("the impacts that count have changed with time", |cause| cause.reason.as_str())
                .to_owned(),
        }
    }

    /// Stores the alert of an anomaly itself.
    fn tell_cause(&self, writes: &mut Writes, record: &UciAnomaly, before: i64, after: i64) {
        let (name, points) = match record.activity {
            UciActivity::Impact => (AlertName::ExternalImpact, record.score),
            UciActivity::Reset => (AlertName::Reset, after - before),
        };
        alerts::put(writes, self.moment.tenant, &self.alert(name, record.severity(), points, after));
    }

    /// Stores the alerts that a change of the score is worth.
    fn tell_change(&self, writes: &mut Writes, before: i64, after: i64) {
        let severity = Band::of_score(after).severity();
        for name in alerts_of_change(before, after, self.moment.settings.threshold) {
            let alert = self.alert(name, severity, (after - before).abs(), after);
            alerts::put(writes, self.moment.tenant, &alert);
        }
    }
}

/// Tells what time has changed since the user's score was last told; returns what counts now.
async fn catch_up(
    conn: &mut SqliteConnection,
    writes: &mut Writes,
    moment: &Moment,
    user: &MonitoredUser,
    made_at_ms: i64,
) -> Result<Standing, RegistryError> {
    let standing = moment.standing(conn, user).await?;
    let change = Change { moment, user, made_at_ms, cause: None };
    change.tell_change(writes, user.score, standing.score());
    Ok(standing)
}

/// Stores a record with its own alert, those of the change and whatever else is to be written.
async fn store(
    conn: &mut SqliteConnection,
    mut writes: Writes,
    moment: &Moment,
    user: &MonitoredUser,
    mut record: UciAnomaly,
    (before, after): (i64, i64),
) -> Result<UciAnomaly, RegistryError> {
    let change = Change { moment, user, made_at_ms: record.created_at_ms, cause: Some(&record) };
    change.tell_cause(&mut writes, &record, before, after);
    records::put(&mut writes, moment.tenant, &record);
    change.tell_change(&mut writes, before, after);
    users::put(&mut writes, moment.tenant, user);
    let alert = writes.run(conn).await?.ok_or(RegistryError::Lost)?;
    record.alert = AlertId::new(alert);
    Ok(record)
}

/// Accepts an impact.
pub async fn accept(conn: &mut SqliteConnection, moment: &Moment, new: &NewImpact) -> Result<Accepted, RegistryError> {
    let user_key = user_key(&new.user);
    let key = new.key.as_ref().map(|key| key.key.as_str());
    let Before { key, user, mut clock } = before::read(conn, moment.tenant, key, &user_key, moment.now_ms).await?;
    if let (Some(key), Some(before)) = (&new.key, key) {
        if before.body_hash != key.body_hash {
            return Ok(Accepted::KeyTaken);
        }
        let record = records::get(conn, moment.tenant, before.anomaly_id).await?;
        return Ok(record.map_or(Accepted::KeyTaken, Accepted::Before));
    }
    let window_ms = moment.settings.window_ms;
    let mut user = user.unwrap_or_else(|| MonitoredUser::new(user_key, &new.user, moment.now_ms, window_ms));
    let mut writes = Writes::default();
    let created_at_ms = clock.stamp(moment.now_ms);
    modified_clock::put(&mut writes, moment.tenant, clock);
    let before = catch_up(conn, &mut writes, moment, &user, created_at_ms).await?;
    let mut record = UciAnomaly {
        id: AnomalyId::MIN,
        activity: UciActivity::Impact,
        user: user.user.clone(),
        user_key: user.user_key.clone(),
        time_ms: new.time_ms,
        score: new.points,
        source: new.source.clone(),
        reason: new.reason.clone(),
        created_at_ms,
        allowed: None,
        alert: UNNUMBERED,
    };
    record.id = records::insert_anomaly(conn, moment.tenant, &record).await?;
    let impact = Impact { number: record.id.get(), time_ms: new.time_ms, points: new.points, allowed: false };
    let after = before.with(impact, window_ms, moment.now_ms);
    if let Some(key) = &new.key {
        keys::put(&mut writes, moment.tenant, key, record.id, moment.now_ms);
    }
    user.last_impact_ms = user.last_impact_ms.max(Some(new.time_ms));
    user.remember(after, window_ms);
    let record = store(conn, writes, moment, &user, record, (before.score(), after.score())).await?;
    Ok(Accepted::New(record))
}

/// Allows an impact.
pub async fn allow(
    conn: &mut SqliteConnection,
    moment: &Moment,
    id: AnomalyId,
    reason: Option<&str>,
) -> Result<AllowOutcome, RegistryError> {
    let Some(mut record) = records::get(conn, moment.tenant, id).await? else { return Ok(AllowOutcome::Unknown) };
    if record.activity != UciActivity::Impact {
        return Ok(AllowOutcome::NotAnImpact);
    }
    if record.allowed.is_some() {
        return Ok(AllowOutcome::Before(record));
    }
    let Some(mut user) = users::get(conn, moment.tenant, &record.user_key).await? else {
        return Ok(AllowOutcome::Unknown);
    };
    let at_ms = moment.stamp(conn).await?;
    let mut writes = Writes::default();
    let before = catch_up(conn, &mut writes, moment, &user, at_ms).await?;
    records::allow(conn, id, at_ms, reason).await?;
    let window_ms = moment.settings.window_ms;
    let after = users::compute(conn, moment.tenant, &user.user_key, window_ms, moment.now_ms).await?;
    let change = Change { moment, user: &user, made_at_ms: at_ms, cause: Some(&record) };
    change.tell_change(&mut writes, before.score(), after.score());
    user.remember(after, window_ms);
    users::put(&mut writes, moment.tenant, &user);
    writes.run(conn).await?;
    record.allowed = Some(Allowed { at_ms, reason: reason.map(str::to_owned) });
    Ok(AllowOutcome::Done(record))
}

/// Resets a known user and returns the anomaly that records it.
pub async fn reset(
    conn: &mut SqliteConnection,
    moment: &Moment,
    mut user: MonitoredUser,
    source: &str,
    reason: &str,
) -> Result<UciAnomaly, RegistryError> {
    let created_at_ms = moment.stamp(conn).await?;
    let mut writes = Writes::default();
    let before = catch_up(conn, &mut writes, moment, &user, created_at_ms).await?;
    let mut record = UciAnomaly {
        id: AnomalyId::MIN,
        activity: UciActivity::Reset,
        user: user.user.clone(),
        user_key: user.user_key.clone(),
        time_ms: moment.now_ms,
        score: 0,
        source: source.to_owned(),
        reason: reason.to_owned(),
        created_at_ms,
        allowed: None,
        alert: UNNUMBERED,
    };
    record.id = records::insert_anomaly(conn, moment.tenant, &record).await?;
    // Everything accepted so far is void from now on; only what comes later can change that.
    let after = Standing { from_ms: moment.now_ms, ..Standing::CLEAR };
    user.remember(after, moment.settings.window_ms);
    store(conn, writes, moment, &user, record, (before.score(), after.score())).await
}

/// Tells what time has changed for a user since the score was last told, and remembers the state of now.
///
/// The tenant's clock moves with it, also when there is nothing to tell: a clock that is ahead of the machine's is
/// how [`settle_some`] learns that states of a later time are remembered.
async fn settle(conn: &mut SqliteConnection, moment: &Moment, mut user: MonitoredUser) -> Result<(), RegistryError> {
    let made_at_ms = moment.stamp(conn).await?;
    let mut writes = Writes::default();
    let standing = catch_up(conn, &mut writes, moment, &user, made_at_ms).await?;
    user.remember(standing, moment.settings.window_ms);
    users::put(&mut writes, moment.tenant, &user);
    writes.run(conn).await?;
    Ok(())
}

/// Brings some users up to date whose remembered state is not of now; returns how many, none left: 0.
pub async fn settle_some(conn: &mut SqliteConnection, moment: &Moment, limit: u32) -> Result<u64, RegistryError> {
    let window_ms = moment.settings.window_ms;
    let stepped_back = modified_clock::last_ms(conn, moment.tenant).await?.is_some_and(|last| last > moment.now_ms);
    let stale = users::stale(conn, moment.tenant, window_ms, moment.now_ms, stepped_back, limit).await?;
    let count = u64::try_from(stale.len()).unwrap_or(u64::MAX);
    for user in stale {
        settle(conn, moment, user).await?;
    }
    Ok(count)
}
