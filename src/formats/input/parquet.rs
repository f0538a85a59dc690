//! Parquet: columns by name, checked row by row as NDJSON is.

mod convert;
mod guard;
mod panics;
mod plan;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use self::convert::{Faults, convert};
use self::guard::Guarded;
use self::panics::contain;
use self::plan::Plan;
use super::columns::{SLOT_COUNT, WireBatch};
use super::error::DecodeError;
use super::intake::Intake;
use super::report::DecodeReport;
use super::{DecodeOptions, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Sink};

/// Decodes a Parquet file and hands the batches to the sink in file order.
///
/// Columns are found by their exact name. Integers of any width, and floats that stand for one
/// exactly, fill integer columns; `timeStamp` may also be a timestamp of any unit, which is UTC
/// where it has no zone, and is cut down to ms. Other columns than the known are counted, once a
/// row, and not read.
///
/// # Errors
/// [`DecodeError`]; with `OnError::Reject` any bad row ends in [`DecodeError::Rejected`].
pub fn decode_parquet<F: ChunkReader + 'static, S: Sink>(
    input: F,
    options: &DecodeOptions,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    let plan = contain(|| Plan::of_file(&input))??;
    let input = Guarded::new(input, plan.metadata.metadata(), options.max_inflated_bytes);
    let guard = input.guard();
    let mut reader = contain(|| {
        ParquetRecordBatchReaderBuilder::new_with_metadata(input, plan.metadata.clone())
            .with_projection(plan.projection.clone())
            .with_batch_size(plan.batch_rows)
            .build()
    })?
    .map_err(|error| guard.explain(error.into()))?;

    let mut intake = Intake::new(options)?;
    let mut row = 0_u64;
    loop {
        guard.begin_batch();
        let Some(batch) = contain(|| reader.next())? else { break };
        let batch = batch.map_err(|error| guard.explain(error))?;
        let rows = batch.num_rows() as u64;
        take_batch(&batch, &plan, row, options, &mut intake, sink)?;
        row += rows;
    }
    let mut report = intake.finish()?;
    for name in &plan.unknown {
        report.count_unknown(name, report.accepted);
    }
    Ok(report)
}

fn take_batch<S: Sink>(
    batch: &RecordBatch,
    plan: &Plan,
    first_row: u64,
    options: &DecodeOptions,
    intake: &mut Intake<'_>,
    sink: &mut S,
) -> Result<(), DecodeError> {
    let mut faults = Faults::default();
    let mut columns: Vec<Option<ArrayRef>> = vec![None; SLOT_COUNT];
    for (array, slot) in batch.columns().iter().zip(&plan.slots) {
        columns[*slot] = Some(convert(*slot, array, &mut faults).map_err(DecodeError::Batch)?);
    }
    let mut text_bytes = text_bytes(&columns, batch.num_rows());
    if let Some(large) = text_bytes.iter().position(|bytes| *bytes > options.max_record_bytes) {
        return Err(DecodeError::RecordTooLarge {
            line: first_row + large as u64 + 1,
            limit_bytes: options.max_record_bytes,
        });
    }
    if !faults.is_empty() {
        let good: Vec<bool> = (0..batch.num_rows()).map(|row| !faults.contains(row)).collect();
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
