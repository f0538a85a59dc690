//! The UTC day of a timestamp: partition of the activities.

use std::fmt;

use serde::{Serialize, Serializer};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// First accepted `timeStamp`: 0001-01-01T00:00:00Z, in ms since epoch.
pub const MIN_TIME_STAMP_MS: i64 = -62_135_596_800_000;

/// First `timeStamp` that is no longer accepted: 10000-01-01T00:00:00Z, in ms since epoch.
///
/// Days have four-digit years, so that partition folders sort as dates everywhere.
pub const END_TIME_STAMP_MS: i64 = 253_402_300_800_000;

/// A UTC date as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(i32);

impl Day {
    /// The day that holds a timestamp, or none when the year has not four digits.
    #[must_use]
    pub fn of_time_stamp(time_stamp_ms: i64) -> Option<Self> {
        if !(MIN_TIME_STAMP_MS..END_TIME_STAMP_MS).contains(&time_stamp_ms) {
            return None;
        }
        i32::try_from(time_stamp_ms.div_euclid(DAY_MS)).ok().map(Self)
    }

    /// Days since epoch, as Arrow's `Date32` holds them.
    #[must_use]
    pub const fn days_since_epoch(self) -> i32 {
        self.0
    }

    /// The day with this `Date32` value.
    #[must_use]
    pub const fn from_days_since_epoch(days: i32) -> Self {
        Self(days)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = chrono::DateTime::from_timestamp(i64::from(self.0) * (DAY_MS / 1000), 0).ok_or(fmt::Error)?;
        write!(f, "{}", date.format("%Y-%m-%d"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_a_day() {
        assert_eq!(Day::of_time_stamp(0).unwrap().to_string(), "1970-01-01");
        assert_eq!(Day::of_time_stamp(DAY_MS - 1).unwrap().to_string(), "1970-01-01");
        assert_eq!(Day::of_time_stamp(DAY_MS).unwrap().to_string(), "1970-01-02");
        assert_eq!(Day::of_time_stamp(-1).unwrap().to_string(), "1969-12-31");
        assert_eq!(Day::of_time_stamp(MIN_TIME_STAMP_MS).unwrap().to_string(), "0001-01-01");
        assert_eq!(Day::of_time_stamp(END_TIME_STAMP_MS - 1).unwrap().to_string(), "9999-12-31");
        assert_eq!(Day::of_time_stamp(MIN_TIME_STAMP_MS - 1), None);
        assert_eq!(Day::of_time_stamp(END_TIME_STAMP_MS), None);
    }
}
