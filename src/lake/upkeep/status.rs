//! How a table is doing.

use serde::{Deserialize, Serialize};

use super::live::live_days;
use super::log::checkpoint_version;
use super::plan::{Written, is_small, is_sorted};
use super::vacuum::unnamed_data;
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;

/// One day of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DayStatus {
    /// The UTC day.
    pub day: String,
    /// Live files.
    pub files: usize,
    /// Those among them that are small and not sorted.
    pub small_files: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes of the live files.
    pub bytes: u64,
    /// Whether the day is one sorted run.
    pub sorted: bool,
    /// Bytes written for the day over bytes ingested.
    pub write_amplification: f64,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableStatus {
    /// Version of the newest snapshot.
    pub version: u64,
    /// Version of the newest checkpoint.
    pub checkpoint: Option<u64>,
    /// Live files.
    pub files: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes of the live files.
    pub bytes: u64,
    /// Days that are not one sorted run.
    pub unsorted_days: usize,
    /// Most live files of a day.
    pub most_files_a_day: usize,
    /// Bytes written for the live rows over bytes ingested.
    pub write_amplification: f64,
    /// Files on disk that are not live, and their bytes; vacuum deletes them when they are old enough.
    pub old_files: usize,
    /// See `old_files`.
    pub old_bytes: u64,
    /// By day.
    pub days: Vec<DayStatus>,
}

/// Looks at a table as it is now. Cost: a listing of its folder.
///
/// # Errors
/// When folder or log cannot be read.
pub async fn table_status(table: &ActivityTable, keep_ms: i64, now_ms: i64) -> Result<TableStatus, LakeError> {
    let current = table.current();
    let days = live_days(&current)?;
    let unnamed = unnamed_data(table, keep_ms, now_ms).await?;
    let total = days.values().map(|files| Written::of(files)).fold(Written::default(), |sum, day| Written {
        ingested: sum.ingested + day.ingested,
        written: sum.written + day.written,
    });
    let days: Vec<DayStatus> = days
        .into_iter()
        .map(|(day, files)| DayStatus {
            day: day.to_string(),
            files: files.len(),
            small_files: files.iter().filter(|file| is_small(file)).count(),
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            sorted: is_sorted(&files),
            write_amplification: Written::of(&files).amplification(),
        })
        .collect();
    Ok(TableStatus {
        version: current.snapshot()?.version(),
        checkpoint: checkpoint_version(table).await?,
        files: days.iter().map(|day| day.files).sum(),
        rows: days.iter().map(|day| day.rows).sum(),
        bytes: days.iter().map(|day| day.bytes).sum(),
        unsorted_days: days.iter().filter(|day| !day.sorted).count(),
        most_files_a_day: days.iter().map(|day| day.files).max().unwrap_or(0),
        write_amplification: total.amplification(),
        old_files: unnamed.garbage.len() + unnamed.waiting.len(),
        old_bytes: unnamed.garbage.iter().chain(&unnamed.waiting).map(|file| file.bytes).sum(),
        days,
    })
}
