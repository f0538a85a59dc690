//! The index as a list in memory, by the contract's words and nothing else.

use crate::domain::day::DAY_MS;
use crate::domain::uci::alert::AlertName;
use crate::domain::uci::band::Band;
use crate::services::uci::ImpactRequest;

const SPELLINGS: [&str; 4] = ["Ann@x.example", " BOB@x.example", "eve@x.example", "Ärne@x.example "];

/// The spelling of a user; another one for odd variants.
pub(super) fn spelling(user: usize, variant: usize) -> String {
    let name = SPELLINGS[user % SPELLINGS.len()];
    if variant.is_multiple_of(2) { name.to_owned() } else { format!(" {} ", name.to_uppercase()) }
}

pub(super) fn users() -> std::ops::Range<usize> {
    0..SPELLINGS.len()
}

fn key_of(user: &str) -> String {
    user.trim().to_lowercase()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: i64,
    pub(super) user_key: String,
    pub(super) user: String,
    pub(super) time: i64,
    /// 0 for a reset.
    pub(super) points: i64,
    pub(super) source: String,
    pub(super) created: i64,
    pub(super) allowed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) made: i64,
    pub(super) name: AlertName,
    pub(super) user: String,
    pub(super) points: i64,
    pub(super) score: i64,
}

#[derive(Debug, Clone)]
struct Known {
    key: String,
    spelling: String,
    told: i64,
}

#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) now: i64,
    pub(super) window: i64,
    pub(super) threshold: i64,
    pub(super) records: Vec<Record>,
    pub(super) alerts: Vec<Told>,
    known: Vec<Known>,
    keys: Vec<(String, ImpactRequest, i64, i64)>,
    pub(super) last_stamp: i64,
}

/// What the model says of an impact.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Stored,
    Replayed(i64),
    Conflict,
}

impl Naive {
    pub(super) fn new(now: i64, window: i64, threshold: i64) -> Self {
        Self { now, window, threshold, last_stamp: i64::MIN, ..Self::default() }
    }

    pub(super) fn score_at(&self, user: &str, t: i64) -> i64 {
        let mine = || self.records.iter().filter(|r| r.user_key == key_of(user));
        let counts = |r: &&Record| {
            r.points > 0
                && r.time <= t
                && t < r.time + self.window
                && !r.allowed
                && !mine().any(|reset| reset.points == 0 && reset.time <= t && r.id < reset.id)
        };
        (1000 - mine().filter(counts).map(|r| r.points).sum::<i64>()).clamp(0, 1000)
    }

    pub(super) fn is_known(&self, user: &str) -> bool {
        self.known.iter().any(|known| known.key == key_of(user))
    }

    pub(super) fn spelling(&self, user: &str) -> String {
        let known = self.known.iter().find(|known| known.key == key_of(user));
        known.map_or_else(|| user.to_owned(), |known| known.spelling.clone())
    }

    pub(super) fn days(&self, user: &str, from: i64, cap: usize) -> Vec<(i64, i64)> {
        if !self.is_known(user) {
            return Vec::new();
        }
        let impacts = self.records.iter().filter(|r| r.user_key == key_of(user) && r.points > 0);
        let first = impacts.map(|r| r.time).min().unwrap_or(self.now).min(self.now);
        let today = self.now.div_euclid(DAY_MS);
        let mut days = Vec::new();
        for day in first.div_euclid(DAY_MS)..=today {
            if from > 0 && day < from.div_euclid(DAY_MS) {
                continue;
            }
            let at = if day == today { self.now } else { (day + 1) * DAY_MS - 1 };
            days.push((day * DAY_MS, self.score_at(user, at)));
        }
        days.split_off(days.len().saturating_sub(cap))
    }

    fn stamp(&mut self) -> i64 {
        self.last_stamp = self.last_stamp.max(self.now);
        self.last_stamp
    }

    fn tell(&mut self, made: i64, name: AlertName, user: &str, points: i64, score: i64) {
        let user = self.spelling(user);
        self.alerts.push(Told { made, name, user, points, score });
    }

    fn tell_change(&mut self, made: i64, user: &str, before: i64, after: i64) {
        if Band::of_score(before) != Band::of_score(after) {
            self.tell(made, AlertName::BandChange, user, (before - after).abs(), after);
        }
        if before >= self.threshold && after < self.threshold {
            self.tell(made, AlertName::Threshold, user, before - after, after);
        }
    }

    fn catch_up(&mut self, made: i64, user: &str) -> i64 {
        let told = self.known.iter().find(|known| known.key == key_of(user)).map_or(1000, |known| known.told);
        let score = self.score_at(user, self.now);
        self.tell_change(made, user, told, score);
        score
    }

    fn remember(&mut self, user: &str) {
        let (key, score) = (key_of(user), self.score_at(user, self.now));
        if let Some(known) = self.known.iter_mut().find(|known| known.key == key) {
            known.told = score;
        }
    }

    pub(super) fn impact(&mut self, request: &ImpactRequest, id: i64) -> Expected {
        if let Some(key) = &request.idempotency_key {
            let now = self.now;
            let found = self.keys.iter().rev().find(|(name, _, _, at)| name == key && *at > now - DAY_MS);
            if let Some((_, before, id, _)) = found {
                return if before == request { Expected::Replayed(*id) } else { Expected::Conflict };
            }
            self.keys.retain(|(name, ..)| name != key);
            self.keys.push((key.clone(), request.clone(), id, now));
        }
        if !self.is_known(&request.user) {
            let spelling = request.user.trim().to_owned();
            self.known.push(Known { key: key_of(&request.user), spelling, told: 1000 });
        }
        let created = self.stamp();
        let before = self.catch_up(created, &request.user);
        let record = Record {
            id,
            user_key: key_of(&request.user),
            user: self.spelling(&request.user),
            time: request.timestamp_ms,
            points: request.score,
            source: request.source.clone(),
            created,
            allowed: false,
        };
        self.records.push(record);
        let after = self.score_at(&request.user, self.now);
        self.tell(created, AlertName::ExternalImpact, &request.user, request.score, after);
        self.tell_change(created, &request.user, before, after);
        self.remember(&request.user);
        Expected::Stored
    }

    pub(super) fn allow(&mut self, place: usize) {
        if self.records[place].allowed {
            return;
        }
        let (user, made) = (self.records[place].user.clone(), self.stamp());
        let before = self.catch_up(made, &user);
        self.records[place].allowed = true;
        let after = self.score_at(&user, self.now);
        self.tell_change(made, &user, before, after);
        self.remember(&user);
    }

    pub(super) fn reset(&mut self, user: &str, id: i64) {
        let created = self.stamp();
        let before = self.catch_up(created, user);
        self.records.push(Record {
            id,
            user_key: key_of(user),
            user: self.spelling(user),
            time: self.now,
            points: 0,
            source: "UCI reset".to_owned(),
            created,
            allowed: false,
        });
        let after = self.score_at(user, self.now);
        self.tell(created, AlertName::Reset, user, after - before, after);
        self.tell_change(created, user, before, after);
        self.remember(user);
    }

    pub(super) fn settle(&mut self, user: &str) {
        let told = self.known.iter().find(|known| known.key == key_of(user)).map(|known| known.told);
        if told.is_some_and(|told| told != self.score_at(user, self.now)) {
            let made = self.stamp();
            self.catch_up(made, user);
        }
        self.remember(user);
    }
}
