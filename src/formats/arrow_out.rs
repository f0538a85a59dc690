//! Arrow's IPC stream: types and nulls as they are, for readers that map them into memory.

use std::fmt;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

use super::conform::Conform;
use super::{BatchEncoder, EncodeError};

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "application/vnd.apache.arrow.stream";

const FORMAT: &str = "arrow stream";

/// Encoder of an Arrow IPC stream with plain strings. Without rows it is the schema and the end mark.
pub struct ArrowEncoder {
    conform: Conform,
    writer: StreamWriter<Vec<u8>>,
}

impl fmt::Debug for ArrowEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowEncoder").field("conform", &self.conform).finish_non_exhaustive()
    }
}

impl ArrowEncoder {
    /// An encoder that states `schema`. Batches have its columns by name and order; text may come as any of
    /// Arrow's three types of text.
    ///
    /// # Errors
    /// [`EncodeError::Writer`] when the schema cannot be written.
    pub fn new(schema: SchemaRef) -> Result<Self, EncodeError> {
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(failed)?;
        Ok(Self { conform: Conform::new(schema, FORMAT), writer })
    }
}

impl BatchEncoder for ArrowEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    /// Appends the schema.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.append(self.writer.get_mut());
        Ok(())
    }

    /// Appends one message, of about `limit` bytes at most: a message costs some 8 KiB of its own, so small ones to
    /// fill up a chunk would be dear.
    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, EncodeError> {
        if start >= batch.num_rows() {
            return Ok(start);
        }
        let rows = self.conform.slice(batch, start, limit)?;
        self.writer.write(&rows).map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(start + rows.num_rows())
    }

    /// Appends the end mark.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.finish().map_err(failed)?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

fn failed(error: ArrowError) -> EncodeError {
    EncodeError::writer(FORMAT, error)
}

#[cfg(test)]
mod tests {
    use arrow::compute::concat_batches;
    use arrow::datatypes::DataType;
    use arrow::ipc::reader::StreamReader;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::activity::wire_schema;
    use crate::formats::testing::{any_rows, as_queried, encoded, oracle_batches};

    fn read(stream: &[u8]) -> RecordBatch {
        let reader = StreamReader::try_new(stream, None).unwrap();
        let schema = reader.schema();
        concat_batches(&schema, &reader.collect::<Result<Vec<_>, _>>().unwrap()).unwrap()
    }

    #[test]
    fn the_oracle_rows_come_back_with_types_and_nulls() {
        let (batches, _) = oracle_batches();
        let expected = concat_batches(&wire_schema(), &batches).unwrap();
        for text in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            let given: Vec<_> = batches.iter().flat_map(|batch| as_queried(batch, &text, 50)).collect();
            let stream = encoded(&mut ArrowEncoder::new(wire_schema()).unwrap(), &given, 20_000);
            assert_eq!(read(&stream), expected, "{text}");
        }
    }

    #[test]
    fn without_rows_there_are_the_schema_and_the_end() {
        let stream = encoded(&mut ArrowEncoder::new(wire_schema()).unwrap(), &[], 1);
        assert_eq!(read(&stream), RecordBatch::new_empty(wire_schema()));
        assert!(stream.ends_with(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]));
    }

    #[test]
    fn a_message_keeps_near_the_limit() {
        let (batches, _) = oracle_batches();
        let mut encoder = ArrowEncoder::new(wire_schema()).unwrap();
        let (mut row, mut messages) = (0, 0);
        while row < batches[0].num_rows() {
            let mut message = Vec::new();
            row = encoder.encode(&batches[0], row, &mut message, 16_384).unwrap();
            assert!(message.len() < 2 * 16_384, "{} bytes", message.len());
            messages += 1;
        }
        assert!(messages < 20, "{messages} messages for {row} rows");
    }

    #[test]
    fn other_columns_and_missing_metrics_are_refused() {
        let (batches, _) = oracle_batches();
        let mut encoder = ArrowEncoder::new(wire_schema()).unwrap();
        let fewer = batches[0].project(&[0, 1]).unwrap();
        let refused = encoder.encode(&fewer, 0, &mut Vec::new(), 1);
        assert!(matches!(refused, Err(EncodeError::UnexpectedBatch { .. })), "{refused:?}");
        let swapped: Vec<_> = (0..56).rev().collect();
        let refused = encoder.encode(&batches[0].project(&swapped).unwrap(), 0, &mut Vec::new(), 1);
        assert!(matches!(refused, Err(EncodeError::UnexpectedBatch { .. })), "{refused:?}");
        let columns =
            wire_schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>();
        let nulls =
            columns.into_iter().map(|(name, data_type)| (name, arrow::array::new_null_array(&data_type, 1), true));
        let nulls = RecordBatch::try_from_iter_with_nullable(nulls).unwrap();
        let refused = encoder.encode(&nulls, 0, &mut Vec::new(), 1);
        assert!(matches!(refused, Err(EncodeError::Writer { .. })), "{refused:?}");
    }

    proptest! {
        #[test]
        fn rows_come_back(rows in any_rows(), pieces in 1_usize..40, limit in 1_usize..5_000) {
            let mut encoder = ArrowEncoder::new(rows.schema()).unwrap();
            let stream = encoded(&mut encoder, &as_queried(&rows, &DataType::Utf8View, pieces), limit);
            // NaN is not itself, so that text is compared.
            prop_assert_eq!(format!("{:?}", read(&stream)), format!("{rows:?}"));
        }
    }
}
