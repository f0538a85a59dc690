//! NDJSON: one JSON object a line.

use std::io::Read;

use super::columns::Columns;
use super::error::DecodeError;
use super::intake::Intake;
use super::keys::Keys;
use super::lines::Lines;
use super::plain_record::read_plain_record;
use super::record::read_record;
use super::report::{DecodeReport, Fault};
use super::rows::Rows;
use super::{DecodeOptions, Sink};

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
    let mut rows = Rows::new();
    while let Some((number, line)) = lines.next()? {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let read = read_line(line, &mut keys, &mut rows.columns);
        if rows.end_record(number, line.len(), read, &mut intake, sink)? {
            keys.accept_record();
        }
    }
    rows.hand_over(&mut intake, sink)?;
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
    if read_plain_record(text, keys, columns).is_some() {
        return Ok(());
    }
    columns.undo_row();
    read_record(text, keys, columns)
}
