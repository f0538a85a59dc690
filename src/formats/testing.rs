//! What the tests of the encoders share.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::BatchEncoder;
use crate::domain::activity::wire_schema;

const QUOTING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/activities-quoting.ndjson");

/// A whole answer, made in chunks of about `limit` bytes.
pub(crate) fn encoded(encoder: &mut dyn BatchEncoder, batches: &[RecordBatch], limit: usize) -> Vec<u8> {
    let mut answer = Vec::new();
    encoder.begin(&mut answer).unwrap();
    for batch in batches {
        let mut row = 0;
        while row < batch.num_rows() {
            let mut chunk = Vec::new();
            let next = encoder.encode(batch, row, &mut chunk, limit).unwrap();
            assert!(next > row && next <= batch.num_rows());
            answer.append(&mut chunk);
            row = next;
        }
    }
    encoder.finish(&mut answer).unwrap();
    answer
}

/// The 400 rows of the encoder's oracle, as batches of the wire's columns and as JSON with explicit nulls.
pub(crate) fn oracle_batches() -> (Vec<RecordBatch>, Vec<Value>) {
    let text = std::fs::read_to_string(QUOTING).unwrap();
    let reader = arrow::json::ReaderBuilder::new(wire_schema()).with_batch_size(129).build(text.as_bytes()).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (reader.map(Result::unwrap).collect(), rows.collect())
}

/// Rows of each type of column, with nulls; all numbers, since only text formats refuse NaN.
pub(crate) fn any_rows() -> impl Strategy<Value = RecordBatch> {
    let text = prop_oneof![Just(None), ".{0,30}".prop_map(Some)];
    let row = (any::<i64>(), any::<Option<i64>>(), any::<Option<f64>>(), any::<Option<bool>>(), text);
    vec(row, 0..60).prop_map(|rows| {
        let schema = Schema::new(vec![
            Field::new("key", DataType::Int64, false),
            Field::new("integer", DataType::Int64, true),
            Field::new("double", DataType::Float64, true),
            Field::new("boolean", DataType::Boolean, true),
            Field::new("text", DataType::Utf8, true),
        ]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.3).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| row.4.as_deref()).collect::<StringArray>()),
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    })
}

/// The batch in pieces, as a query gives it: texts of another type, nothing promised about nulls.
pub(crate) fn as_queried(batch: &RecordBatch, text: &DataType, rows: usize) -> Vec<RecordBatch> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        let data_type = if field.data_type().is_string() { text } else { field.data_type() };
        (field.name(), cast(column, data_type).unwrap(), true)
    });
    let whole = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let pieces = (0..whole.num_rows()).step_by(rows);
    pieces.map(|from| whole.slice(from, rows.min(whole.num_rows() - from))).collect()
}
