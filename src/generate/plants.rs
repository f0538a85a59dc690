//! What is planted into the ordinary days, so that the truth is known: evidence of given sizes, malicious accounts, and the
//! two stories of the demo.

use std::collections::HashMap;
use std::ops::Range;

use super::accounts::{Account, Accounts};
use super::event::{Event, fresh_origin};
use super::random::Random;
use super::world::{APPS, PRIVATE_COMPUTER, REMOVABLE_DRIVE, SERVICES, World};
use super::{Plan, Profile, stories};
use crate::domain::day::DAY_MS;

const HOUR_MS: i64 = 3_600_000;

/// Rows of the planted anomalies, and the days that their windows cover at most. The greatest are the cap of an answer
/// and one row more.
const SIZES: [(u64, i64); 5] = [(1, 1), (30, 1), (3_000, 1), (100_000, 5), (100_001, 5)];

/// Malicious accounts in a thousand.
const MALICIOUS: usize = 5;

/// Rows of a sudden volume.
const SUDDEN_ROWS: Range<i64> = 100..201;

/// Rows of each evening of a slow exfiltration.
const EVENING_ROWS: Range<i64> = 1..6;

/// What is known about one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) kind: &'static str,
    pub(super) account: usize,
    /// First moment of it and first moment after it, ms since epoch.
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
    /// Which of the account's activities in that time belong to it.
    pub(super) of: Choice,
}

/// A choice among the activities of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    All,
    Origin(u32),
    Device(u16),
    Action(u16),
}

impl Truth {
    /// Whether it is about this event.
    pub(super) fn holds(&self, event: &Event) -> bool {
        event.account as usize == self.account
            && (self.from_ms..self.to_ms).contains(&event.time_ms)
            && match self.of {
                Choice::All => true,
                Choice::Origin(origin) => event.origin == origin,
                Choice::Device(device) => event.device == device,
                Choice::Action(action) => event.action == action,
            }
    }
}

/// Everything planted.
#[derive(Debug, Default)]
pub(super) struct Plants {
    pub(super) truths: Vec<Truth>,
    /// Rows that are planted as such.
    pub(super) events: Vec<Event>,
    /// Times in which an account does nothing but what is planted; on all days that they touch.
    pub(super) away: HashMap<usize, Range<i64>>,
    /// Accounts that behave like another one, and from when on.
    pub(super) swaps: HashMap<usize, (usize, i64)>,
}

/// What everything is planted with.
pub(super) struct Ground<'a> {
    pub(super) plan: &'a Plan,
    pub(super) world: &'a World,
    pub(super) accounts: &'a Accounts,
}

impl Plants {
    /// Plants what `rows` have room for: at most a quarter of them is planted evidence.
    pub(super) fn new(ground: &Ground<'_>, rows: u64) -> Self {
        let mut plants = Self::default();
        match ground.plan.profile {
            Profile::Demo => plants.plant_stories(ground),
            Profile::Workload => {
                plants.plant_evidence(ground, rows);
                plants.plant_malicious(ground, rows);
            }
        }
        plants.events.sort_unstable_by_key(|event| (event.time_ms, event.account, event.object));
        plants
    }

    fn plant_stories(&mut self, ground: &Ground<'_>) {
        for (account, story) in
            [(stories::INSIDER, stories::insider(ground)), (stories::TRAVELLER, stories::two_countries(ground))]
        {
            let (truth, until_ms, events) = story;
            self.away.insert(account, truth.from_ms..until_ms);
            self.truths.push(truth);
            self.events.extend(events);
        }
    }

    /// Evidence sets of fixed sizes, each of an account that does nothing else in that time.
    fn plant_evidence(&mut self, ground: &Ground<'_>, rows: u64) {
        let Plan { seed, days, end_ms, .. } = *ground.plan;
        let people = ground.accounts.people;
        let mut planted = 0;
        for (place, (size, most_days)) in (1_usize..).zip(SIZES) {
            planted += size;
            if planted > rows / 4 || place * 2 > people {
                return;
            }
            let account = people * place / (SIZES.len() + 1);
            let mut random = Random::of_part(seed, &[10, size]);
            let length = most_days.min((days - 2).max(1));
            let to_ms = end_ms - (days - length).clamp(0, 2) * DAY_MS;
            let from_ms = if size < 1_000 { to_ms - 10 * HOUR_MS } else { to_ms - length * DAY_MS };
            let to_ms = if size < 1_000 { from_ms + HOUR_MS } else { to_ms };
            let (span, count) = (to_ms - from_ms, i64::try_from(size).unwrap_or(i64::MAX));
            let who = &ground.accounts.all[account];
            for n in 0..count {
                let (begin, end) = (n * span / count, (n + 1) * span / count);
                let time_ms = from_ms + random.between(begin, end.max(begin + 1));
                let action = ground.accounts.mixes[who.mix as usize].pick(&mut random);
                self.events.push(act(account, time_ms, (action, who.devices[0], who.origins[0]), &mut random));
            }
            self.truths.push(Truth { kind: "planted", account, from_ms, to_ms, of: Choice::All });
            self.away.insert(account, from_ms..to_ms);
        }
    }

    /// Five malicious accounts in a thousand: two that swapped their owners, a sudden volume from a new address, and a
    /// slow carrying away.
    fn plant_malicious(&mut self, ground: &Ground<'_>, rows: u64) {
        let plan = ground.plan;
        let mut random = Random::of_part(plan.seed, &[11]);
        let mut wanted = plan.users * MALICIOUS / 1_000;
        for kind in (0..3_u8).cycle() {
            let most = match kind {
                0 => SUDDEN_ROWS.end,
                1 => EVENING_ROWS.end * (plan.days / 2).max(1),
                _ => 0,
            };
            if wanted == 0 || self.events.len() as u64 + most.unsigned_abs() > rows * 2 / 5 {
                return;
            }
            let Some(account) = self.someone(ground, &mut random) else { return };
            wanted -= 1;
            match kind {
                0 => self.sudden_volume(ground, account, &mut random),
                1 => self.slow_exfiltration(ground, account, &mut random),
                _ => {
                    // It takes two.
                    let from_ms = plan.end_ms - (plan.days / 3).max(1) * DAY_MS;
                    let truth = Truth { kind: "user-swap", account, from_ms, to_ms: plan.end_ms, of: Choice::All };
                    self.truths.push(truth.clone());
                    let Some(other) = self.someone(ground, &mut random) else {
                        self.truths.pop();
                        return;
                    };
                    self.truths.push(Truth { account: other, ..truth });
                    self.swaps.insert(account, (other, from_ms));
                    self.swaps.insert(other, (account, from_ms));
                    wanted = wanted.saturating_sub(1);
                }
            }
        }
    }

    /// A person about whom nothing is known yet.
    fn someone(&self, ground: &Ground<'_>, random: &mut Random) -> Option<usize> {
        let people = ground.accounts.people;
        let first = usize::try_from(random.below(people as u64)).unwrap_or(0);
        let is_known = |account: usize| self.truths.iter().any(|truth| truth.account == account);
        (0..people).map(|n| (first + n) % people).find(|account| !is_known(*account))
    }

    /// More than a hundred activities within two hours from an address, with a browser and in 80 services that the account
    /// never used.
    fn sudden_volume(&mut self, ground: &Ground<'_>, account: usize, random: &mut Random) {
        let Plan { days, end_ms, .. } = *ground.plan;
        let from_ms = end_ms - random.between(1, days.min(14) + 1) * DAY_MS;
        let begin_ms = from_ms + random.between(0, 20) * HOUR_MS;
        let origin = fresh_origin(random);
        for n in 0..random.between(SUDDEN_ROWS.start, SUDDEN_ROWS.end) {
            let time_ms = begin_ms + random.between(0, 2 * HOUR_MS);
            let app = SERVICES + usize::try_from(n).unwrap_or(0) % APPS;
            let action = ground.world.services[app].first_action;
            self.events.push(act(account, time_ms, (action, PRIVATE_COMPUTER, origin), random));
        }
        let of = Choice::Origin(origin);
        self.truths.push(Truth { kind: "sudden-volume", account, from_ms, to_ms: from_ms + DAY_MS, of });
    }

    /// A few files each evening for weeks, onto a drive.
    fn slow_exfiltration(&mut self, ground: &Ground<'_>, account: usize, random: &mut Random) {
        let Plan { days, end_ms, .. } = *ground.plan;
        let from_ms = end_ms - (days / 2).max(1) * DAY_MS;
        let who: &Account = &ground.accounts.all[account];
        let action = ground.world.action(super::world::FILE_SERVICE, "FILE_DOWNLOAD");
        for evening in 0..(days / 2).max(1) {
            for _ in 0..random.between(EVENING_ROWS.start, EVENING_ROWS.end) {
                let time_ms = from_ms + evening * DAY_MS + 20 * HOUR_MS + random.between(0, 2 * HOUR_MS);
                self.events.push(act(account, time_ms, (action, REMOVABLE_DRIVE, who.origins[0]), random));
            }
        }
        let of = Choice::Device(REMOVABLE_DRIVE);
        self.truths.push(Truth { kind: "slow-exfiltration", account, from_ms, to_ms: end_ms, of });
    }
}

/// A planted event; `what` is action, device and origin. It is delivered in time.
pub(super) fn act(account: usize, time_ms: i64, what: (u16, u16, u32), random: &mut Random) -> Event {
    Event {
        id: 0,
        object: random.next(),
        time_ms,
        arrival_ms: 0,
        account: u32::try_from(account).unwrap_or(0),
        origin: what.2,
        action: what.0,
        device: what.1,
    }
}
