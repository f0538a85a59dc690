//! Parquet: types and nulls as they are, compressed within.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::conform::Conform;
use super::{BatchEncoder, EncodeError};

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

const FORMAT: &str = "parquet";

/// Most rows of a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// Memory of a row group that is being made, in bytes, at which it ends: about the size of the bursts in which the
/// file leaves.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Bytes of rows between two looks at that memory.
const STEP_BYTES: usize = 4 << 20;

/// Encoder of a Parquet file with plain strings. Without rows it is a file without row groups.
///
/// A row group leaves as a whole, when it is complete, whatever the limit of a chunk is.
#[derive(Debug)]
pub struct ParquetEncoder {
    conform: Conform,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetEncoder {
    /// An encoder that states `schema`. Batches have its columns by name and order; text may come as any of
    /// Arrow's three types of text.
    ///
    /// # Errors
    /// [`EncodeError::Writer`] when Parquet has no such types.
    pub fn new(schema: SchemaRef) -> Result<Self, EncodeError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("anomalake ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), SchemaRef::clone(&schema), Some(properties)).map_err(failed)?;
        Ok(Self { conform: Conform::new(schema, FORMAT), writer })
    }
}

impl BatchEncoder for ParquetEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.append(self.writer.inner_mut());
        Ok(())
    }

    /// Takes rows into the row group, and appends it once it is complete.
    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        _limit: usize,
    ) -> Result<usize, EncodeError> {
        if start >= batch.num_rows() {
            return Ok(start);
        }
        let rows = self.conform.slice(batch, start, STEP_BYTES)?;
        self.writer.write(&rows).map_err(failed)?;
        if self.writer.memory_size() >= ROW_GROUP_BYTES {
            self.writer.flush().map_err(failed)?;
        }
        out.append(self.writer.inner_mut());
        Ok(start + rows.num_rows())
    }

    /// Appends the last row group and the footer.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

fn failed(error: ParquetError) -> EncodeError {
    EncodeError::writer(FORMAT, error)
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use arrow::datatypes::DataType;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::activity::wire_schema;
    use crate::formats::testing::{any_rows, as_queried, encoded, oracle_batches};

    fn read(file: Vec<u8>) -> RecordBatch {
        let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap();
        let schema = SchemaRef::clone(builder.schema());
        let batches = builder.build().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        concat_batches(&schema, &batches).unwrap()
    }

    #[test]
    fn the_oracle_rows_come_back_with_types_and_nulls() {
        let (batches, _) = oracle_batches();
        let expected = concat_batches(&wire_schema(), &batches).unwrap();
        let given: Vec<_> = batches.iter().flat_map(|batch| as_queried(batch, &DataType::Utf8View, 50)).collect();
        let found = read(encoded(&mut ParquetEncoder::new(wire_schema()).unwrap(), &given, 20_000));
        assert_eq!(found.columns(), expected.columns());
        assert_eq!(found.schema().fields(), expected.schema().fields());
    }

    #[test]
    fn without_rows_there_are_the_columns() {
        let file = encoded(&mut ParquetEncoder::new(wire_schema()).unwrap(), &[], 1);
        let found = read(file);
        assert_eq!((found.num_rows(), found.schema().fields()), (0, wire_schema().fields()));
    }

    #[test]
    fn row_groups_leave_before_the_end_so_that_memory_is_bounded() {
        // Noise, which neither a dictionary nor zstd makes small.
        let mut state = 0_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + u8::try_from(state >> 58).unwrap())
        };
        let texts = (0..400).map(|_| (0..100_000).map(|_| letter()).collect::<String>());
        let texts = arrow::array::StringArray::from_iter_values(texts);
        let batch =
            RecordBatch::try_from_iter([("text", std::sync::Arc::new(texts) as arrow::array::ArrayRef)]).unwrap();
        let mut encoder = ParquetEncoder::new(batch.schema()).unwrap();
        let (mut row, mut file, mut largest) = (0, Vec::new(), 0);
        encoder.begin(&mut file).unwrap();
        while row < batch.num_rows() {
            let mut chunk = Vec::new();
            row = encoder.encode(&batch, row, &mut chunk, 1).unwrap();
            largest = largest.max(chunk.len());
            file.append(&mut chunk);
            assert!(encoder.writer.memory_size() < ROW_GROUP_BYTES);
        }
        assert!(largest > 0 && largest < 2 * ROW_GROUP_BYTES, "{largest} bytes");
        encoder.finish(&mut file).unwrap();
        assert!(read(file) == batch);
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in any_rows(), pieces in 1_usize..40) {
            let mut encoder = ParquetEncoder::new(rows.schema()).unwrap();
            let file = encoded(&mut encoder, &as_queried(&rows, &DataType::Utf8View, pieces), 1);
            // NaN is not itself, so that text is compared.
            prop_assert_eq!(format!("{:?}", read(file).columns()), format!("{:?}", rows.columns()));
        }
    }
}
