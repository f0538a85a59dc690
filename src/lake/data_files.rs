//! From record batches to sorted Parquet files of the activities table, not yet committed.

mod leave_out;
mod sorted;

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::{Add, EagerSnapshot};
use deltalake::operations::write::WriterStatsConfig;
use deltalake::operations::write::writer::WriterConfig;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;
use tokio::task::JoinSet;

use self::sorted::Sorted;
use super::checksums::HashedWriter;
use super::error::LakeError;
use super::file_use::{FileUse, Writing};
use crate::domain::activity::{ACTIVITY_ID, DAY, TIME_STAMP, USER_KEY, lake_schema};

pub use leave_out::IsRepeat;

/// Bytes of decoded batches that one ingest holds before it writes files. Bounds memory to about four times this (what is
/// collected, what is being written, its encoded pages) whatever the size of the input.
pub const FLUSH_BYTES: usize = 64 << 20;

/// Files are written for so many such parts at a time, while the next one is decoded.
const WRITING_AT_ONCE: usize = 2;

/// Rows for which another task is worth its files.
const LEAST_ROWS_OF_A_PART: usize = 8192;

/// An ingest of at most this many decoded bytes is handed to the table's writer as batches, so that
/// many small requests share files and a commit; a larger one writes its own files first.
pub const SMALL_BYTES: usize = 4 << 20;

/// Rows of one ingest on their way to the table's writer.
#[derive(Debug)]
pub enum Rows {
    /// Few rows, to be written together with others.
    Batches(Vec<RecordBatch>),
    /// Files that are durable and wait for their commit.
    Files(Vec<Add>),
}

/// Collects the batches of one ingest, spilling into data files when they outgrow memory.
#[derive(Debug)]
pub struct DataFiles {
    folder: DataFolder,
    buffered: Vec<RecordBatch>,
    buffered_bytes: usize,
    files: Vec<Add>,
    writing: JoinSet<Result<Part, LakeError>>,
}

/// What became of the rows of a part.
#[derive(Debug)]
struct Part {
    files: Vec<Add>,
    /// Rows that are to be written with those of the next part.
    held: Option<RecordBatch>,
}

impl DataFiles {
    /// Starts an ingest into the table that the store is rooted in.
    #[must_use]
    pub fn new(folder: DataFolder) -> Self {
        Self { folder, buffered: Vec::new(), buffered_bytes: 0, files: Vec::new(), writing: JoinSet::new() }
    }

    /// Takes a batch of the lake's schema. The files that this may write are durable but invisible. They are written by
    /// tasks of the runtime that this is called on: sorting and encoding do not yield.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<(), LakeError> {
        self.buffer(batch);
        if self.buffered_bytes >= FLUSH_BYTES {
            self.flush();
            while self.writing.len() > WRITING_AT_ONCE {
                self.one_written().await?;
            }
        }
        Ok(())
    }

    /// Waits for the files that are being written. To be called once there are no more batches.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub async fn settle(&mut self) -> Result<(), LakeError> {
        if !self.writing.is_empty() {
            // Beside the others; what all of them hold back is written in the end.
            self.write_rest(true)?;
        }
        while !self.writing.is_empty() {
            self.one_written().await?;
        }
        Ok(())
    }

    fn buffer(&mut self, batch: RecordBatch) {
        self.buffered_bytes += batch.get_array_memory_size();
        self.buffered.push(batch);
    }

    /// Writes what there is, but for the days with few rows.
    fn flush(&mut self) {
        let (batches, folder) = (std::mem::take(&mut self.buffered), self.folder.clone());
        self.buffered_bytes = 0;
        self.writing.spawn(async move {
            let mut sorted = Sorted::new(batches)?;
            let held = sorted.hold_back()?;
            Ok(Part { files: folder.write(&sorted).await?, held })
        });
    }

    /// Writes what there is when nothing follows: on several cores, if it is much and a large ingest, for which a file
    /// more is little.
    fn write_rest(&mut self, hold_back: bool) -> Result<(), LakeError> {
        if self.buffered.is_empty() {
            return Ok(());
        }
        let is_large = !(self.files.is_empty() && self.writing.is_empty());
        let mut sorted = Sorted::new(std::mem::take(&mut self.buffered))?;
        self.buffered_bytes = 0;
        let held = if hold_back { sorted.hold_back()? } else { None };
        if let Some(held) = held {
            self.buffer(held);
        }
        let parts = if is_large { (sorted.rows() / LEAST_ROWS_OF_A_PART).clamp(1, WRITING_AT_ONCE) } else { 1 };
        for part in sorted.divide(parts) {
            let folder = self.folder.clone();
            self.writing.spawn(async move { Ok(Part { files: folder.write(&part).await?, held: None }) });
        }
        Ok(())
    }

    async fn one_written(&mut self) -> Result<(), LakeError> {
        if let Some(written) = self.writing.join_next().await {
            let Part { files, held } = written??;
            self.files.extend(files);
            if let Some(held) = held {
                self.buffer(held);
            }
        }
        Ok(())
    }

    /// Ends the ingest.
    ///
    /// # Errors
    /// When a file cannot be written; the files written before are then deleted.
    pub async fn finish(self) -> Result<Rows, LakeError> {
        if self.files.is_empty() && self.writing.is_empty() && self.buffered_bytes <= SMALL_BYTES {
            return Ok(Rows::Batches(self.buffered));
        }
        self.finish_as_files().await
    }

    /// Ends the ingest with files of its own, however small it is.
    ///
    /// # Errors
    /// As [`DataFiles::finish`].
    pub async fn finish_as_files(mut self) -> Result<Rows, LakeError> {
        match self.write_all().await {
            Ok(()) => Ok(Rows::Files(self.files)),
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    async fn write_all(&mut self) -> Result<(), LakeError> {
        self.settle().await?;
        self.write_rest(false)?;
        self.settle().await
    }

    /// Gives up: deletes the files written so far.
    pub async fn discard(mut self) {
        // Those under way are waited for: a file that is half-way has a name already.
        while !self.writing.is_empty() {
            if let Err(error) = self.one_written().await {
                tracing::debug!(%error, "a file of an ingest that is given up was not written");
            }
        }
        self.folder.delete_uncommitted(&self.files).await;
    }
}

/// Where a table's data files go, and how they are written; cheap to clone.
#[derive(Debug, Clone)]
pub struct DataFolder {
    store: Arc<dyn ObjectStore>,
    config: WriterConfig,
    small_config: WriterConfig,
    sorted_config: WriterConfig,
    files: Arc<FileUse>,
}

/// How rewritten files of a day are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayLayout {
    /// One file, like those of ingests.
    Merged,
    /// A whole day by (userKey, timeStamp): files of about 256 MiB, with bloom filters on userKey, sourceIP and
    /// activityId.
    Sorted,
}

impl DataFolder {
    /// The folder of the table that the store is rooted in.
    ///
    /// # Errors
    /// None in practice: the properties of the files fit the lake's columns.
    pub fn new(store: Arc<dyn ObjectStore>, table: &EagerSnapshot, files: Arc<FileUse>) -> Result<Self, LakeError> {
        let statistics = WriterStatsConfig::from_config(table.table_configuration());
        let config = |properties, target_bytes| {
            let (days, rows) = (vec![DAY.to_owned()], Some(16 * 1024));
            let (first, columns) = (statistics.num_indexed_cols, statistics.stats_columns.clone());
            WriterConfig::new(lake_schema(), days, Some(properties), target_bytes, rows, first, columns)
        };
        let unsorted = config(writer_properties().build(), None);
        let small_config = config(writer_properties().set_compression(Compression::LZ4_RAW).build(), None);
        let sorted_config = config(sorted_properties(&unsorted.file_schema())?, Some(SORTED_FILE_BYTES));
        Ok(Self { store, config: unsorted, small_config, sorted_config, files })
    }

    /// Writes batches as one file per day and returns the actions that would add them.
    ///
    /// Success means that the files are durable; nothing refers to them yet.
    ///
    /// # Errors
    /// When sorting, encoding or writing fails; nothing stays on disk then.
    pub async fn write_sorted(&self, batches: Vec<RecordBatch>) -> Result<Vec<Add>, LakeError> {
        if batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(Vec::new());
        }
        self.write(&Sorted::new(batches)?).await
    }

    async fn write(&self, sorted: &Sorted) -> Result<Vec<Add>, LakeError> {
        let _writing = self.writing();
        let config = if (sorted.rows() as u64) < SMALL_ROWS { &self.small_config } else { &self.config };
        let mut writer = HashedWriter::new(Arc::clone(&self.store), config.clone());
        for batch in sorted.batches() {
            let written = match batch {
                Ok((day, rows)) => writer.write_day(rows, day).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                writer.abort().await;
                return Err(error);
            }
        }
        let added = writer.close().await?;
        self.written(&added);
        Ok(added)
    }

    /// Keeps vacuum from files that nobody knows yet.
    pub(super) fn writing(&self) -> Writing {
        self.files.writing()
    }

    /// Says that files wait for their commit, so that vacuum leaves them alone.
    pub(super) fn written(&self, files: &[Add]) {
        self.files.written(files.iter().map(|add| add.path.as_str()));
    }

    /// Columns of a data file; the day is in its path.
    pub(super) fn file_schema(&self) -> SchemaRef {
        self.config.file_schema()
    }

    /// A writer of files for rewrites of so many rows. It keeps the order of what it is given.
    pub(super) fn rewriter(&self, layout: DayLayout, rows: u64) -> HashedWriter {
        let config = match layout {
            DayLayout::Merged if rows < SMALL_ROWS => &self.small_config,
            DayLayout::Merged => &self.config,
            DayLayout::Sorted => &self.sorted_config,
        };
        HashedWriter::new(Arc::clone(&self.store), config.clone())
    }

    /// Refuses files that are not there: a commit that names them would make the table unreadable.
    pub(super) async fn all_exist(&self, files: &[Add]) -> Result<(), LakeError> {
        for add in files {
            self.store.head(&Path::from(add.path.as_str())).await?;
        }
        Ok(())
    }

    /// Deletes files that no commit names. A failure is logged: what stays is garbage, not data.
    pub async fn delete_uncommitted(&self, files: &[Add]) {
        for add in files {
            if let Err(error) = self.store.delete(&Path::from(add.path.as_str())).await {
                tracing::warn!(path = add.path, %error, "could not delete an uncommitted data file; vacuum will");
            }
        }
        self.settled(files);
    }

    /// Says that files wait for no commit any more.
    pub(super) fn settled(&self, files: &[Add]) {
        self.files.settled(files.iter().map(|add| add.path.as_str()));
    }
}

/// Encoded bytes after which a sorted day goes on in another file.
const SORTED_FILE_BYTES: NonZeroU64 = NonZeroU64::new(256 << 20).unwrap();

/// Files of fewer rows are merged before long: until then the state that zstd needs for each column of each file, to
/// write and to read, costs more than the bytes it saves.
const SMALL_ROWS: u64 = 32 * 1024;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Rows of a page of a sorted day.
const SORTED_PAGE_ROWS: usize = 4096;

/// Bytes of a column's dictionary in a row group of a sorted day, before encoding goes on without one.
const SORTED_DICTIONARY_BYTES: usize = 256 << 10;

/// Properties of the files of a sorted day: they stay, so they may cost more to write.
fn sorted_properties(schema: &Schema) -> Result<WriterProperties, LakeError> {
    let sorting = |name: &str| {
        let column_idx = i32::try_from(schema.index_of(name)?)
            .map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))?;
        Ok::<_, LakeError>(SortingColumn { column_idx, descending: false, nulls_first: true })
    };
    let mut properties = writer_properties()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // A look-up decodes whole pages, and the dictionary of each column: both are kept small.
        .set_data_page_row_count_limit(SORTED_PAGE_ROWS)
        .set_dictionary_page_size_limit(SORTED_DICTIONARY_BYTES)
        .set_sorting_columns(Some(vec![sorting(USER_KEY)?, sorting(TIME_STAMP)?]));
    for name in [USER_KEY, "sourceIP", ACTIVITY_ID] {
        let column = ColumnPath::from(name);
        // Sized for a row group in which every value differs, then folded to what it holds.
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_max_ndv(column, ROW_GROUP_ROWS as u64);
    }
    Ok(properties.build())
}

fn writer_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        // Level 1: the files of an ingest are rewritten by upkeep, so speed counts more than size.
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Hardly two rows share an id: a dictionary would be filled and given up in every file.
        .set_column_dictionary_enabled(ColumnPath::from(ACTIVITY_ID), false)
        .set_max_row_group_bytes(Some(128 << 20))
        .set_created_by(concat!("anomalake ", env!("CARGO_PKG_VERSION")).to_owned())
}
