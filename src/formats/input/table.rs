//! Inputs that are tables already, of Parquet or Arrow: columns by name, checked row by row as NDJSON is.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::columns::{SLOT_COUNT, TIME_SLOT, WireBatch, slot_name, slot_of, slot_type};
use super::convert::{Faults, convert};
use super::error::DecodeError;
use super::intake::Intake;
use super::{DecodeOptions, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Sink};
use crate::domain::activity::{ColumnType, TIME_STAMP};

/// Which columns of a table are read, and as what.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Places of the columns that are read, in the table's order.
    pub(super) places: Vec<usize>,
    /// Slots of those columns.
    pub(super) slots: Vec<usize>,
    /// All columns; those that are read without dictionaries and with texts as views.
    pub(super) fields: Vec<FieldRef>,
    /// Names of the columns that are not stored.
    pub(super) unknown: Vec<String>,
}

impl Mapping {
    /// Finds the columns by their exact name and checks their types. A column without a type holds nothing but nulls
    /// and is not read.
    ///
    /// # Errors
    /// [`DecodeError::Column`] for one of the wrong type or given twice, and without `timeStamp`.
    pub(super) fn of(schema: &Schema) -> Result<Self, DecodeError> {
        let (mut places, mut slots, mut fields, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for (place, field) in schema.fields().iter().enumerate() {
            let Some(slot) = slot_of(field.name()) else {
                unknown.push(field.name().clone());
                fields.push(Arc::clone(field));
                continue;
            };
            if !seen.insert(slot) {
                return Err(given_twice(slot));
            }
            if field.data_type().is_null() && slot != TIME_SLOT {
                fields.push(Arc::clone(field));
                continue;
            }
            let plain = plain(field);
            if let Err(expected) = check_type(slot, plain.data_type()) {
                return Err(column_fault(slot, format!("expected {expected}, not {}", field.data_type())));
            }
            places.push(place);
            slots.push(slot);
            fields.push(Arc::new(plain));
        }
        if seen.contains(&TIME_SLOT) { Ok(Self { places, slots, fields, unknown }) } else { Err(no_time_stamp()) }
    }
}

fn column_fault(slot: usize, reason: impl Into<String>) -> DecodeError {
    DecodeError::Column { column: slot_name(slot).to_owned(), reason: reason.into() }
}

pub(super) fn given_twice(slot: usize) -> DecodeError {
    column_fault(slot, "given twice")
}

pub(super) fn no_time_stamp() -> DecodeError {
    column_fault(TIME_SLOT, "required, but the input has none")
}

/// The field as it is to be read: no dictionaries, and all strings as views.
///
/// Views share the bytes they come from. A dictionary can name one long text from every row; as
/// plain strings such a batch would hold it as often.
fn plain(field: &Field) -> Field {
    let value_type = match field.data_type() {
        DataType::Dictionary(_, value_type) => value_type,
        other => other,
    };
    let data_type = if value_type.is_string() { DataType::Utf8View } else { value_type.clone() };
    field.clone().with_data_type(data_type)
}

/// Whether a column of this type can hold right values, or what could.
fn check_type(slot: usize, found: &DataType) -> Result<(), &'static str> {
    let number = found.is_integer() || found.is_floating();
    let timestamp = slot_name(slot) == TIME_STAMP && matches!(found, DataType::Timestamp(_, _));
    let (fits, expected) = match slot_type(slot) {
        ColumnType::Int64 if slot == TIME_SLOT => (number || timestamp, "integers (ms since epoch) or timestamps"),
        ColumnType::Int64 => (number, "integers"),
        ColumnType::Float64 => (number, "numbers"),
        ColumnType::Boolean => (found == &DataType::Boolean, "booleans"),
        ColumnType::Utf8 => (found == &DataType::Utf8View, "strings (not plain binary)"),
    };
    if fits { Ok(()) } else { Err(expected) }
}

/// Takes rows in, whose columns are those of the slots: converts them, refuses the bad ones, and hands the others over
/// in batches of a bounded size. `first_row` is the number of rows before them.
///
/// # Errors
/// [`DecodeError`], see [`Intake::refuse`] for bad rows.
pub(super) fn take_rows<S: Sink>(
    given: &[ArrayRef],
    slots: &[usize],
    first_row: u64,
    options: &DecodeOptions,
    intake: &mut Intake<'_>,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let mut faults = Faults::default();
    let mut columns: Vec<Option<ArrayRef>> = vec![None; SLOT_COUNT];
    let rows = given.first().map_or(0, ArrayRef::len);
    for (array, slot) in given.iter().zip(slots) {
        columns[*slot] = Some(convert(*slot, array, &mut faults).map_err(DecodeError::Batch)?);
    }
    let mut text_bytes = text_bytes(&columns, rows);
    if let Some(large) = text_bytes.iter().position(|bytes| *bytes > options.max_record_bytes) {
        return Err(DecodeError::RecordTooLarge {
            line: first_row + large as u64 + 1,
            limit_bytes: options.max_record_bytes,
        });
    }
    if !faults.is_empty() {
        let good: Vec<bool> = (0..rows).map(|row| !faults.contains(row)).collect();
        for (row, fault) in faults {
            intake.refuse(first_row + row as u64 + 1, fault)?;
        }
        text_bytes = text_bytes.into_iter().zip(&good).filter(|(_, good)| **good).map(|(bytes, _)| bytes).collect();
        let good = BooleanArray::from(good);
        for array in columns.iter_mut().flatten() {
            *array = filter(array, &good).map_err(DecodeError::Batch)?;
        }
    }
    let mut from = 0;
    while from < text_bytes.len() {
        let rows = rows_of_batch(&text_bytes[from..]);
        let part = columns.iter().map(|column| column.as_ref().map(|array| owned(array, from, rows)).transpose());
        let columns = part.collect::<Result<_, _>>().map_err(DecodeError::Batch)?;
        intake.hand_over(WireBatch { rows, columns }, sink)?;
        from += rows;
    }
    Ok(())
}

/// Bytes of text of each row.
fn text_bytes(columns: &[Option<ArrayRef>], rows: usize) -> Vec<usize> {
    let mut bytes = vec![0; rows];
    for views in columns.iter().flatten().filter_map(|array| array.as_string_view_opt()) {
        for (row, length) in views.lengths().enumerate() {
            if views.is_valid(row) {
                bytes[row] += length as usize;
            }
        }
    }
    bytes
}

/// Rows, at least one, that stay within the bounds of a batch.
fn rows_of_batch(text_bytes: &[usize]) -> usize {
    let mut sum = 0;
    let within = text_bytes.iter().take(MAX_BATCH_ROWS).take_while(|bytes| {
        sum += **bytes;
        sum <= MAX_BATCH_BYTES
    });
    within.count().max(1)
}

/// Some rows of a column, texts copied out of the file's pages into the lake's type.
fn owned(array: &ArrayRef, from: usize, rows: usize) -> Result<ArrayRef, arrow::error::ArrowError> {
    let rows = array.slice(from, rows);
    if rows.data_type() == &DataType::Utf8View { cast(&rows, &DataType::Utf8) } else { Ok(rows) }
}
