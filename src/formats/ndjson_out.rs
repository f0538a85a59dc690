//! NDJSON: one JSON object a row, one row a line.
//!
//! Keys come in column order. A null cell is left out, key and all, so that a sparse row stays short; the
//! empty text is written (`""`), which CSV cannot tell from null. A row of nulls is `{}`.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::columns::{Column, Layout};
use super::{BatchEncoder, EncodeError};
use crate::domain::java_double::write_java_double;

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// Encoder of NDJSON.
#[derive(Debug)]
pub struct NdjsonEncoder {
    layout: Layout,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
}

impl NdjsonEncoder {
    /// An encoder for batches with the columns of `schema`, by name and order; text may come as any of Arrow's
    /// three types of text.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub fn new(schema: &Schema) -> Result<Self, EncodeError> {
        let layout = Layout::of(schema, "ndjson")?;
        let key = |name| {
            let mut key = Vec::new();
            write_text(name, &mut key);
            key.push(b':');
            key
        };
        let keys = layout.names().map(key).collect();
        Ok(Self { layout, keys })
    }

    fn write_row(&self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        let opening = out.len();
        for (key, column) in self.keys.iter().zip(columns) {
            if column.is_null(row) {
                continue;
            }
            if out.len() > opening {
                out.push(b',');
            }
            out.extend_from_slice(key);
            write_value(*column, row, out);
        }
        out.extend_from_slice(b"}\n");
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
        let columns = self.layout.typed(batch)?;
        let mut row = start;
        while row < batch.num_rows() && (out.len() < limit || row == start) {
            self.write_row(&columns, row, out);
            row += 1;
        }
        Ok(row)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

fn write_value(column: Column<'_>, row: usize, out: &mut Vec<u8>) {
    match column {
        Column::Integer(array) => out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
        Column::Double(array) => write_double(array.value(row), out),
        Column::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
        Column::View(array) => write_text(array.value(row), out),
        Column::Utf8(array) => write_text(array.value(row), out),
        Column::LargeUtf8(array) => write_text(array.value(row), out),
    }
}

/// The shortest decimal that reads back. JSON has no NaN and no infinities: they are `null`.
fn write_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        // Java's form is a JSON number as well.
        write_java_double(value, out);
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A JSON string. Characters beyond ASCII are written as themselves.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    if rest.iter().fold(false, |found, &byte| found | must_escape(byte)) {
        while let Some(at) = rest.iter().position(|&byte| must_escape(byte)) {
            out.extend_from_slice(&rest[..at]);
            write_escape(rest[at], out);
            rest = &rest[at + 1..];
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

const fn must_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0C => b'f',
        b'\r' => b'r',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xF)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
    };
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::domain::activity::wire_schema;

    const QUOTING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.ndjson");

    fn encoded(batch: &RecordBatch, limit: usize) -> String {
        let mut encoder = NdjsonEncoder::new(batch.schema_ref()).unwrap();
        let mut out = Vec::new();
        encoder.begin(&mut out).unwrap();
        let mut row = 0;
        while row < batch.num_rows() {
            let mut chunk = Vec::new();
            row = encoder.encode(batch, row, &mut chunk, limit).unwrap();
            out.extend_from_slice(&chunk);
        }
        encoder.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
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
        assert_eq!(encoded(&batch, usize::MAX), expected);
        assert_eq!(encoded(&batch, 1), expected);
    }

    #[test]
    fn the_oracle_rows_read_back_without_their_nulls() {
        let text = std::fs::read_to_string(QUOTING).unwrap();
        let reader = arrow::json::ReaderBuilder::new(wire_schema()).build(text.as_bytes()).unwrap();
        let found: String = reader.map(|batch| encoded(&batch.unwrap(), 9_999)).collect();
        assert_eq!(found.lines().count(), 400);
        for (found, input) in found.lines().zip(text.lines()) {
            let mut expected: Value = serde_json::from_str(input).unwrap();
            expected.as_object_mut().unwrap().retain(|_, value| !value.is_null());
            assert_eq!(serde_json::from_str::<Value>(found).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn strings_are_serde_json_s(text in prop_oneof![any::<String>(), "[\u{0}-\u{30}\\\\\u{7E}-\u{A0}]{0,40}"]) {
            let mut out = Vec::new();
            write_text(&text, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn doubles_read_back(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let mut out = Vec::new();
            write_double(value, &mut out);
            let back: f64 = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back.to_bits(), value.to_bits());
        }
    }
}
