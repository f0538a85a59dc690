//! When an incident counts as modified, and how pages of incidents are cut, so that a reader who asks
//! again from the end of each page loses nothing.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.
//!
//! A reader goes on at the last time it has seen plus 1 ms. So a time must gain no incident any more
//! once a page has shown it. The machine's clock alone cannot promise that: it may stand still, it may step
//! back, and a write may commit after a read of the same ms. Therefore each tenant has a clock of its own,
//! which only the one writer moves. It never runs backwards, and before a page it is *closed*: no later
//! incident gets a time up to the page's end.

/// Most incidents with the same time.
pub const PER_MS: u32 = 1000;

/// A tenant's clock of modifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModifiedClock {
    /// The latest time that was given, ms since epoch.
    pub last_ms: i64,
    /// How many incidents got it; [`PER_MS`] also when it is closed.
    pub used: u32,
}

impl ModifiedClock {
    /// A clock that has given no time yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_ms: i64::MIN, used: 0 }
    }

    /// Gives the time of a modification made at `now_ms`: now, but never earlier than a time given
    /// before, and at most [`PER_MS`] times the same, then the next ms.
    pub fn stamp(&mut self, now_ms: i64) -> i64 {
        if now_ms > self.last_ms {
            *self = Self { last_ms: now_ms, used: 0 };
        } else if self.used >= PER_MS {
            *self = Self { last_ms: self.last_ms + 1, used: 0 };
        }
        self.used += 1;
        self.last_ms
    }

    /// Closes the clock for a page at `now_ms`; returns the first ms that the page may not include.
    /// No later [`ModifiedClock::stamp`] is before it.
    ///
    /// The current ms stays open and is left to the next page. A last time that lies ahead of the
    /// machine's clock (it has stepped back, or more than [`PER_MS`] modifications came in one ms) is closed
    /// like a past one; else these incidents would stay unseen until the clock has caught up.
    pub const fn close(&mut self, now_ms: i64) -> i64 {
        if self.last_ms == now_ms {
            return self.last_ms;
        }
        self.used = PER_MS;
        self.last_ms.saturating_add(1)
    }
}

impl Default for ModifiedClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the next incident, at `next_ms`, belongs to a page that has `taken` incidents, the last of them
/// at `last_ms`: up to the limit, and beyond it as long as the time stays the same.
#[must_use]
pub fn page_takes(limit: usize, taken: usize, last_ms: Option<i64>, next_ms: i64) -> bool {
    taken < limit || last_ms == Some(next_ms)
}

/// Where the next page starts: 1 ms after the last incident of this one. After a page without any: where
/// this one started, or, when it started nowhere, at `otherwise`, before which nothing can appear.
#[must_use]
pub fn next_start(last_ms: Option<i64>, start_ms: Option<i64>, otherwise: i64) -> i64 {
    last_ms.map(|last| last.saturating_add(1)).or(start_ms).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_thousand_share_a_ms_then_the_next_begins() {
        let mut clock = ModifiedClock::new();
        let mut given = BTreeMap::<i64, u32>::new();
        for _ in 0..2500 {
            *given.entry(clock.stamp(7)).or_default() += 1;
        }
        assert_eq!(given, BTreeMap::from([(7, 1000), (8, 1000), (9, 500)]));
        assert_eq!((clock.stamp(8), clock.stamp(3), clock.stamp(10)), (9, 9, 10));
    }

    #[test]
    fn the_current_ms_is_left_to_the_next_page() {
        let mut clock = ModifiedClock::new();
        clock.stamp(7);
        assert_eq!(clock.close(7), 7);
        assert_eq!(clock.stamp(7), 7);
        assert_eq!(clock.close(8), 8);
        assert_eq!(clock.stamp(7), 8, "a closed ms gains nothing");
        assert_eq!(clock.close(1), 9, "nor after the machine's clock stepped back");
        assert_eq!(clock.stamp(1), 9);
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// The machine's clock moves, maybe back.
        Clock(i64),
        /// As many incidents are created.
        Create(usize),
        /// One is modified.
        Modify(prop::sample::Index),
        /// The reader asks for the next page.
        Read(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (-3..5_i64).prop_map(Step::Clock),
            2 => prop_oneof![1..5_usize, 900..2100_usize].prop_map(Step::Create),
            4 => any::<prop::sample::Index>().prop_map(Step::Modify),
            4 => prop_oneof![1..6_usize, 500..1500_usize].prop_map(Step::Read),
        ]
    }

    /// A tenant's incidents and one reader who follows the cursor.
    #[derive(Default)]
    struct World {
        now_ms: i64,
        clock: ModifiedClock,
        modified: Vec<i64>,
        cursor: Option<i64>,
        seen: HashMap<usize, i64>,
    }

    impl World {
        /// Reads a page; returns how many incidents it had.
        fn read(&mut self, limit: usize) -> usize {
            let end = self.clock.close(self.now_ms);
            let start = self.cursor.unwrap_or(i64::MIN);
            let mut found: Vec<_> = self.modified.iter().copied().enumerate().map(|(id, ms)| (ms, id)).collect();
            found.retain(|(ms, _)| (start..end).contains(ms));
            found.sort_unstable();
            let (mut taken, mut last) = (0, None);
            for (ms, id) in found {
                if !page_takes(limit, taken, last, ms) {
                    break;
                }
                let before = self.seen.insert(id, ms);
                assert!(before.is_none_or(|before| before < ms), "{id} came twice with the same time");
                (taken, last) = (taken + 1, Some(ms));
            }
            assert!(taken <= limit + PER_MS as usize);
            self.cursor = Some(next_start(last, self.cursor, end));
            taken
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever happens between the pages, the reader ends up knowing the last state of each incident.
        #[test]
        fn a_reader_who_follows_the_cursor_loses_and_repeats_nothing(steps in prop::collection::vec(step(), 1..60)) {
            let mut world = World { now_ms: 1000, ..World::default() };
            for step in steps {
                match step {
                    Step::Clock(by) => world.now_ms += by,
                    Step::Create(count) => {
                        for _ in 0..count {
                            let latest = world.clock.last_ms;
                            world.modified.push(world.clock.stamp(world.now_ms));
                            prop_assert!(world.clock.last_ms >= latest);
                        }
                    }
                    Step::Modify(which) if !world.modified.is_empty() => {
                        let which = which.index(world.modified.len());
                        world.modified[which] = world.clock.stamp(world.now_ms);
                    }
                    Step::Modify(_) => {}
                    Step::Read(limit) => {
                        world.read(limit);
                    }
                }
            }
            world.now_ms += 1_000_000;
            while world.read(700) > 0 {}
            prop_assert_eq!(world.seen.len(), world.modified.len());
            for (id, ms) in world.modified.iter().enumerate() {
                prop_assert_eq!(world.seen[&id], *ms);
            }
        }
    }
}
