//! Realistic activities out of a seed: a small company with its people, services, places and days, and
//! two stories planted in it whose truth is known.
//!
//! The data is a function of seed, size and end time. It is made person by person and day by day, so
//! that it can be streamed; each part has a random stream of its own.

mod days;
mod person;
mod random;
mod record;
mod stories;
mod world;

use std::io;

use bytes::Bytes;

use crate::domain::day::DAY_MS;
use person::Person;
use random::Random;

pub use record::Record;
pub use stories::Story;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Other seeds give other data.
    pub seed: u64,
    /// Accounts, service accounts among them; at least 10.
    pub users: usize,
    /// Days before `end_ms` that the data covers; at least 7.
    pub days: i64,
    /// First moment after the data, ms since epoch.
    pub end_ms: i64,
}

/// A company whose activities can be made.
#[derive(Debug)]
pub struct Company {
    plan: Plan,
    people: Vec<Person>,
    insider: (Story, Vec<Record>),
    two_countries: (Story, Vec<Record>),
}

/// Whom the stories are about, by position.
const INSIDER: usize = 3;
const TRAVELLER: usize = 8;

impl Company {
    /// Draws the company and plants its stories.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let plan = Plan { users: plan.users.max(10), days: plan.days.max(7), ..plan };
        let people = person::people(plan.seed, plan.users);
        let insider = stories::insider(&people[INSIDER], plan.end_ms, &mut Random::of_part(plan.seed, &[2, 0]));
        let two_countries =
            stories::two_countries(&people[TRAVELLER], plan.end_ms, &mut Random::of_part(plan.seed, &[2, 1]));
        Self { plan, people, insider, two_countries }
    }

    /// The insider who downloads files through a night and is not seen again.
    #[must_use]
    pub const fn insider(&self) -> &Story {
        &self.insider.0
    }

    /// The account that is used from two countries within an hour.
    #[must_use]
    pub const fn two_countries(&self) -> &Story {
        &self.two_countries.0
    }

    /// All activities, day by day, not sorted within a day.
    pub fn activities(&self) -> impl Iterator<Item = Record> + Send + '_ {
        let Plan { seed, days, end_ms, .. } = self.plan;
        let first_ms = end_ms - days * DAY_MS;
        // A day more on each side: local days begin and end at other moments than those of UTC.
        let range = first_ms.div_euclid(DAY_MS) - 1..=end_ms.div_euclid(DAY_MS) + 1;
        let ordinary = range
            .flat_map(move |day| (0..self.people.len()).map(move |index| (day, index)))
            .flat_map(move |(day, index)| {
                let mut random = Random::of_part(seed, &[3, index as u64, day.unsigned_abs()]);
                let records = days::ordinary_day(&self.people[index], day, &mut random);
                records.into_iter().filter(move |record| self.is_ordinary(index, record.time_stamp))
            })
            .filter(move |record| (first_ms..end_ms).contains(&record.time_stamp));
        ordinary.chain(self.insider.1.iter().cloned()).chain(self.two_countries.1.iter().cloned())
    }

    /// All activities as NDJSON, in chunks of about 256 KiB.
    pub fn ndjson(&self) -> impl Iterator<Item = io::Result<Bytes>> + Send + '_ {
        const CHUNK_BYTES: usize = 256 * 1024;
        let mut activities = self.activities().peekable();
        std::iter::from_fn(move || {
            activities.peek()?;
            let mut chunk = Vec::with_capacity(CHUNK_BYTES + 4096);
            while chunk.len() < CHUNK_BYTES
                && let Some(record) = activities.next()
            {
                if let Err(error) = serde_json::to_writer(&mut chunk, &record) {
                    return Some(Err(error.into()));
                }
                chunk.push(b'\n');
            }
            Some(Ok(chunk.into()))
        })
    }

    /// Whether an ordinary activity may stand beside the stories.
    fn is_ordinary(&self, index: usize, time_stamp: i64) -> bool {
        match index {
            INSIDER => time_stamp < self.insider.0.from_ms,
            TRAVELLER => !(self.two_countries.0.from_ms..self.two_countries.0.to_ms).contains(&time_stamp),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    use super::*;

    const END_MS: i64 = 1_795_312_800_000;

    fn company(seed: u64) -> Company {
        Company::new(Plan { seed, users: 50, days: 15, end_ms: END_MS })
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes() {
        let bytes = |seed| company(seed).ndjson().map(|chunk| chunk.unwrap()).collect::<Vec<_>>().concat();
        let first = bytes(7);
        assert!(first == bytes(7));
        assert!(first != bytes(8));
        assert_eq!(String::from_utf8(first).unwrap().lines().count(), company(7).activities().count());
    }

    #[test]
    fn the_size_and_shape_are_realistic() {
        for seed in 1..4 {
            let records: Vec<_> = company(seed).activities().collect();
            assert!((40_000..65_000).contains(&records.len()), "{}", records.len());
            let from_ms = END_MS - 15 * DAY_MS;
            assert!(records.iter().all(|record| (from_ms..END_MS).contains(&record.time_stamp)));
            let users: BTreeSet<_> = records.iter().map(|record| &record.user).collect();
            assert!((45..=50).contains(&users.len()), "{}", users.len());
            let ids: HashSet<_> = records.iter().map(|record| &record.activity_id).collect();
            assert_eq!(ids.len(), records.len());
            let mut services = BTreeMap::<_, usize>::new();
            for record in &records {
                *services.entry(record.service_name).or_default() += 1;
            }
            assert!(services.len() >= 5 && services.values().all(|n| *n > 500), "{services:?}");
            let by_service_accounts = records.iter().filter(|record| record.user.starts_with("svc-")).count();
            let share = by_service_accounts * 100 / records.len();
            assert!((30..=60).contains(&share), "{share} %");
        }
    }

    #[test]
    fn the_planted_truth_holds_at_any_hour_of_the_day() {
        for hour in [0, 5, 11, 16, 22] {
            let end_ms = END_MS + hour * 3_600_000;
            let company = Company::new(Plan { seed: 7, users: 50, days: 15, end_ms });
            let records: Vec<_> = company.activities().collect();
            for story in [company.insider(), company.two_countries()] {
                let window = story.from_ms..story.to_ms;
                let own: Vec<_> = records.iter().filter(|r| r.user == story.user).collect();
                let inside = own.iter().filter(|r| window.contains(&r.time_stamp)).count();
                assert_eq!(inside as u64, story.activities, "{story:?}");
                assert!(story.to_ms <= end_ms && story.from_ms > end_ms - 7 * DAY_MS, "{story:?}");
            }
            let insider = company.insider();
            assert!((1_150..=1_250).contains(&insider.suspicious));
            let own = records.iter().filter(|r| r.user == insider.user);
            assert!(own.clone().all(|r| r.time_stamp < insider.to_ms));
            assert!(own.clone().any(|r| r.time_stamp < insider.from_ms));
            let downloads = own.filter(|r| r.time_stamp >= insider.from_ms && r.action_name == "FILE_DOWNLOAD");
            assert_eq!(downloads.count() as u64, insider.suspicious);

            let story = company.two_countries();
            let own =
                records.iter().filter(|r| r.user == story.user && (story.from_ms..story.to_ms).contains(&r.time_stamp));
            let (far, near): (Vec<_>, Vec<_>) = own.partition(|r| r.country == "SG");
            assert_eq!(far.len() as u64, story.suspicious);
            let last_near = near.iter().map(|r| r.time_stamp).max().unwrap();
            let first_far = far.iter().map(|r| r.time_stamp).min().unwrap();
            assert!((0..3_600_000).contains(&(first_far - last_near)));
        }
    }
}
