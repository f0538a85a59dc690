//! What a decoder tells about an input.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::domain::day::Day;

/// Bad records that are listed; all are counted.
pub const MAX_LISTED_ERRORS: usize = 20;

/// Distinct unknown names that are counted apart; the rest is counted under [`OTHER_KEYS`].
pub const MAX_UNKNOWN_KEYS: usize = 1_000;

/// Bucket for unknown names beyond [`MAX_UNKNOWN_KEYS`] and for those longer than 128 bytes.
pub const OTHER_KEYS: &str = "(other)";

/// Longest unknown name that is counted apart, in bytes.
pub(super) const MAX_UNKNOWN_KEY_BYTES: usize = 128;

/// Longest piece of an input's own text in a reason, in characters: it may be personal data.
const MAX_EXCERPT_CHARS: usize = 80;

/// Why one record was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordError {
    /// First line of the record in a text format, or row of a Parquet or Arrow input, from 1.
    pub line: u64,
    /// The key or column at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong, with at most 80 characters of the value.
    pub reason: String,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "line {}, field `{field}`: {}", self.line, self.reason),
            None => write!(f, "line {}: {}", self.line, self.reason),
        }
    }
}

/// What became of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecodeReport {
    /// Records handed to the sink.
    pub accepted: u64,
    /// Records refused.
    pub rejected: u64,
    /// Records left out because they are repeats.
    pub duplicates: u64,
    /// How many records that were not refused carried each key or column that is not stored.
    pub unknown_keys: BTreeMap<String, u64>,
    /// Accepted records whose `tenantId` named another tenant and was replaced.
    pub tenant_id_replaced: u64,
    /// The first [`MAX_LISTED_ERRORS`] refusals.
    pub errors: Vec<RecordError>,
    /// In how many records that were not refused a column became null because its text is no address. Only
    /// sources other than the native one look at that.
    pub nulled: BTreeMap<String, u64>,
    /// Accepted records of each UTC day.
    pub days: BTreeMap<Day, u64>,
}

impl DecodeReport {
    /// Counts accepted records of a day as repeats instead.
    pub fn leave_out(&mut self, day: Day, records: u64) {
        self.accepted = self.accepted.saturating_sub(records);
        self.duplicates += records;
        if let Some(count) = self.days.get_mut(&day) {
            *count = count.saturating_sub(records);
        }
        self.days.retain(|_, count| *count > 0);
    }

    /// Counts records that carried an unknown key, within the bounds on distinct names.
    pub(super) fn count_unknown(&mut self, name: &str, records: u64) {
        if let Some(count) = self.unknown_keys.get_mut(name) {
            *count += records;
            return;
        }
        let named = self.unknown_keys.len() - usize::from(self.unknown_keys.contains_key(OTHER_KEYS));
        let apart = name.len() <= MAX_UNKNOWN_KEY_BYTES && named < MAX_UNKNOWN_KEYS;
        *self.unknown_keys.entry(if apart { name } else { OTHER_KEYS }.to_owned()).or_default() += records;
    }
}

/// What is wrong with one record, before its place is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: Option<String>,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn of_record(reason: impl Into<String>) -> Self {
        Self { field: None, reason: reason.into() }
    }

    pub(crate) fn of_field(field: &str, reason: impl Into<String>) -> Self {
        Self { field: Some(excerpt(field)), reason: reason.into() }
    }

    pub(crate) fn at(self, line: u64) -> RecordError {
        RecordError { line, field: self.field, reason: self.reason }
    }
}

/// At most 80 characters of a text of the input, escaped so that it cannot steer a terminal.
pub(crate) fn excerpt(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut kept: String = escaped.by_ref().take(MAX_EXCERPT_CHARS - 1).collect();
    match (escaped.next(), escaped.next()) {
        (None, _) => {}
        (Some(last), None) => kept.push(last),
        (Some(_), Some(_)) => kept.push('…'),
    }
    kept
}
