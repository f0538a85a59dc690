//! Takes out of the engine's texts what a caller may not see: where files lie and which settings there are.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;

/// Words of the engine that name its settings.
const SETTINGS: [&str; 2] = ["datafusion.", "target_partitions"];

/// A message of an error.
#[must_use]
pub(super) fn message(text: &str) -> String {
    let kind_end = [
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
    ]
    .into_iter()
    .find_map(|kind| text.strip_prefix(kind));
    let text = kind_end.unwrap_or(text);
    if SETTINGS.iter().any(|word| text.contains(word)) || text.contains("datafusion/") {
        return "the engine refused; simplify the statement".to_owned();
    }
    files(text)
}

/// Puts a mark in place of every word that is the path of a file.
fn files(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '=' | '%' | '~' | ':' | '+');
    let is_path = |word: &str| {
        let word = word.trim_end_matches(['.', ':']);
        word.ends_with(".parquet") || word.contains(".parquet:") || word.contains("://") || word.contains("/day=")
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(if is_part(first) && is_path(word) { "[file]" } else { word });
        rest = after;
    }
    out
}

/// A plan as `EXPLAIN` shows it.
fn plan(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("file_groups={") {
        out.push_str(before);
        let end = closing_brace(after);
        let groups = after.get(..end).unwrap_or_default();
        let count = groups.split_once(" group").map_or("some", |(count, _)| count);
        let files = groups.matches(".parquet").count();
        // Writing to a string does not fail.
        let _ = write!(out, "file_groups={{{count} groups of {files} files}}");
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    files(&out)
}

/// Where the brace that is open at the start closes.
fn closing_brace(text: &str) -> usize {
    let mut depth = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The rows of an `EXPLAIN` without paths.
///
/// # Errors
/// Those of the library, which has none for texts.
pub(super) fn explained(batch: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter().map(|text| text.map(plan));
            Arc::new(texts.collect::<StringArray>()) as ArrayRef
        }
        _ => Arc::clone(column),
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_settings_go() {
        assert_eq!(
            plan(
                "DataSourceExec: file_groups={2 groups: [[activities/day=2026-01-01/part-0.parquet:0..9], [a.parquet]]}, projection=[a], limit=3"
            ),
            "DataSourceExec: file_groups={2 groups of 2 files}, projection=[a], limit=3"
        );
        assert_eq!(plan("ProjectionExec: expr=[a@0 as a]"), "ProjectionExec: expr=[a@0 as a]");
        assert_eq!(plan("x lake://tenant-1-1/activities/ y"), "x [file] y");
        assert_eq!(message("Error during planning: No field named b."), "No field named b.");
        assert_eq!(message("Object at /data/lake/day=2026-01-01/x.parquet: gone"), "Object at [file] gone");
        assert!(!message("set datafusion.execution.batch_size").contains("datafusion"));
        assert_eq!(message("Cast error: 1/2 is no number"), "Cast error: 1/2 is no number");
    }
}
