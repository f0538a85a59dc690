//! From decoded records to the columns of activities.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{and, filter, is_not_null, is_null, nullif};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;

use crate::domain::activity::{ColumnType, TIME_STAMP};
use crate::formats::input::{Fault, ID_SLOT, SLOT_COUNT, TIME_SLOT, check_time_stamp, excerpt, slot_name, slot_type};

/// What is wrong with rows, by row.
pub(super) type Faults = BTreeMap<usize, Fault>;

/// One column of activities.
#[derive(Debug)]
pub(super) struct MappedColumn {
    pub(super) slot: usize,
    /// Gives the column in the lake's type.
    pub(super) value: Arc<dyn PhysicalExpr>,
    /// Where the value rests on an address: what it would be if every text were one.
    pub(super) unchecked: Option<Arc<dyn PhysicalExpr>>,
    /// The expression as it is written.
    pub(super) written: String,
}

/// Rows of activities.
#[derive(Debug)]
pub(super) struct Mapped {
    /// Columns by slot.
    pub(super) columns: Vec<Option<ArrayRef>>,
    /// By slot, the rows in which the column is null because its text is no address.
    pub(super) nulled: Vec<(usize, BooleanArray)>,
}

impl Mapped {
    /// Tells the ids of rows apart that come from one record: those after its first get their number.
    pub(super) fn number_ids(&mut self, items: &[usize]) {
        let Some(ids) = &self.columns[ID_SLOT] else { return };
        let numbered = ids.as_string::<i32>().iter().zip(items).map(|(id, item)| match (id, item) {
            (Some(id), 2..) => Some(Cow::Owned(format!("{id}#{item}"))),
            (id, _) => id.map(Cow::Borrowed),
        });
        self.columns[ID_SLOT] = Some(Arc::new(numbered.collect::<StringArray>()));
    }

    /// The rows that are marked.
    pub(super) fn keep(mut self, marked: &BooleanArray) -> Result<Self, ArrowError> {
        for column in self.columns.iter_mut().flatten() {
            *column = filter(column, marked)?;
        }
        for (_, rows) in &mut self.nulled {
            *rows = filter(rows, marked)?.as_boolean().clone();
        }
        Ok(self)
    }
}

/// Maps records row for row.
///
/// # Errors
/// When an expression cannot be computed for some record, for example a cast;
/// [`faults_of_records`] tells which.
pub(super) fn map_records(columns: &[MappedColumn], records: &RecordBatch) -> Result<Mapped, DataFusionError> {
    let rows = records.num_rows();
    let mut mapped = Mapped { columns: vec![None; SLOT_COUNT], nulled: Vec::new() };
    for column in columns {
        let values = column.value.evaluate(records)?.into_array(rows)?;
        if let Some(unchecked) = &column.unchecked {
            let unchecked = unchecked.evaluate(records)?.into_array(rows)?;
            mapped.nulled.push((column.slot, and(&is_null(&values)?, &is_not_null(&unchecked)?)?));
        }
        mapped.columns[column.slot] = Some(match values.as_string_opt() {
            Some(texts) => without_empty(texts)?.unwrap_or(values),
            None => values,
        });
    }
    Ok(mapped)
}

/// The texts with null for what is empty: vendors write both, and the wire knows no difference.
fn without_empty(texts: &StringArray) -> Result<Option<ArrayRef>, ArrowError> {
    let is_empty = |row: usize| texts.value_length(row) == 0 && texts.is_valid(row);
    if !(0..texts.len()).any(is_empty) {
        return Ok(None);
    }
    nullif(texts, &(0..texts.len()).map(|row| Some(is_empty(row))).collect()).map(Some)
}

/// The records that cannot be mapped, found one by one.
pub(super) fn faults_of_records(columns: &[MappedColumn], records: &RecordBatch) -> Faults {
    let fault = |row| {
        let record = records.slice(row, 1);
        columns.iter().find_map(|column| {
            let error = map_records(std::slice::from_ref(column), &record).err()?;
            Some((row, Fault::of_field(slot_name(column.slot), excerpt(&error.strip_backtrace()))))
        })
    };
    (0..records.num_rows()).filter_map(fault).collect()
}

/// The rows that are no activities: those without a time, or with a number that is none.
pub(super) fn faults_of_rows(columns: &[MappedColumn], mapped: &Mapped) -> Faults {
    let mut faults = Faults::new();
    for column in columns {
        let Some(values) = &mapped.columns[column.slot] else { continue };
        if column.slot == TIME_SLOT {
            let times = values.as_primitive::<Int64Type>();
            for (row, time) in times.iter().enumerate() {
                let fault = match check_time_stamp(time) {
                    Ok(()) => continue,
                    Err(_) if time.is_none() => {
                        Fault::of_field(TIME_STAMP, format!("no time in {}", excerpt(&column.written)))
                    }
                    Err(fault) => fault,
                };
                faults.entry(row).or_insert(fault);
            }
        } else if slot_type(column.slot) == ColumnType::Float64 {
            let numbers = values.as_primitive::<Float64Type>();
            for (row, number) in numbers.iter().enumerate() {
                if number.is_some_and(|number| !number.is_finite()) {
                    let fault = || Fault::of_field(slot_name(column.slot), "expected a finite number");
                    faults.entry(row).or_insert_with(fault);
                }
            }
        }
    }
    faults
}
