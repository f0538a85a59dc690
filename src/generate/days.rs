//! Ordinary days: sessions in office hours for people, a steady rate for service accounts; and what goes wrong on the way:
//! late rows, repeats, the replay of a day.

use std::ops::Range;

use super::event::{Event, fresh_origin};
use super::random::{Random, mix};
use super::schedule::{Burst, Slot, slice};
use super::world::{Effect, whole};
use super::{Company, Part};
use crate::domain::day::DAY_MS;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// Share of a person's sessions that are on the phone.
const ON_PHONE: f64 = 0.12;

/// Median of the gap between two activities of a session, ms; sigma of its logarithm; its greatest.
const GAP: (f64, f64, f64) = (60_000.0, 1.0, 600_000.0);

/// Median of the gap between two sessions, ms; sigma of its logarithm.
const BREAK: (f64, f64) = (4.0 * 3_600_000.0, 0.5);

/// Share of the gaps that are breaks, as far as a day has room for them.
const BREAKS: f64 = 0.4;

/// Most sessions of a person's day.
const MAX_SESSIONS: i64 = 4;

/// An activity is on the same file as the one before.
const SAME_FILE: f64 = 0.2;

/// An activity is on one of the files that many use, of which there is one in so many rows.
const POPULAR_FILE: f64 = 0.35;
const ROWS_PER_POPULAR_FILE: u64 = 400;

/// Exponent of the popularity of those files.
const FILE_EXPONENT: f64 = 0.44;

/// What a part is made of, in the order of delivery.
#[derive(Debug)]
pub(super) struct PartEvents {
    pub(super) events: Vec<Event>,
    /// Rows for each of the truths: all, and those that are no repeats.
    pub(super) tallies: Vec<Tally>,
    /// Rows that repeat an id.
    pub(super) repeats: u64,
    /// Rows late by hours, and by more than a day.
    pub(super) late: (u64, u64),
}

/// Rows of one truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) activities: u64,
}

impl Company {
    /// Everything that a part delivers.
    pub(super) fn part_events(&self, part: &Part) -> PartEvents {
        let slot = &self.slots[part.slot];
        let shares = slot.shares(&self.plan, &self.accounts, |account| self.is_away(account, slot));
        let range = |total: u64| slice(total, part.number, part.of);
        let fresh = range(slot.people + slot.services);
        let mut made = PartEvents {
            events: Vec::with_capacity(usize::try_from(slot.rows() / part.of).unwrap_or(0) + 1_024),
            tallies: vec![Tally::default(); self.truths.len()],
            repeats: 0,
            late: (0, 0),
        };
        let mut begin = 0;
        for share in &shares {
            let end = begin + share.rows;
            let rows = end.min(fresh.end).saturating_sub(begin.max(fresh.start));
            if rows > 0 {
                let stream = [7, part.slot as u64, part.number, share.account as u64, u64::from(share.burst.is_some())];
                let mut random = Random::of_part(self.plan.seed, &stream);
                let rows = i64::try_from(rows).unwrap_or(i64::MAX);
                match &share.burst {
                    Some(burst) => self.burst(share.account, slot, burst, rows, &mut random, &mut made.events),
                    None if self.accounts.all[share.account].service => {
                        self.steady(share.account, slot, rows, &mut random, &mut made.events);
                    }
                    None => self.sessions(share.account, slot, rows, &mut random, &mut made.events),
                }
            }
            begin = end;
        }
        self.delay(part, &mut made);
        let ordinary = made.events.len();
        let planted = range(slot.planted.len() as u64);
        let place = |n: u64| slot.planted.start + usize::try_from(n).unwrap_or(0);
        made.events.extend_from_slice(&self.planted[place(planted.start)..place(planted.end)]);
        // A number of its own for each row of the data, so that the ids differ.
        let ids = mix(self.plan.seed) ^ ((part.slot as u64) << 48) ^ (part.number << 32);
        for (n, event) in (0..).zip(&mut made.events) {
            event.id = mix(ids ^ n);
        }
        for event in &made.events {
            if let Some(truth) = self.truth_of(event) {
                made.tallies[truth].rows += 1;
                made.tallies[truth].activities += 1;
            }
        }
        self.repeat(part, range(slot.repeats), ordinary, &mut made);
        made.events.sort_unstable_by_key(|event| (event.arrival_ms, event.id));
        made
    }

    /// What a person does on a day.
    fn sessions(&self, account: usize, slot: &Slot, rows: i64, random: &mut Random, out: &mut Vec<Event>) {
        let shape = self.plan.profile.shape();
        let who = &self.accounts.all[self.behaviour(account, slot)];
        let home = &self.world.places[usize::from(who.home)];
        let hours = if home.country == "JP" { &self.long_nights } else { &self.hours };
        // From a moment of the day where the person lives to one of the slot, and back.
        let shift_ms = slot.start_ms.rem_euclid(DAY_MS) + home.utc_hours * HOUR_MS;
        let usual = who.origins[usize::from(random.chance(0.5)) % who.origins.len()];
        let on_the_road = *who.origins.last().unwrap_or(&usual);
        #[expect(clippy::cast_precision_loss, reason = "rows of a day")]
        let (sessions, gap_ms) = (whole((rows as f64 * BREAKS).round()), GAP.0.min(6.0 * 3_600_000.0 / rows as f64));
        let sessions = sessions.clamp(1, MAX_SESSIONS);
        let elsewhere = random.chance(shape.new_address).then(|| (random.between(0, sessions), fresh_origin(random)));
        let once = random.chance(shape.one_off_address).then(|| (random.between(0, rows), fresh_origin(random)));
        let (mut left, mut done, mut at) = (rows, 0, None);
        for session in 0..sessions {
            let events = if session + 1 == sessions { left } else { random.between(0, left + 1) };
            left -= events;
            let after_break = at.map(|at: i64| at + whole(random.log_normal(BREAK.0, BREAK.1)));
            let begin = after_break.filter(|at| *at < DAY_MS && random.chance(hours.likelihood(at + shift_ms)));
            let mut now = begin.unwrap_or_else(|| (hours.draw(random) - shift_ms).rem_euclid(DAY_MS));
            let phone = random.chance(ON_PHONE);
            let origin = match elsewhere {
                Some((when, origin)) if when == session => origin,
                _ if phone => on_the_road,
                _ => usual,
            };
            let device = who.devices[usize::from(phone) % who.devices.len()];
            let mut file = None;
            for _ in 0..events {
                let action = self.failing(self.accounts.mixes[who.mix as usize].pick(random), shape.failures.0, random);
                let origin = once.filter(|(when, _)| *when == done).map_or(origin, |(_, origin)| origin);
                let object = self.object(&mut file, random);
                out.push(event(account, slot, now.rem_euclid(DAY_MS), (action, device, origin), object));
                now += whole(random.log_normal(gap_ms, GAP.1).min(GAP.2));
                done += 1;
            }
            at = Some(now);
        }
    }

    /// A service account works around the clock.
    fn steady(&self, account: usize, slot: &Slot, rows: i64, random: &mut Random, out: &mut Vec<Event>) {
        self.mechanical(account, slot, rows, 0..DAY_MS, random, out);
    }

    /// A service account does very much within minutes.
    fn burst(&self, account: usize, slot: &Slot, burst: &Burst, rows: i64, random: &mut Random, out: &mut Vec<Event>) {
        let from = burst.minute * MINUTE_MS;
        self.mechanical(account, slot, rows, from..from + burst.minutes * MINUTE_MS, random, out);
    }

    fn mechanical(
        &self,
        account: usize,
        slot: &Slot,
        rows: i64,
        span: Range<i64>,
        random: &mut Random,
        out: &mut Vec<Event>,
    ) {
        let shape = self.plan.profile.shape();
        let who = &self.accounts.all[account];
        let length = span.end - span.start;
        let mut file = None;
        for n in 0..rows {
            let (from, to) = (n * length / rows, (n + 1) * length / rows);
            let at = span.start + random.between(from, to.max(from + 1));
            let action = self.failing(self.accounts.mixes[who.mix as usize].pick(random), shape.failures.1, random);
            let object = self.object(&mut file, random);
            out.push(event(account, slot, at, (action, who.devices[0], who.origins[0]), object));
        }
    }

    /// The action, or the one that stands for its failing.
    fn failing(&self, action: u16, failures: f64, random: &mut Random) -> u16 {
        if random.chance(failures) { self.world.actions[usize::from(action)].failed } else { action }
    }

    /// An object: the same as before, one that many use, or one of its own.
    pub(super) fn object(&self, last: &mut Option<u64>, random: &mut Random) -> u64 {
        if let Some(object) = last
            && random.chance(SAME_FILE)
        {
            return *object;
        }
        let object = if random.chance(POPULAR_FILE) {
            let popular = (self.rows / ROWS_PER_POPULAR_FILE).max(20);
            mix(self.plan.seed ^ mix(random.zipf_of_many(popular, FILE_EXPONENT)))
        } else {
            random.next()
        };
        *last = Some(object);
        object
    }

    /// Makes some of the rows late: they come when the others of their time are long there.
    fn delay(&self, part: &Part, made: &mut PartEvents) {
        let shape = self.plan.profile.shape();
        let (by_days, by_hours) = (shape.late_by_days, shape.late_by_days + shape.late_by_hours);
        if by_hours <= 0.0 {
            return;
        }
        let mut random = Random::of_part(self.plan.seed, &[8, part.slot as u64, part.number]);
        let first_ms = self.slots[0].start_ms;
        for event in &mut made.events {
            let drawn = random.unit();
            if drawn >= by_hours || self.is_planted(event.account) {
                continue;
            }
            let by_days = drawn < by_days;
            let late_ms =
                if by_days { random.between(DAY_MS, 7 * DAY_MS) } else { random.between(HOUR_MS, 12 * HOUR_MS) };
            if event.time_ms - late_ms < first_ms {
                continue;
            }
            event.time_ms -= late_ms;
            if by_days { made.late.1 += 1 } else { made.late.0 += 1 }
        }
    }

    /// Delivers rows once more: some soon after the first time, or nearly all of them after the day.
    fn repeat(&self, part: &Part, repeats: Range<u64>, ordinary: usize, made: &mut PartEvents) {
        let slot = &self.slots[part.slot];
        let mut random = Random::of_part(self.plan.seed, &[9, part.slot as u64, part.number]);
        let count = repeats.end - repeats.start;
        if ordinary == 0 {
            return;
        }
        for n in 0..count {
            let place = if slot.replayed { n * ordinary as u64 / count } else { random.below(ordinary as u64) };
            let mut event = made.events[usize::try_from(place).unwrap_or(0) % ordinary];
            let later = if slot.replayed { DAY_MS } else { whole(random.log_normal(30_000.0, 1.0).min(600_000.0)) };
            event.arrival_ms = event.arrival_ms.saturating_add(u32::try_from(later).unwrap_or(0));
            if let Some(truth) = self.truth_of(&event) {
                made.tallies[truth].rows += 1;
            }
            made.events.push(event);
            made.repeats += 1;
        }
    }
}

/// An event at a moment of a slot; `what` is action, device and origin. It gets its id later.
pub(super) fn event(account: usize, slot: &Slot, at_ms: i64, what: (u16, u16, u32), object: u64) -> Event {
    Event {
        id: 0,
        object,
        time_ms: slot.start_ms + at_ms,
        arrival_ms: u32::try_from(at_ms).unwrap_or(0),
        account: u32::try_from(account).unwrap_or(0),
        origin: what.2,
        action: what.0,
        device: what.1,
    }
}

/// Whether an effect is on an object.
pub(super) const fn has_object(effect: Effect) -> bool {
    !matches!(effect, Effect::SignIn | Effect::Failed)
}
