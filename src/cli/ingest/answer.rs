//! What became of a file, in lines for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::job::Once;
use crate::cli::CommandError;
use crate::cli::client::ClientError;
use crate::cli::output::{count, printable};
use crate::domain::tenant::TenantId;

/// Unknown keys that are named; the rest is counted.
const MAX_KEYS: usize = 20;

/// The ingest route's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Answer {
    accepted: u64,
    rejected: u64,
    duplicates: u64,
    unknown_keys: BTreeMap<String, u64>,
    tenant_id_replaced: u64,
    nulled: BTreeMap<String, u64>,
    days: Vec<String>,
    errors: Vec<RecordFault>,
}

#[derive(Debug, Deserialize)]
struct RecordFault {
    line: u64,
    field: Option<String>,
    reason: String,
}

impl std::fmt::Display for RecordFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "line {}, field {}: {}", self.line, printable(field), printable(&self.reason)),
            None => write!(f, "line {}: {}", self.line, printable(&self.reason)),
        }
    }
}

impl Answer {
    /// The summary line, and below it what the caller may not have meant.
    pub(super) fn summary(&self, name: &str, tenant: TenantId, files: u64, took: Duration) -> String {
        let duplicates = match self.duplicates {
            0 => String::new(),
            repeats => format!(", {}", count(repeats, "duplicate", "duplicates")),
        };
        let mut text = format!(
            "{name}: {}{duplicates}, {}, {}, {:.2} s\n",
            count(self.accepted, "row", "rows"),
            count(self.days.len() as u64, "day", "days"),
            count(files, "file", "files"),
            took.as_secs_f64(),
        );
        // Writing to a string does not fail.
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            let _ = writeln!(text, "  {arguments}");
        };
        if self.rejected > 0 {
            line(format_args!("{} not stored:", count(self.rejected, "bad record", "bad records")));
            for error in &self.errors {
                line(format_args!("  {error}"));
            }
            match self.rejected.saturating_sub(self.errors.len() as u64) {
                0 => {}
                more => line(format_args!("  and {more} more")),
            }
        }
        if !self.unknown_keys.is_empty() {
            line(format_args!("unknown keys not stored: {}", keys(&self.unknown_keys)));
        }
        if !self.nulled.is_empty() {
            line(format_args!("values that are no address, stored as null: {}", keys(&self.nulled)));
        }
        if self.tenant_id_replaced > 0 {
            let records = count(self.tenant_id_replaced, "record", "records");
            line(format_args!("tenantId of another tenant replaced by {tenant} in {records}"));
        }
        text
    }
}

/// The summary line of a file that was loaded before.
pub(super) fn already_loaded(name: &str, once: Once) -> String {
    match once {
        Once::ContentAndName => format!("{name}: already loaded (same name and content); 0 rows added\n"),
        Once::Content | Once::Never => {
            format!("{name}: already loaded (same content); 0 rows added; use --again to load it again\n")
        }
    }
}

/// Keys with their counts, the most frequent first.
fn keys(counts: &BTreeMap<String, u64>) -> String {
    let mut keys: Vec<_> = counts.iter().collect();
    keys.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let mut named: Vec<_> = keys.iter().take(MAX_KEYS).map(|(key, n)| format!("{} ({n})", printable(key))).collect();
    if keys.len() > MAX_KEYS {
        named.push(format!("and {} more", keys.len() - MAX_KEYS));
    }
    named.join(", ")
}

/// The refusal of a file for its bad records, in the command line's words.
pub(super) fn bad_records(error: &ClientError) -> Option<CommandError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rejection {
        rejected: u64,
        stopped_early: bool,
        errors: Vec<RecordFault>,
    }
    let ClientError::Refused { code, details: Some(details), .. } = error else { return None };
    if code != "bad_records" {
        return None;
    }
    let Rejection { rejected, stopped_early, errors } =
        Value::deserialize(details).and_then(serde_json::from_value).ok()?;
    let or_more = if stopped_early { " or more" } else { "" };
    let message = format!("{}{or_more}; nothing of the file is stored", count(rejected, "bad record", "bad records"));
    let mut details: Vec<_> = errors.iter().map(ToString::to_string).collect();
    if rejected > errors.len() as u64 {
        details.push(format!("and {} more", rejected - errors.len() as u64));
    }
    let hint = "mend these records, or load the good ones with --on-error skip";
    Some(CommandError::failed_text(message).with_details(details).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(answer: Value) -> String {
        let answer: Answer = serde_json::from_value(answer).unwrap();
        answer.summary("a.ndjson", TenantId::try_from(5618).unwrap(), 3, Duration::from_millis(417))
    }

    #[test]
    fn a_clean_file_is_one_line() {
        let answer = json!({"accepted": 1234, "rejected": 0, "duplicates": 0, "unknownKeys": {}, "tenantIdReplaced": 0,
            "days": ["2026-11-20", "2026-11-21", "2026-11-22"]});
        assert_eq!(summary(answer), "a.ndjson: 1234 rows, 3 days, 3 files, 0.42 s\n");
    }

    #[test]
    fn what_was_not_stored_as_sent_is_told() {
        let answer = json!({"accepted": 1, "rejected": 2, "duplicates": 12, "unknownKeys": {"a": 1, "b\u{1b}": 5}, "tenantIdReplaced": 1,
            "days": ["2026-11-20"], "errors": [{"line": 7, "field": "timeStamp", "reason": "is missing"}]});
        assert_eq!(
            summary(answer),
            "a.ndjson: 1 row, 12 duplicates, 1 day, 3 files, 0.42 s
  2 bad records not stored:
    line 7, field timeStamp: is missing
    and 1 more
  unknown keys not stored: b\\u{1b} (5), a (1)
  tenantId of another tenant replaced by 5618 in 1 record\n"
        );
    }
}
