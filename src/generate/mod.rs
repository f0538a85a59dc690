//! Realistic activities out of a seed: a company with its people, services, places and days, and what is planted in them
//! so that the truth is known.
//!
//! The data is a function of the [`Plan`] and of nothing else. It is made in parts, each a part of a day as it is
//! delivered, with random streams of its own; so parts can be made in any order and beside each other. A part is first a
//! list of small numbered events, which are sorted by delivery, and then batches of columns: no row ever has texts of its own.
//!
//! Shapes of [`Profile::Workload`], a judgement built on published measurements of such logs: rows of a person on an active
//! day are log-normal; a hundredth of the accounts are services that make half of the rows; actions follow Zipf's law with
//! an own mix for each account; addresses are shared, and most are seen once; nearly all files are seen once or twice; rows
//! come late, come again, and once a whole day comes again.

mod accounts;
mod columns;
mod days;
mod event;
mod plants;
mod random;
mod schedule;
mod stories;
mod truth;
mod world;
mod write;

use std::collections::HashMap;
use std::ops::Range;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::domain::time_text::format_time;
use crate::formats::EncodeError;
use crate::formats::output::ExportFormat;
use accounts::Accounts;
use columns::Columns;
use days::{PartEvents, Tally};
use event::{Event, write_address};
use plants::{Choice, Ground, Plants, Truth};
use schedule::{Hours, Slot};
use world::{World, whole};

pub use columns::schema;
pub use stories::Story;
pub use truth::{PlanFacts, PlantedAnomaly, TruthFile};
pub use write::{FileFormat, TRUTH_FILE, WriteError, write_files};

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Other seeds give other data.
    pub seed: u64,
    /// Accounts, service accounts among them; at least 10.
    pub users: usize,
    /// Days before `end_ms` that the data covers; at least 1, and 7 for the demo.
    pub days: i64,
    /// First moment after the data, ms since epoch.
    pub end_ms: i64,
    /// Rows in all, planted and repeated ones among them; none is as many as so many accounts make in so many days.
    pub rows: Option<u64>,
    /// What the company is like.
    pub profile: Profile,
}

/// What a company is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A busy tenant with all its dirt, and planted anomalies.
    Workload,
    /// A small company without dirt, and the two stories of the demo.
    Demo,
}

/// Numbers of a profile.
#[derive(Debug)]
struct Shape {
    /// Share of people who are active on a work day, and at a weekend.
    active: (f64, f64),
    /// Sigma of the logarithm of a person's rows on an active day.
    daily_sigma: f64,
    /// Most of them, as a multiple of their median.
    daily_most: f64,
    /// Their mean when the number of rows is not given.
    daily_mean: f64,
    /// Share of the rows that service accounts make.
    service_share: f64,
    /// Share of what people, and what service accounts do that fails.
    failures: (f64, f64),
    /// Active days that have a session from a new address; those that have one activity from an address never seen again.
    new_address: f64,
    one_off_address: f64,
    late_by_hours: f64,
    late_by_days: f64,
    /// Share of rows that come again; and on the day that is replayed.
    repeats: f64,
    replayed: f64,
    /// Share of the minutes in which a burst begins.
    bursts: f64,
}

static WORKLOAD: Shape = Shape {
    active: (0.6, 0.08),
    daily_sigma: 2.0,
    // e^7: beyond it a single person would be a tenant of their own.
    daily_most: 1_096.6,
    daily_mean: 200.0,
    service_share: 0.55,
    failures: (0.03, 0.1),
    new_address: 0.05,
    one_off_address: 0.3,
    late_by_hours: 0.01,
    late_by_days: 0.001,
    repeats: 0.05,
    replayed: 0.44,
    bursts: 1e-4,
};

static DEMO: Shape = Shape {
    active: (0.62, 0.08),
    daily_sigma: 0.9,
    daily_most: 30.0,
    daily_mean: 88.0,
    service_share: 0.4,
    failures: (0.01, 0.0),
    new_address: 0.0,
    one_off_address: 0.0,
    late_by_hours: 0.0,
    late_by_days: 0.0,
    repeats: 0.0,
    replayed: 0.0,
    bursts: 0.0,
};

impl Profile {
    fn shape(self) -> &'static Shape {
        match self {
            Self::Workload => &WORKLOAD,
            Self::Demo => &DEMO,
        }
    }
}

impl Plan {
    /// Rows that so many accounts make in so many days.
    #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "an estimate of a volume")]
    fn natural_rows(&self) -> u64 {
        let shape = self.profile.shape();
        let active = (5.0 * shape.active.0 + 2.0 * shape.active.1) / 7.0;
        let by_people = self.users as f64 * self.days as f64 * active * shape.daily_mean;
        whole(by_people / (1.0 - shape.service_share)).max(1) as u64
    }
}

/// Some rows of one day's delivery: a file of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    slot: usize,
    number: u64,
    of: u64,
    /// First moment of the delivery's day, ms since epoch.
    pub day_ms: i64,
    /// Its rows.
    pub rows: u64,
}

impl Part {
    /// Number of the part within its day, where the day has several.
    #[must_use]
    pub fn of_several(&self) -> Option<u64> {
        (self.of > 1).then_some(self.number)
    }
}

/// What is known of a part once it is made; facts of all parts make the truth.
#[derive(Debug, Clone, Default)]
pub struct PartFacts {
    rows: u64,
    repeats: u64,
    late: (u64, u64),
    tallies: Vec<Tally>,
}

/// A company whose activities can be made.
#[derive(Debug)]
pub struct Company {
    plan: Plan,
    rows: u64,
    world: World,
    accounts: Accounts,
    slots: Vec<Slot>,
    hours: Hours,
    long_nights: Hours,
    truths: Vec<Truth>,
    /// The truth of an account, by its number.
    watched: HashMap<usize, usize>,
    planted: Vec<Event>,
    away: HashMap<usize, Range<i64>>,
    swaps: HashMap<usize, (usize, i64)>,
}

impl Company {
    /// Draws the company and plants what is to be found in it.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let least_days = if plan.profile == Profile::Demo { 7 } else { 1 };
        let plan = Plan { users: plan.users.max(10), days: plan.days.max(least_days), ..plan };
        let world = World::new();
        let mut accounts = Accounts::new(&plan, &world);
        if plan.profile == Profile::Demo {
            accounts.origins.push(stories::far_origin());
        }
        let wanted = plan.rows.unwrap_or_else(|| plan.natural_rows());
        let plants = Plants::new(&Ground { plan: &plan, world: &world, accounts: &accounts }, wanted);
        let mut planted = plants.events;
        let times: Vec<i64> = planted.iter().map(|event| event.time_ms).collect();
        let rows = wanted.max(planted.len() as u64);
        let slots = schedule::slots(&plan, rows, &times);
        for slot in &slots {
            for event in &mut planted[slot.planted.clone()] {
                event.arrival_ms = u32::try_from(event.time_ms - slot.start_ms).unwrap_or(0);
            }
        }
        let watched = plants.truths.iter().enumerate().map(|(truth, known)| (known.account, truth)).collect();
        Self {
            plan,
            rows,
            world,
            accounts,
            slots,
            hours: Hours::new(0.1),
            long_nights: Hours::new(0.05),
            truths: plants.truths,
            watched,
            planted,
            away: plants.away,
            swaps: plants.swaps,
        }
    }

    /// All rows there will be.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The parts by day; a day without rows has none.
    pub fn parts(&self) -> impl Iterator<Item = Part> + Send + '_ {
        self.slots.iter().flat_map(|slot| {
            let of = slot.parts();
            let sizes = [slot.people + slot.services, slot.repeats, slot.planted.len() as u64];
            let part = move |number: u64| {
                let rows = sizes.iter().map(|total| schedule::slice(*total, number, of)).map(|r| r.end - r.start).sum();
                Part { slot: slot.index, number, of, day_ms: slot.start_ms, rows }
            };
            (0..of).map(part).filter(|part| part.rows > 0)
        })
    }

    /// The rows of a part in the order of their delivery, and what is known of them.
    pub fn part(&self, part: &Part) -> (impl Iterator<Item = RecordBatch> + Send + use<'_>, PartFacts) {
        let PartEvents { events, tallies, repeats, late } = self.part_events(part);
        let facts = PartFacts { rows: events.len() as u64, repeats, late, tallies };
        let columns = Columns::new(&self.accounts, &self.world);
        let mut begin = 0;
        let batches = std::iter::from_fn(move || {
            let end = events.len().min(begin + columns::BATCH_ROWS);
            let batch = (begin < end).then(|| columns.batch(&events[begin..end]));
            begin = end;
            batch
        });
        (batches, facts)
    }

    /// All rows, part by part.
    pub fn batches(&self) -> impl Iterator<Item = RecordBatch> + Send + '_ {
        self.parts().flat_map(|part| self.part(&part).0)
    }

    /// All rows as NDJSON, in chunks of some hundred KiB.
    pub fn ndjson(&self) -> impl Iterator<Item = Result<Bytes, EncodeError>> + Send + '_ {
        self.batches().map(|batch| {
            let mut encoder = ExportFormat::Ndjson.encoder_for(&schema())?;
            let mut chunk = Vec::new();
            encoder.begin(&mut chunk)?;
            encoder.encode(&batch, 0, &mut chunk, usize::MAX)?;
            encoder.finish(&mut chunk)?;
            Ok(chunk.into())
        })
    }

    /// The truth about the data, out of the facts of all its parts.
    #[must_use]
    pub fn truth(&self, facts: &[PartFacts]) -> TruthFile {
        let tally = |truth: usize| {
            let tallies = facts.iter().filter_map(|facts| facts.tallies.get(truth));
            tallies.fold((0, 0), |(rows, activities), tally| (rows + tally.rows, activities + tally.activities))
        };
        let anomalies = self.truths.iter().enumerate().map(|(number, truth)| {
            let (rows, activities) = tally(number);
            PlantedAnomaly {
                kind: truth.kind.to_owned(),
                user: self.accounts.all[truth.account].name.clone(),
                from: format_time(truth.from_ms),
                to: format_time(truth.to_ms),
                condition: self.condition(truth.of),
                rows,
                activities,
            }
        });
        TruthFile {
            plan: PlanFacts {
                users: self.plan.users,
                days: self.plan.days,
                seed: self.plan.seed,
                end: format_time(self.plan.end_ms),
            },
            rows: facts.iter().map(|facts| facts.rows).sum(),
            repeats: facts.iter().map(|facts| facts.repeats).sum(),
            late_by_hours: facts.iter().map(|facts| facts.late.0).sum(),
            late_by_days: facts.iter().map(|facts| facts.late.1).sum(),
            anomalies: anomalies.collect(),
        }
    }

    /// The stories of the demo: the insider who downloads files through a night and is not seen again, and the account that
    /// is used from two countries within an hour. Another profile has none.
    #[must_use]
    pub fn stories(&self) -> Option<(Story, Story)> {
        let story = |kind: &str| {
            let truth = self.truths.iter().find(|truth| truth.kind == kind)?;
            let own = |event: &&Event| Truth { of: Choice::All, ..truth.clone() }.holds(event);
            Some(Story {
                user: self.accounts.all[truth.account].name.clone(),
                from_ms: truth.from_ms,
                to_ms: truth.to_ms,
                activities: self.planted.iter().filter(own).count() as u64,
                suspicious: self.planted.iter().filter(|event| truth.holds(event)).count() as u64,
            })
        };
        Some((story("insider")?, story("two-countries")?))
    }

    fn condition(&self, choice: Choice) -> Option<String> {
        match choice {
            Choice::All => None,
            Choice::Origin(origin) => {
                let mut address = String::new();
                write_address(origin, &self.accounts, &mut address);
                Some(format!("sourceIP = '{address}'"))
            }
            Choice::Device(device) => {
                Some(format!("clientName = '{}'", self.world.devices[usize::from(device)].client))
            }
            Choice::Action(action) => Some(format!("actionName = '{}'", self.world.actions[usize::from(action)].name)),
        }
    }

    fn truth_of(&self, event: &Event) -> Option<usize> {
        let truth = *self.watched.get(&(event.account as usize))?;
        self.truths[truth].holds(event).then_some(truth)
    }

    /// Whether an account does nothing ordinary on a day.
    fn is_away(&self, account: usize, slot: &Slot) -> bool {
        self.away.get(&account).is_some_and(|away| away.start < slot.end_ms() && away.end > slot.start_ms)
    }

    /// Whether an account has days of planted rows alone, which no late row may touch.
    fn is_planted(&self, account: u32) -> bool {
        self.away.contains_key(&(account as usize))
    }

    /// The account whose ways this one has on a day: its own, but for those that swapped.
    fn behaviour(&self, account: usize, slot: &Slot) -> usize {
        match self.swaps.get(&account) {
            Some((other, from_ms)) if slot.start_ms >= *from_ms => *other,
            _ => account,
        }
    }
}

#[cfg(test)]
mod tests;
