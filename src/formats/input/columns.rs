//! Columns of the batch being built, into which a record writes its cells.
//!
//! Cells go straight into their column; [`Columns::undo_row`] takes those of a bad record back. A
//! column that records leave out lags behind and is filled with nulls when it is next written, so
//! absent keys cost nothing.

use std::mem;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, Float64Type, Int64Type};
use arrow::error::ArrowError;

use super::MAX_BATCH_ROWS;
use crate::domain::activity::{COLUMN_COUNT, COLUMNS, ColumnType, EXTRA_INPUT_COLUMNS};

/// Columns that a record may bring: the wire's, then `activityId`. A slot is a place among them.
pub(crate) const SLOT_COUNT: usize = COLUMN_COUNT + EXTRA_INPUT_COLUMNS.len();

/// Slot of `timeStamp`.
pub(crate) const TIME_SLOT: usize = 0;

/// Slot of `activityId`.
pub(crate) const ID_SLOT: usize = COLUMN_COUNT;

/// Name of a slot's column.
pub(crate) fn slot_name(slot: usize) -> &'static str {
    COLUMNS.get(slot).map_or(EXTRA_INPUT_COLUMNS[0], |column| column.name)
}

/// Type of a slot's column.
pub(crate) fn slot_type(slot: usize) -> ColumnType {
    COLUMNS.get(slot).map_or(ColumnType::Utf8, |column| column.column_type)
}

/// Slot of a column by its exact name.
pub(crate) fn slot_of(name: &str) -> Option<usize> {
    crate::domain::activity::column_index(name).or_else(|| (name == EXTRA_INPUT_COLUMNS[0]).then_some(ID_SLOT))
}

/// Columns of accepted rows, by slot, in the lake's types; none where no row had a value.
#[derive(Debug)]
pub(crate) struct WireBatch {
    pub(crate) rows: usize,
    pub(crate) columns: Vec<Option<ArrayRef>>,
}

/// Room for the next batch, by the size of the last: one that is a little larger need not move.
fn with_slack(len: usize) -> usize {
    len + len / 8
}

/// Cells of one numeric column.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    valid: NullBufferBuilder,
}

impl<T: ArrowNativeType> Numbers<T> {
    fn new() -> Self {
        Self { values: Vec::new(), valid: NullBufferBuilder::new(MAX_BATCH_ROWS) }
    }

    fn fill(&mut self, row: usize) {
        if self.values.len() < row {
            self.valid.append_n_nulls(row - self.values.len());
            self.values.resize(row, T::default());
        }
    }

    pub(super) fn set(&mut self, row: usize, value: T) {
        self.fill(row);
        self.values.push(value);
        self.valid.append_non_null();
    }

    fn undo(&mut self, row: usize) {
        if self.values.len() > row {
            self.values.truncate(row);
            self.valid.truncate(row);
        }
    }

    fn finish<A: ArrowPrimitiveType<Native = T>>(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.fill(rows);
        let values = mem::replace(&mut self.values, Vec::with_capacity(with_slack(rows)));
        Ok(Arc::new(PrimitiveArray::<A>::try_new(ScalarBuffer::from(values), self.valid.finish())?))
    }
}

/// Cells of one boolean column.
#[derive(Debug)]
pub(super) struct Booleans {
    values: BooleanBufferBuilder,
    valid: NullBufferBuilder,
}

impl Booleans {
    fn new() -> Self {
        Self { values: BooleanBufferBuilder::new(0), valid: NullBufferBuilder::new(MAX_BATCH_ROWS) }
    }

    fn fill(&mut self, row: usize) {
        if self.values.len() < row {
            let missing = row - self.values.len();
            self.valid.append_n_nulls(missing);
            self.values.append_n(missing, false);
        }
    }

    pub(super) fn set(&mut self, row: usize, value: bool) {
        self.fill(row);
        self.values.append(value);
        self.valid.append_non_null();
    }

    fn undo(&mut self, row: usize) {
        if self.values.len() > row {
            self.values.truncate(row);
            self.valid.truncate(row);
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        Arc::new(BooleanArray::new(self.values.finish(), self.valid.finish()))
    }
}

/// Cells of one text column.
#[derive(Debug)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where each cell ends in `bytes`, after a leading zero.
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Texts {
    fn new() -> Self {
        Self { bytes: Vec::new(), ends: vec![0], valid: NullBufferBuilder::new(MAX_BATCH_ROWS) }
    }

    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn end(&self) -> i32 {
        self.ends.last().copied().unwrap_or_default()
    }

    fn fill(&mut self, row: usize) {
        if self.len() < row {
            self.valid.append_n_nulls(row - self.len());
            self.ends.resize(row + 1, self.end());
        }
    }

    /// False when the column is full: 2 GiB, which the bounds on batches keep far away.
    #[must_use]
    pub(super) fn set(&mut self, row: usize, text: &str) -> bool {
        let Ok(end) = i32::try_from(self.bytes.len() + text.len()) else { return false };
        self.fill(row);
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(end);
        self.valid.append_non_null();
        true
    }

    fn undo(&mut self, row: usize) {
        if self.len() > row {
            self.ends.truncate(row + 1);
            self.bytes.truncate(usize::try_from(self.end()).unwrap_or_default());
            self.valid.truncate(row);
        }
    }

    fn finish(&mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.fill(rows);
        let mut next = Vec::with_capacity(with_slack(rows + 1));
        next.push(0);
        let ends = OffsetBuffer::new(ScalarBuffer::from(mem::replace(&mut self.ends, next)));
        let next = Vec::with_capacity(with_slack(self.bytes.len()));
        let bytes = mem::replace(&mut self.bytes, next);
        Ok(Arc::new(StringArray::try_new(ends, Buffer::from(bytes), self.valid.finish())?))
    }
}

/// One column being built.
#[derive(Debug)]
pub(super) enum Column {
    Int(Numbers<i64>),
    Float(Numbers<f64>),
    Bool(Booleans),
    Text(Texts),
}

/// All columns being built.
#[derive(Debug)]
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: usize,
}

impl Default for Columns {
    fn default() -> Self {
        let column = |slot| match slot_type(slot) {
            ColumnType::Int64 => Column::Int(Numbers::new()),
            ColumnType::Float64 => Column::Float(Numbers::new()),
            ColumnType::Boolean => Column::Bool(Booleans::new()),
            ColumnType::Utf8 => Column::Text(Texts::new()),
        };
        Self { columns: (0..SLOT_COUNT).map(column).collect(), rows: 0 }
    }
}

impl Columns {
    /// Rows accepted so far, which is the place of the row at hand.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn column(&mut self, slot: usize) -> &mut Column {
        &mut self.columns[slot]
    }

    /// `timeStamp` of the row at hand, where it has one.
    pub(super) fn time_stamp(&self) -> Option<i64> {
        match &self.columns[TIME_SLOT] {
            Column::Int(cells) => cells.values.get(self.rows).copied(),
            _ => None,
        }
    }

    pub(super) fn accept_row(&mut self) {
        self.rows += 1;
    }

    /// Takes back what the row at hand has written.
    pub(super) fn undo_row(&mut self) {
        for column in &mut self.columns {
            match column {
                Column::Int(cells) => cells.undo(self.rows),
                Column::Float(cells) => cells.undo(self.rows),
                Column::Bool(cells) => cells.undo(self.rows),
                Column::Text(cells) => cells.undo(self.rows),
            }
        }
    }

    /// Takes the accepted rows out and starts anew.
    pub(super) fn finish(&mut self) -> Result<WireBatch, ArrowError> {
        let rows = mem::take(&mut self.rows);
        let finish = |column: &mut Column| {
            Ok(match column {
                Column::Int(cells) if cells.values.is_empty() => None,
                Column::Float(cells) if cells.values.is_empty() => None,
                Column::Bool(cells) if cells.values.is_empty() => None,
                Column::Text(cells) if cells.len() == 0 => None,
                Column::Int(cells) => Some(cells.finish::<Int64Type>(rows)?),
                Column::Float(cells) => Some(cells.finish::<Float64Type>(rows)?),
                Column::Bool(cells) => Some(cells.finish(rows)),
                Column::Text(cells) => Some(cells.finish(rows)?),
            })
        };
        Ok(WireBatch { rows, columns: self.columns.iter_mut().map(finish).collect::<Result<_, ArrowError>>()? })
    }
}
