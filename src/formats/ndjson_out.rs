//! NDJSON: one JSON object a row, one row a line; what an object holds is said at [`JsonRows`].

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::json_rows::JsonRows;
use super::{BatchEncoder, EncodeError};

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Encoder of NDJSON.
#[derive(Debug)]
pub struct NdjsonEncoder {
    rows: JsonRows,
}

impl NdjsonEncoder {
    /// An encoder for batches with the columns of `schema`, by name and order; text may come as any of Arrow's
    /// three types of text.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub fn new(schema: &Schema) -> Result<Self, EncodeError> {
        Ok(Self { rows: JsonRows::new(schema, "ndjson")? })
    }
}

impl BatchEncoder for NdjsonEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    /// Nothing comes before the first row.
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, EncodeError> {
        self.rows.encode(batch, start, out, limit, || b"", b"\n")
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
    };
    use serde_json::Value;

    use super::*;
    use crate::formats::testing::{encoded, oracle_batches};

    fn text(batches: &[RecordBatch], limit: usize) -> String {
        let mut encoder = NdjsonEncoder::new(batches[0].schema_ref()).unwrap();
        String::from_utf8(encoded(&mut encoder, batches, limit)).unwrap()
    }

    #[test]
    fn keys_in_order_and_nulls_left_out() {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("z", Arc::new(Int64Array::from(vec![Some(-1), None, None])) as ArrayRef, true),
            ("a\"b", Arc::new(StringViewArray::from(vec![Some("x\n\u{1}\\\""), Some(""), None])), true),
            ("u", Arc::new(StringArray::from(vec![None, Some("é😀\u{2028}"), None])), true),
            (
                "l",
                Arc::new(LargeStringArray::from(vec![None, Some("a text too long for a view of its own"), None])),
                true,
            ),
            ("d", Arc::new(Float64Array::from(vec![Some(1e7), Some(f64::NAN), None])), true),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), true),
        ])
        .unwrap();
        let expected = "{\"z\":-1,\"a\\\"b\":\"x\\n\\u0001\\\\\\\"\",\"d\":1.0E7,\"b\":true}\n\
            {\"a\\\"b\":\"\",\"u\":\"é😀\u{2028}\",\"l\":\"a text too long for a view of its own\",\"d\":null,\"b\":false}\n{}\n";
        assert_eq!(text(std::slice::from_ref(&batch), usize::MAX), expected);
        assert_eq!(text(&[batch], 1), expected);
    }

    #[test]
    fn the_oracle_rows_read_back_without_their_nulls() {
        let (batches, rows) = oracle_batches();
        let found = text(&batches, 9_999);
        assert_eq!(found.lines().count(), 400);
        for (found, mut expected) in found.lines().zip(rows) {
            expected.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            assert_eq!(serde_json::from_str::<Value>(found).unwrap(), expected);
        }
    }
}
