//! Which activities belong to an anomaly: user, window and an optional condition, as filter nodes.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, cast, col, lit};

use crate::domain::activity::{ACTIVITY_ID, DAY, TIME_STAMP, USER_KEY};
use crate::domain::day::{Day, END_TIME_STAMP_MS, MIN_TIME_STAMP_MS};
use crate::lake::file_ranges::Wanted;

/// A choice of activities. Every condition holds at once.
#[derive(Debug, Clone)]
pub struct ActivityFilter {
    /// First `timeStamp`, ms since epoch.
    pub from_ms: i64,
    /// First `timeStamp` that is no longer chosen, ms since epoch.
    pub to_ms: i64,
    /// The user's key; any user when absent.
    pub user_key: Option<String>,
    /// A checked condition, from [`super::predicate::parse_where`].
    pub condition: Option<Expr>,
}

/// A row's place in the order of time, ties broken by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `timeStamp` of the row, ms since epoch.
    pub time_stamp_ms: i64,
    /// `activityId` of the row.
    pub activity_id: String,
}

fn column(name: &str) -> Expr {
    // `col` would lower-case an unquoted name.
    col(format!("\"{name}\""))
}

impl ActivityFilter {
    /// What data files must hold to matter.
    #[must_use]
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { from_ms: self.from_ms, to_ms: self.to_ms, user_key: self.user_key.as_deref() }
    }

    /// The conditions as separate filters: a filter that mixes the partition column with others
    /// would not reach the files' statistics.
    #[must_use]
    pub fn conjuncts(&self) -> Vec<Expr> {
        let from = self.from_ms.clamp(MIN_TIME_STAMP_MS, END_TIME_STAMP_MS - 1);
        let last = (self.to_ms.saturating_sub(1)).clamp(MIN_TIME_STAMP_MS, END_TIME_STAMP_MS - 1);
        let day = |ms| Day::of_time_stamp(ms).map(|d| lit(ScalarValue::Date32(Some(d.days_since_epoch()))));
        let mut filters: Vec<Expr> = Vec::with_capacity(6);
        filters.extend(day(from).map(|first| column(DAY).gt_eq(first)));
        filters.extend(day(last).map(|last| column(DAY).lt_eq(last)));
        filters.push(column(TIME_STAMP).gt_eq(lit(self.from_ms)));
        filters.push(column(TIME_STAMP).lt(lit(self.to_ms)));
        filters.extend(self.user_key.as_ref().map(|user| column(USER_KEY).eq(lit(user.as_str()))));
        filters.extend(self.condition.clone());
        filters
    }

    /// Conditions that keep the rows at `place` and after it.
    #[must_use]
    pub fn not_before(place: &Place) -> [Expr; 2] {
        let id = cast(column(ACTIVITY_ID), DataType::Utf8);
        [
            column(TIME_STAMP).gt_eq(lit(place.time_stamp_ms)),
            column(TIME_STAMP).gt(lit(place.time_stamp_ms)).or(id.gt_eq(lit(place.activity_id.as_str()))),
        ]
    }
}
