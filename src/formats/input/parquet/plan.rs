//! Which columns of a file are read, and how.

use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::guard::corrupt;
use crate::formats::input::MAX_BATCH_BYTES;
use crate::formats::input::error::DecodeError;
use crate::formats::input::table::Mapping;

/// Most rows that the reader holds at once.
const MAX_ROWS: usize = 8_192;

/// How a file will be read.
pub(super) struct Plan {
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) projection: ProjectionMask,
    pub(super) mapping: Mapping,
    pub(super) batch_rows: usize,
}

impl Plan {
    /// Reads the footer and checks names and types.
    pub(super) fn of_file<F: ChunkReader>(input: &F) -> Result<Self, DecodeError> {
        let metadata = ArrowReaderMetadata::load(input, ArrowReaderOptions::new()).map_err(corrupt)?;
        if metadata.metadata().num_row_groups() == 0 {
            return Err(DecodeError::Empty);
        }
        let mapping = Mapping::of(metadata.schema())?;
        check_codecs(metadata.metadata(), &mapping.places)?;
        let batch_rows = batch_rows(metadata.metadata());
        let projection = ProjectionMask::roots(metadata.parquet_schema(), mapping.places.iter().copied());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(mapping.fields.clone())));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(corrupt)?;
        Ok(Self { metadata, projection, mapping, batch_rows })
    }
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
