//! Rows as JSON objects, for the formats that are made of them.
//!
//! Keys come in column order. A null cell is left out, key and all, so that a sparse row stays short; the
//! empty text is written (`""`), which CSV cannot tell from null. A row of nulls is `{}`.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use super::EncodeError;
use super::columns::{Column, Layout};
use crate::domain::java_double::write_java_double;

/// Writes rows of batches that all have the same columns.
#[derive(Debug)]
pub(super) struct JsonRows {
    layout: Layout,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
    /// Whether the texts of each column are JSON values.
    json: Vec<bool>,
}

impl JsonRows {
    /// For batches with the columns of `schema`, by name and order; text may come as any of Arrow's three types
    /// of text.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub(super) fn new(schema: &Schema, format: &'static str) -> Result<Self, EncodeError> {
        let layout = Layout::of(schema, format)?;
        let key = |name| {
            let mut key = Vec::new();
            write_text(name, &mut key);
            key.push(b':');
            key
        };
        let keys = layout.names().map(key).collect();
        let json = schema.fields().iter().map(|field| super::plain::is_json(field)).collect();
        Ok(Self { layout, keys, json })
    }

    /// Appends objects as [`BatchEncoder::encode`](super::BatchEncoder::encode) does, each between what `before`
    /// gives and `after`.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
        mut before: impl FnMut() -> &'static [u8],
        after: &[u8],
    ) -> Result<usize, EncodeError> {
        let columns = self.layout.typed(batch)?;
        let mut row = start;
        while row < batch.num_rows() && (out.len() < limit || row == start) {
            out.extend_from_slice(before());
            self.write_row(&columns, row, out);
            out.extend_from_slice(after);
            row += 1;
        }
        Ok(row)
    }

    fn write_row(&self, columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        let opening = out.len();
        for ((key, column), json) in self.keys.iter().zip(columns).zip(&self.json) {
            if column.is_null(row) {
                continue;
            }
            if out.len() > opening {
                out.push(b',');
            }
            out.extend_from_slice(key);
            if *json {
                out.extend_from_slice(column.text(row).unwrap_or("null").as_bytes());
            } else {
                write_value(*column, row, out);
            }
        }
        out.push(b'}');
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
    use proptest::prelude::*;

    use super::*;

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
