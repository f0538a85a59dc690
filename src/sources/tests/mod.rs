mod checks;
mod cloudtrail;
mod decoding;
mod golden;
mod labelled;
mod real;
mod wide;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};

use super::{Layout, Source, decode_source, embedded};
use crate::domain::tenant::TenantId;
use crate::formats::input::{DecodeError, DecodeOptions, DecodeReport, OnError};

fn parsed(text: &str) -> Arc<Source> {
    Arc::new(Source::parse(text).unwrap())
}

/// A source with its `SELECT`, and fields enough to try things.
fn source(columns: &str) -> Arc<Source> {
    let header =
        "--: source test\n--: unwrap Records[]\n--: text time, a, b, o.x, list[]\n--: int n\n--: float f\n--: bool t\n";
    parsed(&format!("{header}SELECT epoch_ms(time) AS timeStamp, {columns} FROM record"))
}

fn options() -> DecodeOptions {
    DecodeOptions {
        on_error: OnError::Skip,
        source: "test".to_owned(),
        ..DecodeOptions::new(tenant(), 1_763_510_400_000)
    }
}

fn tenant() -> TenantId {
    TenantId::try_from(5618).unwrap()
}

fn decode(
    source: &Arc<Source>,
    input: &[u8],
    options: &DecodeOptions,
) -> Result<(Vec<RecordBatch>, DecodeReport), DecodeError> {
    let mut batches = Vec::new();
    let report = decode_source(input, Layout::Json, source, options, &mut |batch| {
        batches.push(batch);
        Ok(())
    })?;
    Ok((batches, report))
}

/// Cells that are not null, by row.
fn rows(batches: &[RecordBatch]) -> Vec<Map<String, Value>> {
    let mut rows = Vec::new();
    for batch in batches {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells = schema.fields().iter().zip(batch.columns()).filter(|(_, cells)| cells.is_valid(row)).map(
                |(field, cells)| {
                    let text = array_value_to_string(cells, row).unwrap();
                    let value = match cells.as_string_opt::<i32>() {
                        Some(texts) => Value::from(texts.value(row)),
                        None => serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text)),
                    };
                    (field.name().clone(), value)
                },
            );
            rows.push(cells.collect());
        }
    }
    rows
}

/// One column as text; what is null is `-`.
fn column(batches: &[RecordBatch], name: &str) -> Vec<String> {
    let text = |row: Map<String, Value>| match row.get(name) {
        None => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    rows(batches).into_iter().map(text).collect()
}

fn cloudtrail() -> Arc<Source> {
    embedded("cloudtrail").unwrap().source().unwrap()
}

fn errors(report: &DecodeReport) -> Vec<String> {
    report.errors.iter().map(ToString::to_string).collect()
}

/// One record a line.
fn lines<T: std::fmt::Display>(records: impl IntoIterator<Item = T>) -> String {
    let lines: Vec<String> = records.into_iter().map(|record| record.to_string()).collect();
    lines.join("\n")
}
