//! The live files of a table, as upkeep sees them.

use std::collections::{BTreeMap, HashMap};

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use serde::Deserialize;

use crate::domain::activity::{DAY, INGESTED_AT};
use crate::domain::day::Day;
use crate::lake::error::LakeError;

/// Tag of a file: the run of sorted files that it belongs to.
const RUN: &str = "anomalake.run";

/// Tag of a file: bytes of the files that its rows were ingested in.
const INGESTED: &str = "anomalake.ingestedBytes";

/// Tag of a file: bytes written for its rows so far, ingest and this file included.
const WRITTEN: &str = "anomalake.writtenBytes";

/// A live file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// Path below the table's folder.
    pub path: String,
    /// The UTC day of its rows.
    pub day: Day,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// When the newest of its rows was ingested, ms since epoch.
    pub newest_ms: i64,
    /// The run of sorted files that it belongs to.
    pub run: Option<String>,
    /// Bytes of the files that its rows were ingested in.
    pub ingested_bytes: u64,
    /// Bytes written for its rows so far.
    pub written_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    num_records: u64,
    #[serde(default)]
    max_values: HashMap<String, serde_json::Value>,
}

impl LiveFile {
    /// The file that an action adds.
    ///
    /// # Errors
    /// [`LakeError::Inconsistent`] when day or number of rows are missing: no file of ours.
    pub fn of(add: &Add) -> Result<Self, LakeError> {
        let strange = |what| LakeError::Inconsistent(format!("the log does not tell the {what} of {}", add.path));
        let day = add.partition_values.get(DAY).and_then(Option::as_deref).and_then(parse_day);
        let day = day.ok_or_else(|| strange("day"))?;
        let statistics = add.stats.as_deref().and_then(|text| serde_json::from_str::<Statistics>(text).ok());
        let statistics = statistics.ok_or_else(|| strange("number of rows"))?;
        let newest_ms = statistics.max_values.get(INGESTED_AT).and_then(serde_json::Value::as_i64);
        let bytes = u64::try_from(add.size).unwrap_or(0);
        let tag = |name: &str| add.tags.as_ref()?.get(name)?.clone();
        let number = |name: &str| tag(name)?.parse().ok();
        Ok(Self {
            path: add.path.clone(),
            day,
            bytes,
            rows: statistics.num_records,
            newest_ms: newest_ms.unwrap_or(add.modification_time),
            run: tag(RUN),
            ingested_bytes: number(INGESTED).unwrap_or(bytes),
            written_bytes: number(WRITTEN).unwrap_or(bytes),
        })
    }
}

fn parse_day(text: &str) -> Option<Day> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
    i32::try_from(days).ok().map(Day::from_days_since_epoch)
}

/// The live files of a snapshot by day.
///
/// # Errors
/// As [`LiveFile::of`].
pub fn live_days(table: &DeltaTable) -> Result<BTreeMap<Day, Vec<LiveFile>>, LakeError> {
    live_days_of(table, |_| true)
}

/// As [`live_days`], only the days that have more than so many files: counting is cheaper than looking.
///
/// # Errors
/// As [`LiveFile::of`].
pub fn crowded_days(table: &DeltaTable, more_than: usize) -> Result<BTreeMap<Day, Vec<LiveFile>>, LakeError> {
    let counts = files_by_day(table)?;
    if counts.values().all(|count| *count <= more_than) {
        return Ok(BTreeMap::new());
    }
    live_days_of(table, |day| counts.get(day).is_some_and(|count| *count > more_than))
}

/// How many live files tables have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// All of them.
    pub files: usize,
    /// Those of the day that has most.
    pub most_files_a_day: usize,
}

impl FileCounts {
    /// Those of one table.
    ///
    /// # Errors
    /// When the table is not loaded.
    pub fn of(table: &DeltaTable) -> Result<Self, LakeError> {
        let counts = files_by_day(table)?;
        Ok(Self { files: counts.values().sum(), most_files_a_day: counts.into_values().max().unwrap_or(0) })
    }

    /// Those of two groups of tables.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { files: self.files + other.files, most_files_a_day: self.most_files_a_day.max(other.most_files_a_day) }
    }
}

fn files_by_day(table: &DeltaTable) -> Result<HashMap<Option<String>, usize>, LakeError> {
    let mut counts = HashMap::new();
    for file in table.snapshot()?.log_data().iter() {
        *counts.entry(file.partition_values_map().remove(DAY).flatten()).or_default() += 1;
    }
    Ok(counts)
}

fn live_days_of(
    table: &DeltaTable,
    wanted: impl Fn(&Option<String>) -> bool,
) -> Result<BTreeMap<Day, Vec<LiveFile>>, LakeError> {
    let mut days: BTreeMap<Day, Vec<LiveFile>> = BTreeMap::new();
    for file in table.snapshot()?.log_data().iter() {
        if !wanted(&file.partition_values_map().remove(DAY).flatten()) {
            continue;
        }
        #[expect(deprecated, reason = "tags are reached by no other way")]
        let file = LiveFile::of(&file.add_action())?;
        days.entry(file.day).or_default().push(file);
    }
    Ok(days)
}

/// Writes down in the actions that add `files` what was ingested and written for their rows, and the run
/// that they form. The sums are shared out by size.
pub(in crate::lake) fn tag(files: &mut [Add], inputs: &[LiveFile], run: Option<&str>) {
    let size = |file: &Add| u64::try_from(file.size).unwrap_or(0);
    let total = files.iter().map(size).sum::<u64>().max(1);
    let ingested: u64 = inputs.iter().map(|file| file.ingested_bytes).sum();
    let written: u64 = inputs.iter().map(|file| file.written_bytes).sum();
    for file in files {
        let bytes = size(file);
        let share = |sum: u64| u64::try_from(u128::from(sum) * u128::from(bytes) / u128::from(total)).unwrap_or(sum);
        let tags = file.tags.get_or_insert_default();
        tags.extend([
            (INGESTED.to_owned(), Some(share(ingested).to_string())),
            (WRITTEN.to_owned(), Some((share(written) + bytes).to_string())),
        ]);
        if let Some(run) = run {
            tags.insert(RUN.to_owned(), Some(run.to_owned()));
        }
    }
}
