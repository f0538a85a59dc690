//! Decoders from bytes to batches.

mod arrow_ipc;
mod blocks;
mod bounds;
mod compressed;
mod csv;
mod ndjson;
mod parquet;
mod properties;
mod vectors;

use std::fmt::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type};
use serde_json::{Value, json};

use super::*;
use crate::domain::activity::lake_schema;

pub(super) const INGESTED_AT: i64 = 1_763_510_400_000;

pub(super) fn options() -> DecodeOptions {
    DecodeOptions::new(TenantId::try_from(5618).unwrap(), INGESTED_AT)
}

pub(super) fn skipping() -> DecodeOptions {
    DecodeOptions { on_error: OnError::Skip, ..options() }
}

/// What a decoder gave: its report, and all its batches as one.
pub(super) type Decoded = Result<(DecodeReport, RecordBatch), DecodeError>;

pub(super) fn collected(
    decode: impl FnOnce(&mut dyn FnMut(RecordBatch) -> Result<(), SinkClosed>) -> Result<DecodeReport, DecodeError>,
) -> Decoded {
    let mut batches = Vec::new();
    let report = decode(&mut |batch| {
        assert!(batch.num_rows() > 0 && batch.num_rows() <= MAX_BATCH_ROWS);
        batches.push(batch);
        Ok(())
    })?;
    let all = concat_batches(&lake_schema(), &batches).unwrap();
    assert_eq!(report.accepted, all.num_rows() as u64);
    assert_eq!(report.days.values().sum::<u64>(), report.accepted);
    Ok((report, all))
}

pub(super) fn decode(text: impl AsRef<[u8]>) -> Decoded {
    decode_with(text, &options())
}

pub(super) fn decode_with(text: impl AsRef<[u8]>, options: &DecodeOptions) -> Decoded {
    collected(|mut sink| decode_ndjson(text.as_ref(), options, &mut sink))
}

pub(super) fn rejection(decoded: Decoded) -> Rejection {
    match decoded {
        Err(DecodeError::Rejected(rejection)) => rejection,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

/// One cell as JSON.
pub(super) fn cell(batch: &RecordBatch, name: &str, row: usize) -> Value {
    let array = batch.column_by_name(name).unwrap();
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(row)),
        _ => json!(array.as_string::<i32>().value(row)),
    }
}

/// Records as NDJSON.
pub(super) fn lines(records: &[Value]) -> String {
    records.iter().fold(String::new(), |mut text, record| {
        writeln!(text, "{record}").unwrap();
        text
    })
}
