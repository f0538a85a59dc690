//! How many rows each day, account and file gets. Everything is decided in whole rows, so that sums are exact.

use std::ops::Range;

use super::accounts::Accounts;
use super::random::{Random, Weighted};
use super::world::whole;
use super::{Plan, Shape};
use crate::domain::day::DAY_MS;

/// Share of all rows that the sync client makes.
pub(super) const SYNC_SHARE: f64 = 0.1;

/// Most rows of a file.
const PART_ROWS: u64 = 1_000_000;

const MINUTES: i64 = 1_440;

/// A minute of a burst holds so many times the rows of an average one.
const BURST_FACTOR: u64 = 100;

/// A day of the data: 24 hours that end when the data ends, or whole days before that.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) index: usize,
    /// First moment, ms since epoch.
    pub(super) start_ms: i64,
    /// Rows of people and of service accounts, without repeats.
    pub(super) people: u64,
    pub(super) services: u64,
    /// Rows that come again.
    pub(super) repeats: u64,
    /// What comes again is the day itself, as a whole.
    pub(super) replayed: bool,
    pub(super) bursts: Vec<Burst>,
    /// Planted rows, as positions among all planted ones by time.
    pub(super) planted: Range<usize>,
}

/// Minutes in which one service account does very much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Burst {
    pub(super) minute: i64,
    pub(super) minutes: i64,
    /// Rows, which count among those of the service accounts.
    pub(super) rows: u64,
}

/// Rows of an account on a day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) account: usize,
    pub(super) rows: u64,
    pub(super) burst: Option<Burst>,
}

impl Slot {
    /// Rows of the day, planted and repeated ones among them.
    pub(super) fn rows(&self) -> u64 {
        self.people + self.services + self.repeats + self.planted.len() as u64
    }

    /// Files that the day is written into.
    pub(super) fn parts(&self) -> u64 {
        self.rows().div_ceil(PART_ROWS).max(1)
    }

    pub(super) fn end_ms(&self) -> i64 {
        self.start_ms + DAY_MS
    }

    pub(super) fn is_weekend(&self) -> bool {
        // 1970-01-01 was a Thursday.
        let day = (self.start_ms + DAY_MS / 2).div_euclid(DAY_MS);
        matches!((day + 4).rem_euclid(7), 0 | 6)
    }

    /// Share of people who are active.
    fn active(&self, shape: &Shape) -> f64 {
        if self.is_weekend() { shape.active.1 } else { shape.active.0 }
    }

    /// Who makes how many of the day's rows that are neither planted nor repeated, in an order of accounts.
    pub(super) fn shares(&self, plan: &Plan, accounts: &Accounts, is_away: impl Fn(usize) -> bool) -> Vec<Share> {
        let shape = plan.profile.shape();
        let active = self.active(shape);
        let mut weights: Vec<f64> = (0..accounts.people)
            .map(|account| {
                let mut random = Random::of_part(plan.seed, &[5, self.index as u64, account as u64]);
                let is_active = random.chance(active) && !is_away(account);
                if is_active { random.log_normal(1.0, shape.daily_sigma).min(shape.daily_most) } else { 0.0 }
            })
            .collect();
        if weights.iter().all(|weight| *weight <= 0.0) {
            let first = self.index % accounts.people;
            let awake = (0..accounts.people).map(|n| (first + n) % accounts.people).find(|account| !is_away(*account));
            weights[awake.unwrap_or(first)] = 1.0;
        }
        let in_bursts: u64 = self.bursts.iter().map(|burst| burst.rows).sum();
        let people = portions(self.people, &weights);
        let services = portions(self.services - in_bursts, &accounts.service_weights);
        let steady = people.into_iter().chain(services).enumerate();
        let mut shares: Vec<Share> =
            steady.filter(|(_, rows)| *rows > 0).map(|(account, rows)| Share { account, rows, burst: None }).collect();
        // The sync client is the first of the service accounts; another one has the bursts.
        let services = accounts.service_weights.len();
        for (n, burst) in self.bursts.iter().enumerate() {
            let account = accounts.people + (1 + self.index + n) % services;
            shares.push(Share { account, rows: burst.rows, burst: Some(burst.clone()) });
        }
        shares
    }
}

/// The days of a plan, with `planted` giving the times of planted rows in order.
pub(super) fn slots(plan: &Plan, rows: u64, planted: &[i64]) -> Vec<Slot> {
    let shape = plan.profile.shape();
    let mut slots: Vec<Slot> = (0..)
        .zip(0..plan.days)
        .map(|(index, day)| {
            let start_ms = plan.end_ms - (plan.days - day) * DAY_MS;
            let from = planted.partition_point(|time| *time < start_ms);
            let to = planted.partition_point(|time| *time < start_ms + DAY_MS);
            Slot {
                index,
                start_ms,
                people: 0,
                services: 0,
                repeats: 0,
                replayed: false,
                bursts: Vec::new(),
                planted: from..to,
            }
        })
        .collect();
    let ordinary = rows - planted.len() as u64;
    let by_services = portions(ordinary, &[1.0 - shape.service_share, shape.service_share])[1];
    let weights: Vec<f64> = slots.iter().map(|slot| slot.active(shape)).collect();
    let people = portions(ordinary - by_services, &weights);
    let services = portions(by_services, &vec![1.0; slots.len()]);
    let replayed = (shape.replayed > 0.0 && slots.len() >= 3).then_some(slots.len() / 2);
    for (slot, (people, services)) in slots.iter_mut().zip(people.into_iter().zip(services)) {
        slot.replayed = replayed == Some(slot.index);
        let again = if slot.replayed { shape.replayed } else { shape.repeats };
        slot.people = portions(people, &[1.0 - again, again])[0];
        slot.services = portions(services, &[1.0 - again, again])[0];
        slot.repeats = people + services - slot.people - slot.services;
        slot.bursts = bursts(plan.seed, slot, shape);
    }
    slots
}

fn bursts(seed: u64, slot: &Slot, shape: &Shape) -> Vec<Burst> {
    let mut random = Random::of_part(seed, &[6, slot.index as u64]);
    let mut left = slot.services / 2;
    let mut bursts = Vec::new();
    for minute in 0..MINUTES {
        if random.chance(shape.bursts) {
            let minutes = random.between(1, 6).min(MINUTES - minute);
            let wanted = (slot.people + slot.services) / MINUTES.unsigned_abs() * BURST_FACTOR * minutes.unsigned_abs();
            let rows = wanted.min(left);
            left -= rows;
            bursts.push(Burst { minute, minutes, rows });
        }
    }
    bursts
}

/// Whole numbers in proportion to their weights, which sum up to `total` exactly.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "row numbers are far below 2^53, and a rounding moves a row to a neighbour"
)]
pub(super) fn portions(total: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let (mut upto, mut given) = (0.0, 0);
    let last = weights.iter().rposition(|weight| *weight > 0.0);
    let portion = |(position, weight): (usize, &f64)| {
        upto += weight;
        let end =
            if Some(position) == last { total } else { ((total as f64 * (upto / sum)).round() as u64).min(total) };
        let portion = end.max(given) - given;
        given = end.max(given);
        portion
    };
    weights.iter().enumerate().map(portion).collect()
}

/// The part of `total` things that part `part` of `of` gets, as positions.
pub(super) fn slice(total: u64, part: u64, of: u64) -> Range<u64> {
    let upto = |part: u64| u64::try_from(u128::from(total) * u128::from(part) / u128::from(of)).unwrap_or(total);
    upto(part)..upto(part + 1)
}

/// Hours of a day by how likely somebody begins to work then: office hours ten times as likely as the night, or twenty.
#[derive(Debug)]
pub(super) struct Hours {
    weights: [f64; 24],
    curve: Weighted,
}

impl Hours {
    pub(super) fn new(night: f64) -> Self {
        let weights = std::array::from_fn(|hour| match hour {
            8..=17 => 1.0,
            7 | 18 => 0.5,
            6 | 19 | 20 => 0.3,
            _ => night,
        });
        Self { weights, curve: Weighted::of(weights) }
    }

    /// A moment of the day, in ms from midnight.
    pub(super) fn draw(&self, random: &mut Random) -> i64 {
        let hour = i64::try_from(self.curve.pick(random)).unwrap_or(0);
        hour * 3_600_000 + whole(random.unit() * 3_600_000.0)
    }

    /// How likely this moment of the day is, beside the likeliest.
    pub(super) fn likelihood(&self, ms_of_day: i64) -> f64 {
        let hour = usize::try_from(ms_of_day.rem_euclid(DAY_MS) / 3_600_000).unwrap_or(0);
        self.weights[hour % 24]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn portions_sum_up_and_follow_their_weights(
            total in 0_u64..10_000_000,
            mut weights in proptest::collection::vec(0.0..1e6_f64, 1..50),
        ) {
            weights[0] += 1.0;
            let found = portions(total, &weights);
            prop_assert_eq!(found.iter().sum::<u64>(), total);
            let sum: f64 = weights.iter().sum();
            for (portion, weight) in found.iter().zip(&weights) {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let (portion, wanted) = (*portion as f64, total as f64 * weight / sum);
                prop_assert!((portion - wanted).abs() <= 1.01, "{portion} for {wanted}");
                prop_assert!(*weight > 0.0 || portion < 0.5, "nothing has no weight");
            }
        }

        #[test]
        fn slices_follow_each_other(total: u32, of in 1_u64..100) {
            let mut next = 0;
            for part in 0..of {
                let range = slice(u64::from(total), part, of);
                prop_assert_eq!(range.start, next);
                next = range.end;
            }
            prop_assert_eq!(next, u64::from(total));
        }
    }
}
