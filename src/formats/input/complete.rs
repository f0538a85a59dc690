//! From the columns of the input to those of the lake.

use std::iter::repeat_n;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, StringBuilder,
    new_null_array,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use uuid::Builder;
use uuid::fmt::Hyphenated;

use super::DecodeOptions;
use super::columns::{ID_SLOT, WireBatch};
use super::error::DecodeError;
use super::persons::Persons;
use super::report::DecodeReport;
use crate::domain::activity::{COLUMNS, Column, ColumnKind, ColumnType, USER, USER_COUNT, column_index, lake_schema};
use crate::domain::day::Day;

/// Fills what the input left out and adds the lake's own columns.
#[derive(Debug)]
pub(super) struct Completion<'o> {
    options: &'o DecodeOptions,
    persons: Persons,
    ids: Ids,
}

impl<'o> Completion<'o> {
    pub(super) fn new(options: &'o DecodeOptions) -> Result<Self, DecodeError> {
        Ok(Self { options, persons: Persons::new(), ids: Ids::new(options.ingested_at_ms)? })
    }

    /// A batch in the lake's schema. Counts its rows, their days and replaced tenants.
    pub(super) fn complete(&mut self, batch: WireBatch, report: &mut DecodeReport) -> Result<RecordBatch, ArrowError> {
        let WireBatch { rows, columns: mut given } = batch;
        let user = column_index(USER).and_then(|slot| given[slot].clone());
        let counts = column_index(USER_COUNT).and_then(|slot| given[slot].take());
        let (user_keys, user_counts) =
            self.persons.derive(user.as_ref().map(AsArray::as_string), counts.as_ref().map(AsArray::as_string), rows);
        let ids = self.ids.complete(given[ID_SLOT].take().as_ref().map(AsArray::as_string), rows);

        let schema = lake_schema();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (column, given) in COLUMNS.iter().zip(given) {
            columns.push(match column.kind {
                ColumnKind::Tenant => {
                    report.tenant_id_replaced += given.map_or(0, |ids| self.other_tenants(&ids));
                    Arc::new(Int64Array::from(vec![self.options.tenant.get(); rows]))
                }
                ColumnKind::Metric if column.name == USER_COUNT => Arc::clone(&user_counts) as ArrayRef,
                ColumnKind::Metric => filled(column, given, rows),
                ColumnKind::Time | ColumnKind::Dimension => {
                    given.unwrap_or_else(|| new_null_array(&column.data_type(), rows))
                }
            });
        }
        let days = days(&columns[0], report)?;
        columns.push(Arc::new(ids));
        columns.push(user_keys);
        columns.push(Arc::new(StringArray::from_iter_values(repeat_n(&self.options.source, rows))));
        columns.push(Arc::new(Int64Array::from(vec![self.options.ingested_at_ms; rows])));
        columns.push(new_null_array(&DataType::Utf8, rows));
        columns.push(days);
        report.accepted += rows as u64;
        RecordBatch::try_new(schema, columns)
    }

    fn other_tenants(&self, ids: &ArrayRef) -> u64 {
        let own = self.options.tenant.get();
        ids.as_primitive::<Int64Type>().iter().flatten().filter(|id| *id != own).count() as u64
    }
}

/// A metric without nulls.
fn filled(column: &Column, given: Option<ArrayRef>, rows: usize) -> ArrayRef {
    let default = column.default_metric();
    match (given, column.column_type) {
        (Some(given), _) if given.null_count() == 0 => given,
        (Some(given), ColumnType::Float64) => {
            let values = given.as_primitive::<Float64Type>().iter().map(Option::unwrap_or_default);
            Arc::new(Float64Array::from_iter_values(values))
        }
        (Some(given), _) => {
            let values = given.as_primitive::<Int64Type>().iter().map(|v| v.unwrap_or(default));
            Arc::new(Int64Array::from_iter_values(values))
        }
        (None, ColumnType::Float64) => Arc::new(Float64Array::from(vec![0.0; rows])),
        (None, _) => Arc::new(Int64Array::from(vec![default; rows])),
    }
}

fn days(time_stamps: &ArrayRef, report: &mut DecodeReport) -> Result<ArrayRef, ArrowError> {
    let mut run: Option<(Day, u64)> = None;
    let mut days = Vec::with_capacity(time_stamps.len());
    for ms in time_stamps.as_primitive::<Int64Type>().values() {
        let day = Day::of_time_stamp(*ms)
            .ok_or_else(|| ArrowError::InvalidArgumentError(format!("unchecked timeStamp {ms}")))?;
        days.push(day.days_since_epoch());
        match &mut run {
            Some((last, rows)) if *last == day => *rows += 1,
            _ => {
                if let Some((last, rows)) = run.replace((day, 1)) {
                    *report.days.entry(last).or_default() += rows;
                }
            }
        }
    }
    if let Some((last, rows)) = run {
        *report.days.entry(last).or_default() += rows;
    }
    Ok(Arc::new(Date32Array::from(days)))
}

/// `UUIDv7` in ascending order, so that rows of one time keep their order in the input.
///
/// All ids of an input carry the time of its ingest; below it they count up from a random start
/// (RFC 9562, section 6.2, method 2). A random number for each row would cost more than decoding it.
#[derive(Debug)]
struct Ids {
    time_ms: u64,
    /// Random and counted bits, 74 of them.
    next: u128,
}

impl Ids {
    fn new(time_ms: i64) -> Result<Self, DecodeError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| DecodeError::Read(error.into()))?;
        // The highest bit starts as zero, which leaves room for 2^73 rows.
        Ok(Self { time_ms: u64::try_from(time_ms).unwrap_or_default(), next: u128::from_le_bytes(random) >> 55 })
    }

    fn append(&mut self, ids: &mut StringBuilder) {
        // The builder overwrites four bits for the version before and two for the variant within.
        let low = (self.next & ((1 << 62) - 1)) | (0b10 << 62);
        let bits = ((self.next >> 62) << 64) | low;
        self.next += 1;
        let bytes = bits.to_be_bytes();
        let mut tail = [0; 10];
        tail.copy_from_slice(&bytes[6..]);
        let id = Builder::from_unix_timestamp_millis(self.time_ms, &tail).into_uuid();
        ids.append_value(id.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]));
    }

    /// The records' own ids, and new ones where a record has none or an empty one.
    fn complete(&mut self, given: Option<&StringArray>, rows: usize) -> StringArray {
        let mut ids = StringBuilder::with_capacity(rows, rows * Hyphenated::LENGTH);
        for row in 0..rows {
            match given {
                Some(given) if given.is_valid(row) && !given.value(row).is_empty() => {
                    ids.append_value(given.value(row));
                }
                _ => self.append(&mut ids),
            }
        }
        ids.finish()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_are_version_7_and_ascend_over_every_carry() {
        for start in [0, (1 << 62) - 2, (1 << 73) - 2, (1 << 64) - 2] {
            let mut ids = Ids { time_ms: 1_763_510_400_123, next: start };
            let made = ids.complete(None, 4);
            let made: Vec<&str> = made.iter().flatten().collect();
            assert!(made.windows(2).all(|pair| pair[0] < pair[1]), "{made:?}");
            for id in made {
                let id: Uuid = id.parse().unwrap();
                assert_eq!(id.get_version_num(), 7);
                assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
                assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_763_510_400, 123_000_000));
            }
        }
    }

    #[test]
    fn two_ingests_of_one_millisecond_differ() {
        let first = |mut ids: Ids| ids.complete(None, 1).value(0).to_owned();
        assert_ne!(first(Ids::new(0).unwrap()), first(Ids::new(0).unwrap()));
    }
}
