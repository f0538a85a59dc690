//! What a data file can hold, from its statistics: tells whether a file gained since an evidence file
//! was made could matter to it.

use std::collections::HashMap;

use bytes::Bytes;
use deltalake::kernel::{Action, Add};
use serde::Deserialize;

use crate::domain::activity::{DAY, TIME_STAMP, USER_KEY};
use crate::domain::day::Day;

/// Rows that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// First `timeStamp`, ms since epoch.
    pub from_ms: i64,
    /// First `timeStamp` that is no longer wanted, ms since epoch.
    pub to_ms: i64,
    /// The user wanted; any when absent.
    pub user_key: Option<&'a str>,
}

/// Bounds of one data file; an unknown bound is absent and excludes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileRange {
    day: Option<String>,
    time_stamp: Option<(i64, i64)>,
    user_key: Option<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    #[serde(default)]
    min_values: HashMap<String, serde_json::Value>,
    #[serde(default)]
    max_values: HashMap<String, serde_json::Value>,
}

impl FileRange {
    /// Bounds of a file from the action that added it.
    #[must_use]
    pub fn of(add: &Add) -> Self {
        let day = add.partition_values.get(DAY).cloned().flatten();
        let statistics = add.stats.as_deref().and_then(|text| serde_json::from_str::<Statistics>(text).ok());
        let Some(Statistics { min_values, max_values }) = statistics else {
            return Self { day, ..Self::default() };
        };
        let time =
            |values: &HashMap<String, serde_json::Value>| values.get(TIME_STAMP).and_then(serde_json::Value::as_i64);
        let user = |values: &HashMap<String, serde_json::Value>| {
            values.get(USER_KEY).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        Self {
            day,
            time_stamp: time(&min_values).zip(time(&max_values)),
            user_key: user(&min_values).zip(user(&max_values)),
        }
    }

    /// Whether the file could hold a wanted row. True in doubt.
    #[must_use]
    pub fn may_hold(&self, wanted: &Wanted<'_>) -> bool {
        if wanted.from_ms >= wanted.to_ms {
            return false;
        }
        let day_fits = self.day.as_deref().is_none_or(|day| {
            let first = Day::of_time_stamp(wanted.from_ms).map(|d| d.to_string());
            let last = Day::of_time_stamp(wanted.to_ms - 1).map(|d| d.to_string());
            first.is_none_or(|first| first.as_str() <= day) && last.is_none_or(|last| day <= last.as_str())
        });
        let time_fits = self.time_stamp.is_none_or(|(min, max)| min < wanted.to_ms && wanted.from_ms <= max);
        let user_fits = wanted.user_key.is_none_or(|user| {
            self.user_key.as_ref().is_none_or(|(min, max)| min.as_str() <= user && user <= max.as_str())
        });
        day_fits && time_fits && user_fits
    }
}

/// Files that a commit of the log added with new rows; a rewrite of known rows adds none.
///
/// # Errors
/// When a line of the commit is no action.
pub fn files_gained(commit: &Bytes) -> Result<Vec<FileRange>, serde_json::Error> {
    let mut gained = Vec::new();
    for line in commit.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        if let Action::Add(add) = serde_json::from_slice(line)?
            && add.data_change
        {
            gained.push(FileRange::of(&add));
        }
    }
    Ok(gained)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn range() -> FileRange {
        let add: Add = serde_json::from_value(serde_json::json!({
            "path": "day=1970-01-02/x.parquet", "partitionValues": {"day": "1970-01-02"}, "size": 1,
            "modificationTime": 0, "dataChange": true,
            "stats": r#"{"numRecords":2,"minValues":{"timeStamp":86400010,"userKey":"bob"},"maxValues":{"timeStamp":86400020,"userKey":"carl"}}"#,
        }))
        .unwrap();
        FileRange::of(&add)
    }

    fn wanted(from_ms: i64, to_ms: i64, user_key: Option<&str>) -> bool {
        range().may_hold(&Wanted { from_ms, to_ms, user_key })
    }

    #[test]
    fn bounds_are_inclusive_and_the_window_is_half_open() {
        assert!(wanted(DAY_MS + 20, DAY_MS + 21, None));
        assert!(wanted(DAY_MS, DAY_MS + 11, None));
        assert!(!wanted(DAY_MS, DAY_MS + 10, None));
        assert!(!wanted(DAY_MS + 21, DAY_MS + 100, None));
        assert!(!wanted(0, DAY_MS, None), "another day");
        assert!(!wanted(5, 5, None), "an empty window");
    }

    #[test]
    fn users_outside_the_bounds_are_not_held() {
        for (user, held) in [("alice", false), ("bob", true), ("bzz", true), ("carl", true), ("dora", false)] {
            assert_eq!(wanted(0, 10 * DAY_MS, Some(user)), held, "{user}");
        }
    }

    #[test]
    fn without_statistics_anything_may_be_held() {
        assert!(FileRange::default().may_hold(&Wanted { from_ms: 0, to_ms: 1, user_key: Some("x") }));
    }
}
