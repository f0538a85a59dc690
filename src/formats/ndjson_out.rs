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
