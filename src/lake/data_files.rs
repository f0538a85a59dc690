//! From record batches to sorted Parquet files of the activities table, not yet committed.

mod leave_out;

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
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

use super::checksums::HashedWriter;
use super::error::LakeError;
use super::file_use::{FileUse, Writing};
use crate::domain::activity::{ACTIVITY_ID, DAY, TIME_STAMP, USER_KEY, lake_schema};

pub use leave_out::IsRepeat;

/// Bytes of decoded batches that one ingest holds before it writes files. Bounds memory to about
/// three times this (batches, their sorted copy, encoded pages) whatever the size of the input.
pub const FLUSH_BYTES: usize = 64 << 20;

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
}

impl DataFiles {
    /// Starts an ingest into the table that the store is rooted in.
    #[must_use]
    pub fn new(folder: DataFolder) -> Self {
        Self { folder, buffered: Vec::new(), buffered_bytes: 0, files: Vec::new() }
    }

    /// Takes a batch of the lake's schema. The files that this may write are durable but invisible.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<(), LakeError> {
        self.buffered_bytes += batch.get_array_memory_size();
        self.buffered.push(batch);
        if self.buffered_bytes >= FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), LakeError> {
        let batches = std::mem::take(&mut self.buffered);
        self.buffered_bytes = 0;
        self.files.extend(self.folder.write_sorted(batches).await?);
        Ok(())
    }

    /// Ends the ingest.
    ///
    /// # Errors
    /// When a file cannot be written; the files written before are then deleted.
    pub async fn finish(self) -> Result<Rows, LakeError> {
        if self.files.is_empty() && self.buffered_bytes <= SMALL_BYTES {
            return Ok(Rows::Batches(self.buffered));
        }
        self.finish_as_files().await
    }

    /// Ends the ingest with files of its own, however small it is.
    ///
    /// # Errors
    /// As [`DataFiles::finish`].
    pub async fn finish_as_files(mut self) -> Result<Rows, LakeError> {
        match self.flush().await {
            Ok(()) => Ok(Rows::Files(self.files)),
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    /// Gives up: deletes the files written so far.
    pub async fn discard(self) {
        self.folder.delete_uncommitted(&self.files).await;
    }
}

/// Where a table's data files go, and how they are written; cheap to clone.
#[derive(Debug, Clone)]
pub struct DataFolder {
    store: Arc<dyn ObjectStore>,
    config: WriterConfig,
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
        let sorted_config = config(sorted_properties(&unsorted.file_schema())?, Some(SORTED_FILE_BYTES));
        Ok(Self { store, config: unsorted, sorted_config, files })
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
        let rows = sorted(&batches)?;
        drop(batches);
        let _writing = self.writing();
        let mut writer = HashedWriter::new(Arc::clone(&self.store), self.config.clone());
        if let Err(error) = writer.write(&rows).await {
            writer.abort().await;
            return Err(error);
        }
        drop(rows);
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

    /// A writer of files for rewrites. It keeps the order of what it is given.
    pub(super) fn rewriter(&self, layout: DayLayout) -> HashedWriter {
        let config = match layout {
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

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Properties of the files of a sorted day: they stay, so they may cost more to write.
fn sorted_properties(schema: &Schema) -> Result<WriterProperties, LakeError> {
    let sorting = |name: &str| {
        let column_idx = i32::try_from(schema.index_of(name)?)
            .map_err(|error| parquet::errors::ParquetError::External(Box::new(error)))?;
        Ok::<_, LakeError>(SortingColumn { column_idx, descending: false, nulls_first: true })
    };
    let mut properties = writer_properties()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
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
        .set_max_row_group_bytes(Some(128 << 20))
        .set_created_by(concat!("anomalake ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// Sorts rows by (day, userKey, timeStamp), so that a file's rows of one user lie together.
fn sorted(batches: &[RecordBatch]) -> Result<RecordBatch, LakeError> {
    let schema = lake_schema();
    let all = concat_batches(&schema, batches)?;
    let keys = [DAY, USER_KEY, TIME_STAMP]
        .into_iter()
        .map(|name| Ok(SortColumn { values: Arc::clone(all.column(schema.index_of(name)?)), options: None }))
        .collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
    let order = lexsort_to_indices(&keys, None)?;
    Ok(take_record_batch(&all, &order)?)
}
