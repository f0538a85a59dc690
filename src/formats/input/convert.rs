//! A column of an Arrow batch to the lake's type, finding the rows that do not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;

use super::columns::{TIME_SLOT, slot_name, slot_type};
use super::intake::check_time_stamp;
use super::record::whole_number;
use super::report::{Fault, excerpt};
use crate::domain::activity::ColumnType;

/// The first fault of each bad row, by its place in the batch.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<usize, Fault>);

impl Faults {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, row: usize) -> bool {
        self.0.contains_key(&row)
    }

    fn add(&mut self, row: usize, fault: impl FnOnce() -> Fault) {
        self.0.entry(row).or_insert_with(fault);
    }
}

impl IntoIterator for Faults {
    type Item = (usize, Fault);
    type IntoIter = std::collections::btree_map::IntoIter<usize, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The column in the lake's type, but texts as views; cells of bad rows are arbitrary.
pub(super) fn convert(slot: usize, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    match slot_type(slot) {
        ColumnType::Int64 if slot == TIME_SLOT => time_stamps(array, faults),
        ColumnType::Int64 => integers(slot, array, faults),
        ColumnType::Float64 => floats(slot, array, faults),
        ColumnType::Boolean | ColumnType::Utf8 => Ok(Arc::clone(array)),
    }
}

fn time_stamps(array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let ms = match array.data_type() {
        DataType::Timestamp(unit, _) => milliseconds(*unit, array)?,
        _ => integers(TIME_SLOT, array, faults)?,
    };
    let values = ms.as_primitive::<Int64Type>();
    for row in 0..values.len() {
        let value = values.is_valid(row).then(|| values.value(row));
        if let Err(fault) = check_time_stamp(value) {
            faults.add(row, || fault);
        }
    }
    Ok(ms)
}

/// Milliseconds, rounded down also before 1970; a time too large for them becomes null, then a fault.
fn milliseconds(unit: TimeUnit, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let raw = cast(array, &DataType::Int64)?;
    let raw = raw.as_primitive::<Int64Type>();
    let ms: Int64Array = match unit {
        TimeUnit::Second => raw.unary_opt(|s| s.checked_mul(1_000)),
        TimeUnit::Millisecond => return Ok(Arc::new(raw.clone())),
        TimeUnit::Microsecond => raw.unary(|us| us.div_euclid(1_000)),
        TimeUnit::Nanosecond => raw.unary(|ns| ns.div_euclid(1_000_000)),
    };
    Ok(Arc::new(ms))
}

fn integers(slot: usize, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let cells: ArrayRef = if array.data_type().is_floating() {
        let floats = cast(array, &DataType::Float64)?;
        let whole: Int64Array = floats.as_primitive::<Float64Type>().unary_opt(whole_number);
        Arc::new(whole)
    } else {
        cast(array, &DataType::Int64)?
    };
    // What does not fit has become null.
    if cells.null_count() > array.null_count() {
        for row in (0..array.len()).filter(|row| array.is_valid(*row) && cells.is_null(*row)) {
            faults.add(row, || wrong(slot, "an integer of 64 bits", array, row));
        }
    }
    Ok(cells)
}

fn floats(slot: usize, array: &ArrayRef, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let cells = cast(array, &DataType::Float64)?;
    let values: &Float64Array = cells.as_primitive();
    for row in (0..values.len()).filter(|row| values.is_valid(*row) && !values.value(*row).is_finite()) {
        faults.add(row, || wrong(slot, "a finite number", array, row));
    }
    Ok(cells)
}

fn wrong(slot: usize, expected: &str, array: &ArrayRef, row: usize) -> Fault {
    let found = array_value_to_string(array, row).unwrap_or_else(|error| error.to_string());
    Fault::of_field(slot_name(slot), format!("expected {expected}, not {}", excerpt(&found)))
}
