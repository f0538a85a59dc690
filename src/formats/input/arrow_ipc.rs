//! Arrow IPC, stream or file: columns by name, checked row by row as NDJSON is.
//!
//! A file is a stream between two marks, followed by an index for readers that seek. It is read as the stream, so
//! neither needs a temporary file.

mod frames;

use std::io::Read;

use arrow::compute::cast;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;

use self::frames::{Frames, WHAT};
use super::error::DecodeError;
use super::intake::Intake;
use super::panics::contain;
use super::report::DecodeReport;
use super::table::{Mapping, take_rows};
use super::{DecodeOptions, MAX_BATCH_ROWS, Sink};

/// Decodes inflated Arrow IPC and hands the batches to the sink in input order.
///
/// Columns are found and converted as [`decode_parquet`](super::decode_parquet) does it, dictionaries and all Arrow
/// types of strings included. The end mark is required: without it a stream that was cut off would look whole.
///
/// # Errors
/// [`DecodeError`]; with `OnError::Reject` any bad row ends in [`DecodeError::Rejected`].
pub fn decode_arrow<R: Read, S: Sink>(
    input: R,
    options: &DecodeOptions,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    let mut frames = Frames::new(input, options.max_inflated_bytes)?;
    let mut decoder = StreamDecoder::new();
    let mut mapping = None;
    let mut intake = Intake::new(options)?;
    let mut row = 0_u64;
    while let Some(mut frame) = frames.next()? {
        loop {
            let batch = contain(WHAT, || decoder.decode(&mut frame))?.map_err(corrupt)?;
            if mapping.is_none() {
                mapping = decoder.schema().map(|schema| Mapping::of(&schema)).transpose()?;
            }
            let (Some(batch), Some(mapping)) = (batch, &mapping) else { break };
            take_batch(&batch, mapping, row, options, &mut intake, sink)?;
            row += batch.num_rows() as u64;
        }
    }
    let mut report = intake.finish()?;
    for name in mapping.iter().flat_map(|mapping| &mapping.unknown) {
        report.count_unknown(name, report.accepted);
    }
    Ok(report)
}

fn corrupt(error: ArrowError) -> DecodeError {
    DecodeError::Corrupt { what: WHAT, source: Box::new(error) }
}

/// Takes a batch in piece by piece: a batch of the input may be far larger than one of ours.
fn take_batch<S: Sink>(
    batch: &RecordBatch,
    mapping: &Mapping,
    first_row: u64,
    options: &DecodeOptions,
    intake: &mut Intake<'_>,
    sink: &mut S,
) -> Result<(), DecodeError> {
    for from in (0..batch.num_rows()).step_by(MAX_BATCH_ROWS) {
        let rows = (batch.num_rows() - from).min(MAX_BATCH_ROWS);
        let plain = mapping.places.iter().map(|place| {
            let rows = batch.column(*place).slice(from, rows);
            contain(WHAT, || cast(&rows, mapping.fields[*place].data_type()))?.map_err(corrupt)
        });
        let plain = plain.collect::<Result<Vec<_>, _>>()?;
        take_rows(&plain, &mapping.slots, first_row + from as u64, options, intake, sink)?;
    }
    Ok(())
}
