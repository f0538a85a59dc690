//! Reading ids out of the table: which files a commit added, and the ids of one source in a file.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::array::{Array, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use deltalake::kernel::Action;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::RowGroupMetaData;
use sha2::{Digest, Sha256};

use super::IdHash;
use crate::domain::activity::{ACTIVITY_ID, INGESTED_AT, SOURCE};
use crate::lake::check::{DELTA_LOG, below};
use crate::lake::error::LakeError;

/// Rows that are decoded at a time; an id may have a megabyte.
const BATCH_ROWS: usize = 1024;

/// What a commit did to the rows of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It added the rows of these files, or none.
    Added(Vec<String>),
    /// It took rows away.
    Removed,
}

/// The log entry of a version: its digest and what it did; none when it is not there any more.
///
/// # Errors
/// When it cannot be read or is no entry.
pub(super) fn log_entry(table: &Path, version: u64) -> Result<Option<([u8; 32], Change)>, LakeError> {
    let path = table.join(DELTA_LOG).join(format!("{version:020}.json"));
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let mut change = Change::Added(Vec::new());
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let strange = |error| LakeError::Inconsistent(format!("log entry {version} cannot be read: {error}"));
        match (serde_json::from_slice(line).map_err(strange)?, &mut change) {
            (Action::Remove(file), _) if file.data_change => change = Change::Removed,
            (Action::Add(file), Change::Added(files)) if file.data_change => files.push(file.path),
            _ => {}
        }
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(&Sha256::digest(&bytes));
    Ok(Some((digest, change)))
}

/// Hands over the ids that a source's rows have in a file, with the rows' `ingestedAt`. Reads three columns, and none of a
/// row group that has no row of the source by its statistics.
///
/// # Errors
/// When the file cannot be read, and those of the receiver.
pub(super) fn ids_of_file(
    table: &Path,
    file: &str,
    source: &str,
    take: &mut dyn FnMut(IdHash, i64) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let outside = || LakeError::Inconsistent(format!("the log names a file outside of the table, {file}"));
    let path = below(table, file).ok_or_else(outside)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH_ROWS);
    let groups = builder.metadata().row_groups().iter().enumerate();
    let groups: Vec<usize> = groups.filter(|(_, group)| may_hold(group, source)).map(|(at, _)| at).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), [ACTIVITY_ID, INGESTED_AT, SOURCE]);
    for batch in builder.with_projection(mask).with_row_groups(groups).build()? {
        let batch = batch?;
        let column = |name: &str, data_type| {
            let found = batch.column_by_name(name);
            let found = found.ok_or_else(|| LakeError::Inconsistent(format!("{file} lacks the column {name}")))?;
            Ok::<_, LakeError>(cast(found, &data_type)?)
        };
        let ids = column(ACTIVITY_ID, DataType::Utf8)?;
        let sources = column(SOURCE, DataType::Utf8)?;
        let times = column(INGESTED_AT, DataType::Int64)?;
        let (ids, sources): (&StringArray, &StringArray) = (ids.as_string(), sources.as_string());
        let times: &Int64Array = times.as_primitive::<Int64Type>();
        for row in (0..batch.num_rows()).filter(|row| ids.is_valid(*row) && sources.value(*row) == source) {
            take(IdHash::of(ids.value(row)), times.value(row))?;
        }
    }
    Ok(())
}

fn may_hold(group: &RowGroupMetaData, source: &str) -> bool {
    let column = group.columns().iter().find(|column| column.column_path().string() == SOURCE);
    let Some(statistics) = column.and_then(|column| column.statistics()) else { return true };
    let (min, max) = (statistics.min_bytes_opt(), statistics.max_bytes_opt());
    min.is_none_or(|min| min <= source.as_bytes()) && max.is_none_or(|max| max >= source.as_bytes())
}
