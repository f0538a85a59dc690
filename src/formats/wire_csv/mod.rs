//! The wire dialect of CSV, byte for byte.
//!
//! Source of the rule: wire contract of the anomaly activities, section 2; its words are functions in
//! [`csv_cell`] and [`java_double`](crate::domain::java_double).
//!
//! # How it is fast
//! Rows are taken in blocks. A block is first staged column by column, one loop per type: a column that is constant
//! in the block is written once, together with its constant neighbours, and of other columns each value is
//! looked up in a small table of values whose text is at hand. Then rows are assembled from staged texts, with
//! the same sequence of segments in every row and mostly in copies of a fixed size.
//!
//! Comparing each row with the one above and copying its unchanged cells is less: rows of several users and
//! sessions interleave, so a cell seldom equals the one above but often one a few rows further up.
//! On the rows of `benches/encoder.rs` the table takes roughly 30 % off the time that remembering only the value
//! above needs.
//!
//! Nothing of a row depends on rows before it, so chunks and batches may end anywhere.

mod arena;
mod block;
mod memo;
#[cfg(test)]
mod tests;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;

use self::block::{Block, MAX_ROWS};
use super::columns::Layout;
use super::{BatchEncoder, EncodeError};
use crate::domain::csv_cell;

/// Media type of the answer.
pub const CONTENT_TYPE: &str = "text/csv;charset=utf-8";

/// Choices that change the bytes. The default is the wire contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireCsvOptions {
    /// Keeps spreadsheets from running cells: a text that starts with `=`, `+`, `-`, `@`, TAB or CR is quoted and
    /// gets a leading apostrophe inside the quotes (`=1+1` is written `"'=1+1"`). Numbers stay as they are.
    /// Off by default: clients of the wire contract would read the apostrophe as data.
    pub escape_formulas: bool,
}

/// Encoder of the wire dialect.
#[derive(Debug)]
pub struct WireCsvEncoder {
    layout: Layout,
    block: Block,
    /// Running guess, to stage few rows in vain at the end of a chunk.
    row_bytes: usize,
}

impl WireCsvEncoder {
    /// An encoder for batches with the columns of `schema`, by name and order. Text may come as `Utf8`, `LargeUtf8`
    /// or `Utf8View`, whichever of them the schema says; `Utf8View` is the fastest.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for a column that is no int64, float64, boolean or text.
    pub fn new(schema: &Schema, options: WireCsvOptions) -> Result<Self, EncodeError> {
        let layout = Layout::of(schema, "wire csv")?;
        let block = Block::new(schema.fields().len(), options.escape_formulas);
        Ok(Self { layout, block, row_bytes: 512 })
    }
}

impl BatchEncoder for WireCsvEncoder {
    fn content_type(&self) -> &'static str {
        CONTENT_TYPE
    }

    /// Appends the header line: the names of the columns under the rule of cells.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        for (index, name) in self.layout.names().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            csv_cell::write_cell(name, out);
        }
        out.push(b'\n');
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
        let (mut row, mut position) = (start, out.len());
        self.block.forget();
        while row < batch.num_rows() && (position < limit || row == start) {
            let wanted = limit.saturating_sub(position).div_ceil(self.row_bytes).clamp(MIN_ROWS, MAX_ROWS);
            let rows = wanted.min(batch.num_rows() - row);
            self.block.stage(&columns, row, rows);
            let (first, before) = (row, position);
            while row < first + rows && (position < limit || row == start) {
                position = self.block.append(row - first, &columns, first, out, position);
                row += 1;
            }
            self.row_bytes = ((position - before) / (row - first)).max(1);
        }
        out.truncate(position);
        Ok(row.max(start))
    }

    fn finish(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

/// Rows staged at least: the last rows of a chunk are not worth a set-up of all columns each.
const MIN_ROWS: usize = 8;
