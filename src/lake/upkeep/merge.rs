//! Merging sorted files into one sorted stream, in bounded memory.
//!
//! Every data file is sorted by (userKey, timeStamp). Up to [`MOST_OPEN`] of them are merged at a time, a small
//! batch of each in memory; more are first merged in groups into temporary files.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::row::{OwnedRow, Row, RowConverter, Rows, SortField};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::WriterProperties;
use tempfile::NamedTempFile;

use crate::domain::activity::{TIME_STAMP, USER_KEY};
use crate::lake::batch_rows::batch_rows;
use crate::lake::error::LakeError;

/// Files that are open at a time. Each costs a batch and the current pages of its columns, some megabytes.
pub const MOST_OPEN: usize = 32;

/// Decoded bytes of a batch of one file, about.
const BATCH_BYTES: u64 = 512 << 10;

/// Most rows of such a batch.
const BATCH_ROWS: usize = 2048;

/// Where merged batches go; false ends the merge.
pub type Sink<'a> = dyn FnMut(RecordBatch) -> Result<bool, LakeError> + 'a;

/// Merges sorted files. Blocking: call it on a thread that may wait. Equal rows come in the order of their
/// files.
///
/// # Errors
/// When a file cannot be read, when one is not sorted ([`LakeError::Inconsistent`]: not written by us), or
/// when a temporary file cannot be written.
pub fn merge(files: &[PathBuf], schema: &SchemaRef, tmp: &Path, sink: &mut Sink<'_>) -> Result<(), LakeError> {
    if files.len() <= MOST_OPEN {
        return merge_open(files, schema, sink).map(drop);
    }
    let mut merged = Vec::new();
    for group in files.chunks(MOST_OPEN) {
        let file = NamedTempFile::new_in(tmp)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let mut writer = ArrowWriter::try_new(file.reopen()?, SchemaRef::clone(schema), Some(properties))?;
        merge_open(group, schema, &mut |batch| writer.write(&batch).map(|()| true).map_err(LakeError::from))?;
        writer.close()?;
        merged.push(file);
    }
    let paths: Vec<PathBuf> = merged.iter().map(|file| file.path().to_owned()).collect();
    merge(&paths, schema, tmp, sink)
}

/// One file, at its next row.
struct Cursor {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    /// Place of the current batch among those that output rows refer to.
    slot: usize,
    keys: Rows,
    row: usize,
    last: Option<OwnedRow>,
}

struct Merge {
    keys: RowConverter,
    key_columns: [usize; 2],
    /// Batches that output rows or cursors refer to.
    batches: Vec<RecordBatch>,
    /// (batch, row) of the output in order.
    output: Vec<(usize, usize)>,
}

fn merge_open(files: &[PathBuf], schema: &SchemaRef, sink: &mut Sink<'_>) -> Result<bool, LakeError> {
    let key_columns = [schema.index_of(USER_KEY)?, schema.index_of(TIME_STAMP)?];
    let fields = key_columns.map(|column| SortField::new(schema.field(column).data_type().clone())).to_vec();
    let mut merge = Merge { keys: RowConverter::new(fields)?, key_columns, batches: Vec::new(), output: Vec::new() };
    let mut cursors = Vec::new();
    let mut output_rows = usize::MAX;
    for path in files {
        let (reader, batch_rows) = open(path, schema)?;
        output_rows = output_rows.min(batch_rows);
        cursors.extend(merge.start(path, reader)?);
    }
    while !cursors.is_empty() {
        let (at, bound) = first_two(&cursors);
        // Rows of one user lie together, so a cursor mostly stays ahead for a while.
        let bound = bound.map(|(key, before)| (key.owned(), before));
        let cursor = &mut cursors[at];
        let mut in_order = true;
        while in_order && cursor.row < cursor.keys.num_rows() && merge.output.len() < output_rows {
            merge.output.push((cursor.slot, cursor.row));
            cursor.row += 1;
            in_order = cursor.row < cursor.keys.num_rows()
                && bound.as_ref().is_none_or(|(key, before)| {
                    let (next, key) = (cursor.keys.row(cursor.row), key.row());
                    next < key || (next == key && !before)
                });
        }
        let exhausted = cursor.row == cursor.keys.num_rows();
        if exhausted && !merge.advance(cursor)? {
            cursors.remove(at);
        }
        if merge.output.len() >= output_rows || merge.batches.len() > 4 * MOST_OPEN {
            let batch = merge.flush(&mut cursors)?;
            if !sink(batch)? {
                return Ok(false);
            }
        }
    }
    if merge.output.is_empty() { Ok(true) } else { sink(merge.flush(&mut cursors)?) }
}

/// The cursor whose row comes next, and the row after which another one's turn is; true when that other one comes
/// first among equals.
fn first_two(cursors: &[Cursor]) -> (usize, Option<(Row<'_>, bool)>) {
    let key = |at: usize| cursors[at].keys.row(cursors[at].row);
    let (mut first, mut second) = (0, None);
    for at in 1..cursors.len() {
        if key(at) < key(first) {
            second = Some(first);
            first = at;
        } else if second.is_none_or(|second| key(at) < key(second)) {
            second = Some(at);
        }
    }
    (first, second.map(|second| (key(second), second < first)))
}

fn open(path: &Path, schema: &SchemaRef) -> Result<(ParquetRecordBatchReader, usize), LakeError> {
    let options =
        ArrowReaderOptions::new().with_schema(SchemaRef::clone(schema)).with_page_index_policy(PageIndexPolicy::Skip);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(File::open(path)?, options)?;
    let batch_rows = batch_rows(builder.metadata(), &ProjectionMask::all(), BATCH_BYTES, BATCH_ROWS);
    Ok((builder.with_batch_size(batch_rows).build()?, batch_rows))
}

impl Merge {
    /// A cursor at the first row of a file; none for a file without rows.
    fn start(&mut self, path: &Path, reader: ParquetRecordBatchReader) -> Result<Option<Cursor>, LakeError> {
        let keys = self.keys.empty_rows(0, 0);
        let mut cursor = Cursor { path: path.to_owned(), reader, slot: 0, keys, row: 0, last: None };
        Ok(self.advance(&mut cursor)?.then_some(cursor))
    }

    /// Reads the next batch of a file; false at its end.
    fn advance(&mut self, cursor: &mut Cursor) -> Result<bool, LakeError> {
        let Some(batch) = cursor.reader.next().transpose()? else { return Ok(false) };
        let columns = self.key_columns.map(|column| std::sync::Arc::clone(batch.column(column)));
        let keys = self.keys.convert_columns(&columns)?;
        let starts_late = cursor.last.as_ref().is_none_or(|last| last.row() <= keys.row(0));
        if !starts_late || !(1..keys.num_rows()).all(|row| keys.row(row - 1) <= keys.row(row)) {
            let message =
                format!("{} is not sorted by user and time, so it was not written here", cursor.path.display());
            return Err(LakeError::Inconsistent(message));
        }
        cursor.last = Some(keys.row(keys.num_rows() - 1).owned());
        cursor.slot = self.batches.len();
        self.batches.push(batch);
        cursor.keys = keys;
        cursor.row = 0;
        Ok(true)
    }

    /// The output so far as one batch; afterwards only the cursors' batches are kept.
    fn flush(&mut self, cursors: &mut [Cursor]) -> Result<RecordBatch, LakeError> {
        let refs: Vec<&RecordBatch> = self.batches.iter().collect();
        let batch = interleave_record_batch(&refs, &self.output)?;
        self.output.clear();
        let kept = cursors.iter().map(|cursor| self.batches[cursor.slot].clone()).collect();
        for (slot, cursor) in cursors.iter_mut().enumerate() {
            cursor.slot = slot;
        }
        self.batches = kept;
        Ok(batch)
    }
}
