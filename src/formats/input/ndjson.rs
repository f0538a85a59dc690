//! NDJSON: one JSON object a line.

use std::io::Read;

use super::columns::Columns;
use super::error::DecodeError;
use super::intake::{Intake, check_time_stamp};
use super::keys::Keys;
use super::lines::Lines;
use super::record::read_record;
use super::report::{DecodeReport, Fault};
use super::{DecodeOptions, MAX_BATCH_BYTES, MAX_BATCH_ROWS, Sink};

/// What a row costs beside its text, in bytes: fixed-width cells, offsets and what is derived.
const ROW_BYTES: usize = 640;

/// Decodes inflated NDJSON and hands the batches to the sink in input order.
///
/// Blank lines are skipped, a CR before the LF and a byte order mark are tolerated. A key may stand
/// once in a record; `null` is the same as absent. Values are of their column's JSON type; an
/// integer may be written as a float that stands for it exactly. Unknown keys are counted, whatever
/// is nested in them is skipped.
///
/// # Errors
/// [`DecodeError`]; with `OnError::Reject` any bad record ends in [`DecodeError::Rejected`]. A
/// record beyond the size limit ends every input.
pub fn decode_ndjson<R: Read, S: Sink>(
    input: R,
    options: &DecodeOptions,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    let mut lines = Lines::new(input, options.max_record_bytes);
    let mut intake = Intake::new(options)?;
    let mut keys = Keys::new();
    let mut columns = Columns::new();
    let mut batch_bytes = 0;
    while let Some((number, line)) = lines.next()? {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Err(fault) = read_line(line, &mut keys, &mut columns) {
            columns.undo_row();
            intake.refuse(number, fault)?;
            continue;
        }
        columns.accept_row();
        keys.accept_record();
        batch_bytes += line.len() + ROW_BYTES;
        if batch_bytes >= MAX_BATCH_BYTES || columns.rows() >= MAX_BATCH_ROWS {
            intake.hand_over(columns.finish().map_err(DecodeError::Batch)?, sink)?;
            batch_bytes = 0;
        }
    }
    if columns.rows() > 0 {
        intake.hand_over(columns.finish().map_err(DecodeError::Batch)?, sink)?;
    }
    let mut report = intake.finish()?;
    keys.report(&mut report);
    Ok(report)
}

fn read_line(line: &[u8], keys: &mut Keys, columns: &mut Columns) -> Result<(), Fault> {
    // Checked here so that the parser's own words never quote a whole record.
    if !line.starts_with(b"{") {
        return Err(Fault::of_record("expected a json object"));
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| Fault::of_record(format!("invalid utf-8 after byte {}", error.valid_up_to())))?;
    read_record(text, keys, columns)?;
    check_time_stamp(columns.time_stamp())
}
