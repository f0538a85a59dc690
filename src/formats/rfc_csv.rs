//! CSV as RFC 4180 has it: CRLF at the end of every record, the header line first.
//!
//! Null is the empty cell; the empty text is `""`, so that the two stay apart.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::columns::{Column, Layout};
use super::{BatchEncoder, EncodeError};
use crate::domain::java_double::write_java_double;

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "text/csv;charset=utf-8;header=present";

/// Encoder of RFC 4180.
#[derive(Debug)]
pub struct RfcCsvEncoder {
    layout: Layout,
    escape_formulas: bool,
}

impl RfcCsvEncoder {
    /// An encoder for batches with the columns of `schema`, by name and order.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub fn new(schema: &Schema, escape_formulas: bool) -> Result<Self, EncodeError> {
        Ok(Self { layout: Layout::of(schema, "csv")?, escape_formulas })
    }

    fn write_cell(&self, column: Column<'_>, row: usize, out: &mut Vec<u8>) {
        if column.is_null(row) {
            return;
        }
        match column {
            Column::Integer(array) => out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes()),
            Column::Double(array) => write_java_double(array.value(row), out),
            Column::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            text => write_text(text.text(row).unwrap_or_default(), self.escape_formulas, out),
        }
    }
}

fn write_text(text: &str, escape_formulas: bool, out: &mut Vec<u8>) {
    let is_formula = escape_formulas && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let must_quote = is_formula || text.is_empty() || text.bytes().any(|b| matches!(b, b'"' | b',' | b'\r' | b'\n'));
    if !must_quote {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    if is_formula {
        out.push(b'\'');
    }
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

impl BatchEncoder for RfcCsvEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (index, name) in self.layout.names().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_text(name, self.escape_formulas, out);
        }
        out.extend_from_slice(b"\r\n");
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
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self.write_cell(*column, row, out);
            }
            out.extend_from_slice(b"\r\n");
            row += 1;
        }
        Ok(row)
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}
