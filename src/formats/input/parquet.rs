//! Parquet: columns by name, checked row by row as NDJSON is.

mod guard;
mod plan;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use self::guard::{Guarded, WHAT};
use self::plan::Plan;
use super::error::DecodeError;
use super::intake::Intake;
use super::panics::contain;
use super::report::DecodeReport;
use super::table::take_rows;
use super::{DecodeOptions, Sink};

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
    let plan = contain(WHAT, || Plan::of_file(&input))??;
    let input = Guarded::new(input, plan.metadata.metadata(), options.max_inflated_bytes);
    let guard = input.guard();
    let mut reader = contain(WHAT, || {
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
        let Some(batch) = contain(WHAT, || reader.next())? else { break };
        let batch = batch.map_err(|error| guard.explain(error))?;
        let rows = batch.num_rows() as u64;
        take_rows(batch.columns(), &plan.mapping.slots, row, options, &mut intake, sink)?;
        row += rows;
    }
    let mut report = intake.finish()?;
    for name in &plan.mapping.unknown {
        report.count_unknown(name, report.accepted);
    }
    Ok(report)
}
