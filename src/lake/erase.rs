//! Taking one user's rows out of a table: the files that hold some are written anew without them.
//!
//! Rows count as the user's by `userKey`. Only files that can hold the user by their statistics are read. Each day is
//! one commit, so a crash leaves the days before it done; doing it again finishes.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Date32Array, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{cast, filter_record_batch, not};
use arrow::datatypes::{DataType, Date32Type, Int64Type, Schema};
use deltalake::kernel::Add;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::batch_rows::batch_rows;
use super::check::{Log, below};
use super::data_files::{DataFolder, DayLayout, FLUSH_BYTES};
use super::error::LakeError;
use super::file_ranges::{FileRange, Wanted};
use super::layout::ACTIVITIES;
use super::rewrite::Rewrite;
use super::table::ActivityTable;
use super::upkeep::live::{LiveFile, tag};
use super::watch::Watch;
use crate::domain::activity::{DAY, INGESTED_AT, USER_KEY, lake_schema};
use crate::domain::day::Day;

/// Decoded bytes of a batch, about.
const BATCH_BYTES: u64 = 8 << 20;

/// Most rows of a batch.
const BATCH_ROWS: usize = 1024;

/// A file that compaction replaced since it was looked at makes the day be looked at anew, at most so often.
const TRIES: usize = 20;

/// Says whether the disk has room for so many bytes more.
pub type Room<'a> = dyn Fn(u64) -> Result<(), LakeError> + Send + Sync + 'a;

/// What there is of a user in a table, or was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows of the user.
    pub rows: u64,
    /// Files that hold them.
    pub files: u64,
    /// Size of those files, in bytes.
    pub bytes: u64,
    /// Days of those files.
    pub days: u64,
}

/// One user up to a moment.
#[derive(Debug, Clone)]
pub struct Target {
    /// The tenant's folder on local disk.
    pub tenant_folder: PathBuf,
    /// Key of the user.
    pub user_key: String,
    /// Rows accepted up to this time are to go, in ms since epoch. Rows accepted later may stay: they are new data.
    pub until_ms: i64,
}

/// A file with rows of the user that are to go.
struct Held {
    add: Add,
    rows: u64,
}

impl Target {
    /// A user up to now, with everything that the table holds at this moment: rows that were accepted while the clock was
    /// ahead bear later times. Blocking.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub fn up_to_now(tenant_folder: PathBuf, user_key: String, now_ms: i64) -> Result<Self, LakeError> {
        let mut until_ms = now_ms;
        for add in live_files(&tenant_folder.join(ACTIVITIES))? {
            until_ms = until_ms.max(LiveFile::of(&add)?.newest_ms);
        }
        Ok(Self { tenant_folder, user_key, until_ms })
    }

    /// Counts what there is of the user; changes nothing. Cost: reads two columns of the files that can hold the
    /// user. Blocking.
    ///
    /// # Errors
    /// When the table's log or a file cannot be read.
    pub fn count(&self, watch: &dyn Watch) -> Result<Erased, LakeError> {
        let held = self.held(&mut HashSet::new(), watch)?;
        let mut erased = Erased { days: held.len() as u64, ..Erased::default() };
        for held in held.values().flatten() {
            erased.add(held);
        }
        Ok(erased)
    }

    /// Takes the user's rows out of the table. Success means: committed and on stable storage; no query that starts
    /// from now on finds a row of the user that was accepted up to the target's time. The old files stay on disk until
    /// vacuum deletes them, so the disk must have room for a day's files once more. Cost: reads and writes the files that
    /// hold the user. Run it on the CPU runtime.
    ///
    /// # Errors
    /// What `room` says before a day for which there is none; [`LakeError::Interrupted`]: unknown until the table is
    /// opened again; other errors leave the days before the failing one erased. Doing it again finishes.
    pub async fn erase(&self, table: &ActivityTable, watch: &dyn Watch, room: &Room<'_>) -> Result<Erased, LakeError> {
        let mut erased = Erased::default();
        let mut without = HashSet::new();
        for _ in 0..TRIES {
            // Vacuum leaves alone what is read.
            let _reading = table.file_use().read();
            let held = self.held(&mut without, watch)?;
            if held.is_empty() {
                return Ok(erased);
            }
            for files in held.into_values() {
                room(files.iter().map(|held| size(&held.add)).sum())?;
                match self.rewrite(table, &files).await {
                    Ok(()) => {
                        erased.days += 1;
                        for held in &files {
                            erased.add(held);
                        }
                    }
                    Err(LakeError::Superseded { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(LakeError::NotStored("the user's files are replaced again and again; try again later".into()))
    }

    /// Live files with rows of the user that are to go, by day. `without` remembers files that have none.
    fn held(
        &self,
        without: &mut HashSet<String>,
        watch: &dyn Watch,
    ) -> Result<BTreeMap<Option<String>, Vec<Held>>, LakeError> {
        let table = self.tenant_folder.join(ACTIVITIES);
        let wanted = Wanted { from_ms: i64::MIN, to_ms: i64::MAX, user_key: Some(&self.user_key) };
        let can_hold = |add: &Add| !without.contains(&add.path) && FileRange::of(add).may_hold(&wanted);
        let files: Vec<Add> = live_files(&table)?.into_iter().filter(can_hold).collect();
        watch.planned(files.iter().map(size).sum());
        let mut found: BTreeMap<Option<String>, Vec<Held>> = BTreeMap::new();
        for add in files {
            if watch.is_stopped() {
                return Err(LakeError::NotStored("nobody waits any more".into()));
            }
            let rows = match self.rows_in(&table, &add) {
                // Upkeep may have replaced and deleted it; the next look at the log tells.
                Err(LakeError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => continue,
                rows => rows?,
            };
            watch.done(size(&add));
            if rows == 0 {
                without.insert(add.path);
            } else {
                let day = add.partition_values.get(DAY).cloned().flatten();
                found.entry(day).or_default().push(Held { add, rows });
            }
        }
        Ok(found)
    }

    /// Rows of the user in a file; none when all of them are newer than the target's time.
    fn rows_in(&self, table: &Path, add: &Add) -> Result<u64, LakeError> {
        let (mut rows, mut old) = (0, false);
        for batch in open(table, add, Some(&[USER_KEY, INGESTED_AT]))? {
            let batch = batch?;
            let theirs = is_user(&batch, &self.user_key)?;
            rows += theirs.true_count() as u64;
            if !old && theirs.true_count() > 0 {
                let rows = filter_record_batch(&batch, &theirs)?;
                let accepted = column(&rows, INGESTED_AT)?;
                let accepted = accepted.as_primitive_opt::<Int64Type>().map(Int64Array::values);
                old = accepted.is_some_and(|times| times.iter().any(|time| *time <= self.until_ms));
            }
        }
        Ok(if old { rows } else { 0 })
    }

    /// Writes the files of a day anew without the user and commits it.
    async fn rewrite(&self, table: &ActivityTable, files: &[Held]) -> Result<(), LakeError> {
        let folder = table.data_folder();
        let mut written = Vec::new();
        if let Err(error) = self.write_others(&folder, files, &mut written).await {
            folder.delete_uncommitted(&written).await;
            return match error {
                LakeError::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(LakeError::Superseded { path: files.first().map(|f| f.add.path.clone()).unwrap_or_default() })
                }
                error => Err(error),
            };
        }
        let removed = files.iter().map(|held| held.add.path.clone()).collect();
        table.replace_files(removed, written, Rewrite::LessRows).await.map(drop)
    }

    /// Files of a sorted run stay one, each by itself; the others are put together.
    async fn write_others(&self, folder: &DataFolder, files: &[Held], written: &mut Vec<Add>) -> Result<(), LakeError> {
        let mut others = Vec::new();
        for held in files {
            let live = LiveFile::of(&held.add)?;
            match live.run.clone() {
                Some(run) => {
                    let begun = written.len();
                    written.extend(self.write_sorted_one(folder, held, live.day).await?);
                    tag(&mut written[begun..], &[live], Some(&run));
                }
                None => others.push((held, live)),
            }
        }
        let begun = written.len();
        let (mut buffered, mut bytes) = (Vec::new(), 0);
        for (held, _) in &others {
            for kept in self.others_of(held)? {
                let kept = kept?;
                bytes += kept.get_array_memory_size();
                buffered.push(kept);
                if bytes >= FLUSH_BYTES {
                    written.extend(folder.write_sorted(std::mem::take(&mut buffered)).await?);
                    bytes = 0;
                }
            }
        }
        written.extend(folder.write_sorted(buffered).await?);
        let inputs: Vec<LiveFile> = others.into_iter().map(|(_, live)| live).collect();
        tag(&mut written[begun..], &inputs, None);
        Ok(())
    }

    /// A file of a sorted run without the user; none when it held nobody else.
    async fn write_sorted_one(&self, folder: &DataFolder, held: &Held, day: Day) -> Result<Vec<Add>, LakeError> {
        let _writing = folder.writing();
        let mut writer = folder.rewriter(DayLayout::Sorted, held.rows);
        for kept in self.others_of(held)? {
            let written = match kept {
                Ok(kept) if kept.num_rows() == 0 => Ok(()),
                Ok(kept) => writer.write_day(kept, day).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                writer.abort().await;
                return Err(error);
            }
        }
        let added = writer.close().await?;
        folder.written(&added);
        Ok(added)
    }

    /// The rows of a file that are not the user's, in their order.
    fn others_of(&self, held: &Held) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>>, LakeError> {
        let batches = open(&self.tenant_folder.join(ACTIVITIES), &held.add, None)?;
        Ok(batches.map(|batch| {
            let batch = batch?;
            let kept = filter_record_batch(&batch, &not(&is_user(&batch, &self.user_key)?)?)?;
            as_lake_rows(&kept, &held.add)
        }))
    }
}

impl Erased {
    fn add(&mut self, held: &Held) {
        self.rows += held.rows;
        self.files += 1;
        self.bytes += size(&held.add);
    }
}

/// The files of the table's newest version.
fn live_files(table: &Path) -> Result<Vec<Add>, LakeError> {
    let log = Log::read(table)?;
    match log.state.or_else(|| log.version.is_none().then(Default::default)) {
        Some(state) => Ok(state.live.into_values().collect()),
        None => Err(LakeError::Inconsistent("the table's log is damaged; check the lake".to_owned())),
    }
}

fn size(add: &Add) -> u64 {
    u64::try_from(add.size).unwrap_or(0)
}

/// Batches of a data file, of all its columns or some.
pub(super) fn open(table: &Path, add: &Add, columns: Option<&[&str]>) -> Result<ParquetRecordBatchReader, LakeError> {
    let outside = || LakeError::Inconsistent(format!("the log names a file outside of the table, {}", add.path));
    let path = below(table, &add.path).ok_or_else(outside)?;
    reader(&path, columns)
}

fn reader(path: &Path, columns: Option<&[&str]>) -> Result<ParquetRecordBatchReader, LakeError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mask = match columns {
        Some(names) => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
        None => ProjectionMask::all(),
    };
    let rows = batch_rows(builder.metadata(), &mask, BATCH_BYTES, BATCH_ROWS);
    Ok(builder.with_batch_size(rows).with_projection(mask).build()?)
}

/// A column of a data file's batch.
pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, LakeError> {
    batch.column_by_name(name).ok_or_else(|| LakeError::Inconsistent(format!("a file lacks the column {name}")))
}

/// Which rows are the user's; a row without a user is nobody's.
fn is_user(batch: &RecordBatch, user_key: &str) -> Result<BooleanArray, LakeError> {
    let keys = cast(column(batch, USER_KEY)?, &DataType::Utf8)?;
    Ok(keys.as_string::<i32>().iter().map(|key| Some(key == Some(user_key))).collect())
}

/// The rows of a file in the lake's columns: with its day, and null where the file is older than a column.
pub(super) fn as_lake_rows(batch: &RecordBatch, add: &Add) -> Result<RecordBatch, LakeError> {
    let schema = lake_schema();
    let day = day_value(add)?;
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(found) => Ok(cast(found, field.data_type())?),
        None if field.name() == DAY => Ok(Arc::new(Date32Array::from_value(day, batch.num_rows())) as ArrayRef),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>, LakeError>>()?;
    Ok(RecordBatch::try_new(Arc::<Schema>::clone(&schema), columns)?)
}

fn day_value(add: &Add) -> Result<i32, LakeError> {
    let text = add.partition_values.get(DAY).cloned().flatten().unwrap_or_default();
    let parsed = <Date32Type as arrow::compute::kernels::cast_utils::Parser>::parse(&text);
    parsed.ok_or_else(|| LakeError::Inconsistent(format!("{} is in no day's folder", add.path)))
}

/// Whether a file, below the tenant's folder, holds a row of the user. False when it is not there any more. Blocking.
///
/// # Errors
/// When it cannot be read.
pub fn holds_user(tenant_folder: &Path, file: &str, user_key: &str) -> Result<bool, LakeError> {
    let outside = || LakeError::Inconsistent(format!("the registry names a file outside of the tenant, {file}"));
    let path = below(tenant_folder, file).ok_or_else(outside)?;
    let batches = match reader(&path, Some(&[USER_KEY])) {
        Err(LakeError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        batches => batches?,
    };
    for batch in batches {
        if is_user(&batch?, user_key)?.true_count() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
