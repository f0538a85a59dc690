//! Which columns of a file are read, and how.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::guard::corrupt;
use crate::domain::activity::{ColumnType, TIME_STAMP};
use crate::formats::input::MAX_BATCH_BYTES;
use crate::formats::input::columns::{TIME_SLOT, slot_name, slot_of, slot_type};
use crate::formats::input::error::DecodeError;

/// Most rows that the reader holds at once.
const MAX_ROWS: usize = 8_192;

/// How a file will be read.
pub(super) struct Plan {
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) projection: ProjectionMask,
    /// Slots of the projected columns, in file order.
    pub(super) slots: Vec<usize>,
    /// Names of the columns that are not read.
    pub(super) unknown: Vec<String>,
    pub(super) batch_rows: usize,
}

impl Plan {
    /// Reads the footer and checks names and types.
    pub(super) fn of_file<F: ChunkReader>(input: &F) -> Result<Self, DecodeError> {
        let metadata = ArrowReaderMetadata::load(input, ArrowReaderOptions::new()).map_err(corrupt)?;
        if metadata.metadata().num_row_groups() == 0 {
            return Err(DecodeError::Empty);
        }
        let (mut slots, mut roots, mut unknown, mut fields) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (root, field) in metadata.schema().fields().iter().enumerate() {
            let Some(slot) = slot_of(field.name()) else {
                unknown.push(field.name().clone());
                fields.push(Arc::clone(field));
                continue;
            };
            if !seen.insert(slot) {
                return Err(column_fault(slot, "stands in the file twice"));
            }
            let plain = plain(field);
            if let Err(expected) = check_type(slot, plain.data_type()) {
                return Err(column_fault(slot, format!("expected {expected}, not {}", field.data_type())));
            }
            slots.push(slot);
            roots.push(root);
            fields.push(Arc::new(plain));
        }
        if !seen.contains(&TIME_SLOT) {
            return Err(column_fault(TIME_SLOT, "required, but the file has none"));
        }
        check_codecs(metadata.metadata(), &roots)?;
        let batch_rows = batch_rows(metadata.metadata());
        let projection = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(corrupt)?;
        Ok(Self { metadata, projection, slots, unknown, batch_rows })
    }
}

fn column_fault(slot: usize, reason: impl Into<String>) -> DecodeError {
    DecodeError::Column { column: slot_name(slot).to_owned(), reason: reason.into() }
}

/// Brotli has no largest ratio, and its decompressor here does not stop at a page's stated size, so
/// a page of it has no bound at all.
fn check_codecs(metadata: &ParquetMetaData, roots: &[usize]) -> Result<(), DecodeError> {
    let schema = metadata.file_metadata().schema_descr();
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns().iter().enumerate()) {
        let (leaf, chunk) = chunk;
        let is_read = roots.contains(&schema.get_column_root_idx(leaf));
        if is_read && matches!(chunk.compression(), Compression::BROTLI(_)) {
            return Err(DecodeError::Column {
                column: schema.column(leaf).name().to_owned(),
                reason: "compressed with brotli; write zstd, snappy, lz4_raw or gzip".to_owned(),
            });
        }
    }
    Ok(())
}

/// The field as it is to be read: no dictionaries, and all strings as views.
///
/// Views share the pages they come from. A dictionary can name one long text from every row; as
/// plain strings such a batch would hold it as often.
fn plain(field: &Field) -> Field {
    let value_type = match field.data_type() {
        DataType::Dictionary(_, value_type) => value_type,
        other => other,
    };
    let data_type = if value_type.is_string() { DataType::Utf8View } else { value_type.clone() };
    field.clone().with_data_type(data_type)
}

/// Whether a column of this type can hold right values, or what could.
fn check_type(slot: usize, found: &DataType) -> Result<(), &'static str> {
    let number = found.is_integer() || found.is_floating();
    let timestamp = slot_name(slot) == TIME_STAMP && matches!(found, DataType::Timestamp(_, _));
    let (fits, expected) = match slot_type(slot) {
        ColumnType::Int64 if slot == TIME_SLOT => (number || timestamp, "integers (ms since epoch) or timestamps"),
        ColumnType::Int64 => (number, "integers"),
        ColumnType::Float64 => (number, "numbers"),
        ColumnType::Boolean => (found == &DataType::Boolean, "booleans"),
        ColumnType::Utf8 => (found == &DataType::Utf8View, "strings (a Parquet string, not plain binary)"),
    };
    if fits { Ok(()) } else { Err(expected) }
}

/// Rows of a reader's batch, fewer where the footer tells of large rows.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let largest_row = metadata.row_groups().iter().map(|group| {
        let bytes = usize::try_from(group.total_byte_size()).unwrap_or_default();
        let rows = usize::try_from(group.num_rows()).unwrap_or_default();
        bytes / rows.max(1)
    });
    let largest_row = largest_row.max().unwrap_or_default();
    (MAX_BATCH_BYTES / largest_row.max(1)).clamp(16, MAX_ROWS)
}
