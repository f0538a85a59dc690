//! When a reset rule runs: every day, week or month at a minute of the day, UTC.
//!
//! Source of the rule: wire contract of the index, section 1 (UCI reset rules).

use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Weekday};

const MINUTE_MS: i64 = 60_000;

/// Which days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrence {
    /// Every day.
    Daily,
    /// This day of every week.
    Weekly(Weekday),
    /// This day of every month, 1 to 28.
    Monthly(u32),
}

/// When something recurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    recurrence: Recurrence,
    minute_of_day: u16,
}

/// A part of a schedule that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct InvalidSchedule {
    /// The field.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

fn invalid(field: &'static str, problem: impl Into<String>) -> InvalidSchedule {
    InvalidSchedule { field, problem: problem.into() }
}

/// Minute of the day of `HH:MM`.
fn minute_of_day(at: &str) -> Option<u16> {
    let (hours, minutes) = at.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// English name of a day of the week.
fn weekday_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "monday",
        Weekday::Tue => "tuesday",
        Weekday::Wed => "wednesday",
        Weekday::Thu => "thursday",
        Weekday::Fri => "friday",
        Weekday::Sat => "saturday",
        Weekday::Sun => "sunday",
    }
}

impl Schedule {
    /// Reads a schedule: `daily`, `weekly` with a weekday (`monday` or `mon`), or `monthly` with a day from 1
    /// to 28, which every month has; each at `HH:MM` UTC. Words are read without regard to case; a
    /// weekday or a day of the month that the schedule does not need must be absent.
    ///
    /// # Errors
    /// [`InvalidSchedule`] naming the field.
    pub fn parse(
        schedule: &str,
        at: &str,
        weekday: Option<&str>,
        day_of_month: Option<i64>,
    ) -> Result<Self, InvalidSchedule> {
        let word = schedule.trim().to_ascii_lowercase();
        let recurrence = match word.as_str() {
            "daily" => Recurrence::Daily,
            "weekly" => {
                let text = weekday.ok_or_else(|| invalid("weekday", "is needed for a weekly schedule"))?;
                let day = Weekday::from_str(text.trim())
                    .map_err(|_| invalid("weekday", "must be a day's English name, for example monday"))?;
                Recurrence::Weekly(day)
            }
            "monthly" => {
                let day = day_of_month.ok_or_else(|| invalid("dayOfMonth", "is needed for a monthly schedule"))?;
                let day = u32::try_from(day).ok().filter(|day| (1..=28).contains(day));
                Recurrence::Monthly(
                    day.ok_or_else(|| invalid("dayOfMonth", "must be from 1 to 28, which every month has"))?,
                )
            }
            _ => return Err(invalid("schedule", "must be daily, weekly or monthly")),
        };
        if weekday.is_some() && !matches!(recurrence, Recurrence::Weekly(_)) {
            return Err(invalid("weekday", "goes with a weekly schedule only"));
        }
        if day_of_month.is_some() && !matches!(recurrence, Recurrence::Monthly(_)) {
            return Err(invalid("dayOfMonth", "goes with a monthly schedule only"));
        }
        let minute_of_day =
            minute_of_day(at.trim()).ok_or_else(|| invalid("at", "must be a time of day as HH:MM, UTC"))?;
        Ok(Self { recurrence, minute_of_day })
    }

    /// Which days.
    #[must_use]
    pub const fn recurrence(&self) -> Recurrence {
        self.recurrence
    }

    /// `daily`, `weekly` or `monthly`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.recurrence {
            Recurrence::Daily => "daily",
            Recurrence::Weekly(_) => "weekly",
            Recurrence::Monthly(_) => "monthly",
        }
    }

    /// Time of day, `HH:MM`.
    #[must_use]
    pub fn at(&self) -> String {
        format!("{:02}:{:02}", self.minute_of_day / 60, self.minute_of_day % 60)
    }

    /// Day of the week of a weekly schedule, in English.
    #[must_use]
    pub fn weekday(&self) -> Option<&'static str> {
        match self.recurrence {
            Recurrence::Weekly(day) => Some(weekday_name(day)),
            _ => None,
        }
    }

    /// Day of the month of a monthly schedule.
    #[must_use]
    pub const fn day_of_month(&self) -> Option<u32> {
        match self.recurrence {
            Recurrence::Monthly(day) => Some(day),
            _ => None,
        }
    }

    /// The first time of this schedule after `after_ms`, ms since epoch; none beyond the calendar.
    #[must_use]
    pub fn next_after(&self, after_ms: i64) -> Option<i64> {
        let mut day = DateTime::from_timestamp_millis(after_ms)?.date_naive();
        loop {
            day = self.on_or_after(day)?;
            let midnight_ms = day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis();
            let at_ms = midnight_ms + i64::from(self.minute_of_day) * MINUTE_MS;
            if at_ms > after_ms {
                return Some(at_ms);
            }
            day = day.checked_add_days(Days::new(1))?;
        }
    }

    fn on_or_after(&self, day: NaiveDate) -> Option<NaiveDate> {
        match self.recurrence {
            Recurrence::Daily => Some(day),
            Recurrence::Weekly(weekday) => {
                let ahead = weekday.days_since(day.weekday());
                day.checked_add_days(Days::new(u64::from(ahead)))
            }
            Recurrence::Monthly(number) => {
                let this_month = day.with_day(number)?;
                if this_month >= day { Some(this_month) } else { this_month.checked_add_months(Months::new(1)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time_text::{format_time, parse_time};

    fn next(schedule: Schedule, after: &str) -> String {
        format_time(schedule.next_after(parse_time(after, 0).unwrap()).unwrap())
    }

    #[test]
    fn the_next_time_lies_strictly_ahead() {
        let daily = Schedule::parse("Daily", "06:30", None, None).unwrap();
        assert_eq!(next(daily, "2024-02-28T06:29:59.999Z"), "2024-02-28T06:30:00.000Z");
        assert_eq!(next(daily, "2024-02-28T06:30:00Z"), "2024-02-29T06:30:00.000Z");
        let weekly = Schedule::parse("weekly", "00:00", Some("Sunday"), None).unwrap();
        assert_eq!(next(weekly, "2024-12-28T12:00:00Z"), "2024-12-29T00:00:00.000Z");
        assert_eq!(next(weekly, "2024-12-29T00:00:00Z"), "2025-01-05T00:00:00.000Z");
        let monthly = Schedule::parse("monthly", "23:59", None, Some(28)).unwrap();
        assert_eq!(next(monthly, "2023-02-28T23:59:00Z"), "2023-03-28T23:59:00.000Z");
        assert_eq!(next(monthly, "2023-12-29T00:00:00Z"), "2024-01-28T23:59:00.000Z");
    }

    #[test]
    fn a_schedule_reads_back() {
        for (word, at, weekday, day) in [
            ("daily", "00:00", None, None),
            ("weekly", "09:05", Some("friday"), None),
            ("monthly", "23:59", None, Some(1)),
        ] {
            let schedule = Schedule::parse(word, at, weekday, day).unwrap();
            let day_of_month = schedule.day_of_month().map(i64::from);
            assert_eq!(
                (schedule.word(), schedule.at().as_str(), schedule.weekday(), day_of_month),
                (word, at, weekday, day)
            );
        }
    }

    #[test]
    fn what_is_missing_wrong_or_useless_is_named() {
        for (word, at, weekday, day, field) in [
            ("hourly", "00:00", None, None, "schedule"),
            ("daily", "24:00", None, None, "at"),
            ("daily", "+1:00", None, None, "at"),
            ("daily", "1:00", None, None, "at"),
            ("daily", "01:60", None, None, "at"),
            ("daily", "", None, None, "at"),
            ("weekly", "00:00", None, None, "weekday"),
            ("weekly", "00:00", Some("someday"), None, "weekday"),
            ("daily", "00:00", Some("monday"), None, "weekday"),
            ("monthly", "00:00", None, None, "dayOfMonth"),
            ("monthly", "00:00", None, Some(29), "dayOfMonth"),
            ("monthly", "00:00", None, Some(0), "dayOfMonth"),
            ("weekly", "00:00", Some("mon"), Some(1), "dayOfMonth"),
        ] {
            assert_eq!(Schedule::parse(word, at, weekday, day).unwrap_err().field, field, "{word} {at}");
        }
    }
}
