//! A user's score as a function of time, and the days that it is shown by.
//!
//! Source of the rules: wire contract of the index, section 2. An impact counts for
//! `time ≤ t < time + window`, never once it is allowed, and from a reset on no more if it was accepted
//! before that reset. So each impact counts during one span of time, and a score is 1000 less the points of
//! the spans that hold `t`.

use std::ops::Range;

use crate::domain::day::DAY_MS;

/// The best score, and that of a user of whom nothing bad is known.
pub const BEST: i64 = 1000;

/// Longest window of a tenant, in ms: 90 days.
pub const MAX_WINDOW_MS: i64 = 90 * DAY_MS;

/// Something that takes points off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impact {
    /// Place in the order in which impacts and resets were accepted.
    pub number: i64,
    /// When it happened, ms since epoch; may lie before earlier accepted ones.
    pub time_ms: i64,
    /// Points that it takes off, 1 to 1000.
    pub points: i64,
    /// Found to be no risk: it never counts, not in the past either.
    pub allowed: bool,
}

/// All points given back at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// Place in the order in which impacts and resets were accepted.
    pub number: i64,
    /// From when on it voids the impacts accepted before it, ms since epoch.
    pub at_ms: i64,
}

/// The score at a UTC day's end, or now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayScore {
    /// Start of the day, ms since epoch.
    pub start_ms: i64,
    /// The score at the day's last ms; for today, now.
    pub score: i64,
}

/// Points that count at a moment, and how long that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Sum of the points; may exceed 1000.
    pub points: i64,
    /// First ms of which it is true, ms since epoch.
    pub from_ms: i64,
    /// First ms of which it may be true no more, ms since epoch.
    pub until_ms: i64,
}

impl Standing {
    /// Standing of a user whom nothing counts against, ever.
    pub const CLEAR: Self = Self { points: 0, from_ms: i64::MIN, until_ms: i64::MAX };

    /// The score.
    #[must_use]
    pub fn score(self) -> i64 {
        score_of(self.points)
    }

    /// Whether it is true of `t`.
    #[must_use]
    pub fn holds_at(self, t_ms: i64) -> bool {
        (self.from_ms..self.until_ms).contains(&t_ms)
    }

    /// The standing at `t`, of which this one holds, once a further impact is accepted.
    #[must_use]
    pub fn with(self, impact: Impact, window_ms: i64, t_ms: i64) -> Self {
        let span = span_of(impact, i64::MAX, window_ms);
        if span.is_empty() {
            return self;
        }
        let mut standing = self;
        if span.contains(&t_ms) {
            standing.points += impact.points;
        }
        for edge in [span.start, span.end] {
            if edge <= t_ms {
                standing.from_ms = standing.from_ms.max(edge);
            } else {
                standing.until_ms = standing.until_ms.min(edge);
            }
        }
        standing
    }
}

/// The score when so many points count.
#[must_use]
pub fn score_of(points: i64) -> i64 {
    (BEST - points).clamp(0, BEST)
}

/// When an impact counts, given from when on it is void.
#[must_use]
pub fn span_of(impact: Impact, voided_ms: i64, window_ms: i64) -> Range<i64> {
    if impact.allowed {
        return 0..0;
    }
    impact.time_ms..impact.time_ms.saturating_add(window_ms).min(voided_ms)
}

/// From when on resets void what was accepted before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voids(Vec<(i64, i64)>);

impl Voids {
    /// What these resets of one user, in any order, void.
    #[must_use]
    pub fn new(resets: &[Reset]) -> Self {
        let mut voids: Vec<(i64, i64)> = resets.iter().map(|reset| (reset.number, reset.at_ms)).collect();
        voids.sort_unstable();
        // Clocks step back, so that a later reset may lie before an earlier one: the earliest of all later
        // ones is what ends an impact.
        let mut earliest = i64::MAX;
        for void in voids.iter_mut().rev() {
            earliest = earliest.min(void.1);
            void.1 = earliest;
        }
        Self(voids)
    }

    /// From when on the impact of this number is void, ms since epoch; `i64::MAX` for never.
    #[must_use]
    pub fn of(&self, number: i64) -> i64 {
        let next = self.0.partition_point(|&(reset, _)| reset <= number);
        self.0.get(next).map_or(i64::MAX, |&(_, at_ms)| at_ms)
    }
}

/// A user's points over all time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Times at which the sum of points changes, ascending, each with the sum from then on.
    steps: Vec<(i64, i64)>,
    /// Time of the earliest impact, counting or not.
    first_ms: Option<i64>,
}

impl Timeline {
    /// What these impacts and resets of one user, in any order, amount to.
    #[must_use]
    pub fn new(impacts: &[Impact], resets: &[Reset], window_ms: i64) -> Self {
        let voids = Voids::new(resets);
        let mut changes = Vec::with_capacity(2 * impacts.len());
        for &impact in impacts {
            let span = span_of(impact, voids.of(impact.number), window_ms);
            if !span.is_empty() {
                changes.extend([(span.start, impact.points), (span.end, -impact.points)]);
            }
        }
        changes.sort_unstable();
        let mut steps: Vec<(i64, i64)> = Vec::with_capacity(changes.len());
        let mut points = 0;
        for (at_ms, change) in changes {
            points += change;
            match steps.last_mut() {
                Some(step) if step.0 == at_ms => step.1 = points,
                _ => steps.push((at_ms, points)),
            }
        }
        Self { steps, first_ms: impacts.iter().map(|impact| impact.time_ms).min() }
    }

    /// The same, of a user whose earliest impact was at this time, though it may not be among those given.
    #[must_use]
    pub fn beginning(self, first_ms: Option<i64>) -> Self {
        Self { first_ms, ..self }
    }

    /// What counts at `t`, and how long that holds.
    #[must_use]
    pub fn standing(&self, t_ms: i64) -> Standing {
        let next = self.steps.partition_point(|&(at_ms, _)| at_ms <= t_ms);
        let (from_ms, points) =
            next.checked_sub(1).and_then(|last| self.steps.get(last)).copied().unwrap_or((i64::MIN, 0));
        let until_ms = self.steps.get(next).map_or(i64::MAX, |&(at_ms, _)| at_ms);
        Standing { points, from_ms, until_ms }
    }

    /// The score at `t`.
    #[must_use]
    pub fn score(&self, t_ms: i64) -> i64 {
        self.standing(t_ms).score()
    }

    /// Starts of the days that [`Timeline::days`] would give, as days since epoch, end exclusive.
    #[must_use]
    pub fn day_range(&self, from_ms: i64, newest: i64, now_ms: i64) -> Range<i64> {
        let end = now_ms.div_euclid(DAY_MS) + 1;
        let first = self.first_ms.unwrap_or(now_ms).min(now_ms).max(from_ms).div_euclid(DAY_MS);
        first.max(end.saturating_sub(newest.max(0))).min(end)..end
    }

    /// Scores by UTC day, ascending, from the day of the user's first impact to today; of them those from the
    /// day of `from_ms` on, and the `newest` ones. A past day has the score of its last ms, today that of now.
    #[must_use]
    pub fn days(&self, from_ms: i64, newest: i64, now_ms: i64) -> Vec<DayScore> {
        self.day_range(from_ms, newest, now_ms)
            .map(|day| {
                let start_ms = day * DAY_MS;
                DayScore { start_ms, score: self.score(now_ms.min(start_ms + DAY_MS - 1)) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: i64 = 30 * DAY_MS;

    fn impact(number: i64, time_ms: i64, points: i64) -> Impact {
        Impact { number, time_ms, points, allowed: false }
    }

    /// The rule as the contract words it.
    fn naive(impacts: &[Impact], resets: &[Reset], window_ms: i64, t: i64) -> i64 {
        let counts = |impact: &&Impact| {
            impact.time_ms <= t
                && t < impact.time_ms + window_ms
                && !impact.allowed
                && !resets.iter().any(|reset| reset.at_ms <= t && impact.number < reset.number)
        };
        (1000 - impacts.iter().filter(counts).map(|impact| impact.points).sum::<i64>()).clamp(0, 1000)
    }

    #[test]
    fn an_impact_counts_from_its_time_to_the_windows_end() {
        let line = Timeline::new(&[impact(1, 100, 60)], &[], WINDOW);
        assert_eq!([99, 100, 99 + WINDOW, 100 + WINDOW].map(|t| line.score(t)), [1000, 940, 940, 1000]);
        assert_eq!(line.standing(100), Standing { points: 60, from_ms: 100, until_ms: 100 + WINDOW });
        assert_eq!(Timeline::new(&[], &[], WINDOW).standing(5), Standing::CLEAR);
    }

    #[test]
    fn a_reset_voids_what_was_accepted_before_it_and_no_more() {
        let impacts = [impact(1, 100, 60), impact(3, 50, 7)];
        let line = Timeline::new(&impacts, &[Reset { number: 2, at_ms: 200 }], WINDOW);
        assert_eq!([60, 199, 200, 201].map(|t| line.score(t)), [993, 933, 993, 993]);
    }

    #[test]
    fn a_score_stays_at_0_as_long_as_too_many_points_count() {
        let line = Timeline::new(&[impact(1, 100, 900), impact(2, 200, 900)], &[], 500);
        assert_eq!([150, 250, 650, 700].map(|t| line.score(t)), [100, 0, 100, 1000]);
    }

    #[test]
    fn days_run_from_the_first_impact_to_now() {
        let now = 10 * DAY_MS + 5;
        let mut allowed = impact(1, 7 * DAY_MS, 100);
        allowed.allowed = true;
        let impacts = [allowed, impact(2, 9 * DAY_MS - 1, 50), impact(3, now, 1), impact(4, now + 1, 9)];
        let line = Timeline::new(&impacts, &[], WINDOW);
        let scores = |from, newest| line.days(from, newest, now).iter().map(|d| d.score).collect::<Vec<_>>();
        assert_eq!(scores(0, i64::MAX), [1000, 950, 950, 949]);
        assert_eq!(line.days(0, 1, now), [DayScore { start_ms: 10 * DAY_MS, score: 949 }]);
        assert_eq!(scores(8 * DAY_MS + 7, 7), [950, 950, 949], "the day of `from` is included");
        assert_eq!(scores(now + DAY_MS, 7), [0; 0]);
        assert_eq!(scores(0, 0), [0; 0]);
        assert_eq!(Timeline::new(&[], &[], WINDOW).days(0, 7, now).len(), 1, "a user without impacts has today");
        assert_eq!(Timeline::new(&[impact(1, now + 9, 5)], &[], WINDOW).days(0, 7, now).len(), 1);
    }

    fn history() -> impl Strategy<Value = (Vec<Impact>, Vec<Reset>)> {
        let impact = (0..40_i64, -50..50_i64, 1..=1000_i64, prop::bool::weighted(0.2))
            .prop_map(|(number, time_ms, points, allowed)| Impact { number, time_ms, points, allowed });
        let reset = (0..40_i64, -50..50_i64).prop_map(|(number, at_ms)| Reset { number, at_ms });
        (prop::collection::vec(impact, 0..12), prop::collection::vec(reset, 0..4))
    }

    proptest! {
        #[test]
        fn the_timeline_is_the_rule((impacts, resets) in history(), window in 1..60_i64) {
            let line = Timeline::new(&impacts, &resets, window);
            for t in -60..120 {
                let score = line.score(t);
                prop_assert_eq!(score, naive(&impacts, &resets, window, t), "at {}", t);
                prop_assert!((0..=1000).contains(&score));
                let standing = line.standing(t);
                prop_assert!(standing.holds_at(t));
                for near in [standing.from_ms.max(-60), standing.until_ms.min(120) - 1] {
                    prop_assert_eq!(line.standing(near), standing);
                }
            }
        }

        /// Accepting one more impact changes a standing as if it had been counted from the start.
        #[test]
        fn a_standing_takes_up_an_impact((impacts, resets) in history(), time_ms in -50..50_i64, window in 1..60_i64, now in -60..60_i64) {
            let new = Impact { number: 99, time_ms, points: 3, allowed: false };
            let before = Timeline::new(&impacts, &resets, window).standing(now);
            let all: Vec<_> = impacts.into_iter().chain([new]).collect();
            let line = Timeline::new(&all, &resets, window);
            let after = before.with(new, window, now);
            prop_assert!(after.holds_at(now));
            for t in after.from_ms.max(-200)..after.until_ms.min(200) {
                prop_assert_eq!(line.score(t), after.score());
            }
        }
    }
}
