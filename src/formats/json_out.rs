//! JSON: one array of objects, a row a line; what an object holds is said at [`JsonRows`].

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::json_rows::JsonRows;
use super::{BatchEncoder, EncodeError};

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "application/json";

/// Encoder of a JSON array. Without rows it is `[]`.
#[derive(Debug)]
pub struct JsonEncoder {
    rows: JsonRows,
    /// What comes before the next row.
    separator: &'static [u8],
}

impl JsonEncoder {
    /// An encoder for batches with the columns of `schema`, by name and order; text may come as any of Arrow's
    /// three types of text.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub fn new(schema: &Schema) -> Result<Self, EncodeError> {
        Ok(Self { rows: JsonRows::new(schema, "json")?, separator: b"" })
    }
}

impl BatchEncoder for JsonEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b'[');
        Ok(())
    }

    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, EncodeError> {
        let separator = || std::mem::replace(&mut self.separator, b",\n");
        self.rows.encode(batch, start, out, limit, separator, b"")
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.push(b']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use serde_json::Value;

    use super::*;
    use crate::formats::testing::{encoded, oracle_batches};

    #[test]
    fn an_array_whatever_the_number_of_rows_and_chunks() {
        for rows in 0..3 {
            let numbers: Int64Array = [Some(0), None, Some(2)].into_iter().take(rows).collect();
            let texts = StringArray::from_iter_values((0..rows).map(|n| "\"".repeat(n)));
            let columns = [("n", Arc::new(numbers) as ArrayRef, true), ("t", Arc::new(texts), true)];
            let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
            for limit in [1, usize::MAX] {
                let text =
                    encoded(&mut JsonEncoder::new(batch.schema_ref()).unwrap(), std::slice::from_ref(&batch), limit);
                let expected = [r#"{"n":0,"t":""}"#, r#"{"t":"\""}"#, r#"{"n":2,"t":"\"\""}"#];
                let expected = format!("[{}]", expected[..rows].join(",\n"));
                assert_eq!(String::from_utf8(text).unwrap(), expected);
            }
        }
    }

    #[test]
    fn the_oracle_rows_read_back_without_their_nulls() {
        let (batches, mut rows) = oracle_batches();
        let text = encoded(&mut JsonEncoder::new(batches[0].schema_ref()).unwrap(), &batches, 9_999);
        let found: Vec<Value> = serde_json::from_slice(&text).unwrap();
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        assert_eq!(found, rows);
    }
}
