//! NDJSON: one JSON object a line.

use std::io::Read;

use super::columns::{Columns, WireBatch};
use super::error::DecodeError;
use super::in_order::InOrder;
use super::intake::Intake;
use super::keys::Keys;
use super::line_blocks::{Block, LineBlocks};
use super::plain_record::read_plain_record;
use super::record::read_record;
use super::report::{DecodeReport, Fault, MAX_LISTED_ERRORS};
use super::rows::{Rows, Taker};
use super::{DecodeOptions, Sink};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

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
    let mut blocks = LineBlocks::new(input, options.max_record_bytes);
    let mut jobs = InOrder::new(options.workers.as_deref());
    let mut intake = Intake::new(options)?;
    let mut lines_before = 0;
    let mut spare = Vec::new();
    let max_line_bytes = options.max_record_bytes;
    let mut is_first = true;
    let ended = loop {
        let mut reader: Reader = spare.pop().unwrap_or_default();
        match blocks.next(&mut reader.block) {
            Ok(true) => {}
            ended => break ended.map(drop),
        }
        let read = move || reader.read(is_first, max_line_bytes);
        is_first = false;
        let outcome = if blocks.is_last() && jobs.is_idle() { Some(read()) } else { jobs.start(read)? };
        if let Some(outcome) = outcome {
            spare.push(outcome.take_in(&mut lines_before, &mut intake, sink)?);
        }
    };
    // What was read before a failure comes before it.
    while let Some(outcome) = jobs.next()? {
        outcome.take_in(&mut lines_before, &mut intake, sink)?;
    }
    ended?;
    intake.finish()
}

/// What reads a block; its memory is used again.
#[derive(Debug, Default)]
struct Reader {
    block: Block,
    rows: Rows,
}

impl Reader {
    /// Reads the records of the block; needs nothing of the blocks before.
    fn read(self, is_first: bool, max_line_bytes: usize) -> Outcome {
        let Self { block, mut rows } = self;
        let mut found = Found::default();
        // The first that are found, as in an input without blocks.
        let mut keys = Keys::new();
        let mut end = None;
        let mut lines = 0;
        for mut line in block.lines() {
            lines += 1;
            if line.len() > max_line_bytes {
                end = Some(End::TooLarge);
                break;
            }
            if is_first && lines == 1 {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let read = read_line(line, &mut keys, &mut rows.columns);
            match rows.end_record(lines, line.len(), read, &mut found) {
                Ok(true) => keys.accept_record(),
                Ok(false) => {}
                Err(error) => {
                    end = Some(End::Failed(error));
                    break;
                }
            }
        }
        if let Err(error) = rows.hand_over(&mut found) {
            end = end.or(Some(End::Failed(error)));
        }
        Outcome { reader: Self { block, rows }, max_line_bytes, lines, keys, found, end }
    }
}

/// Why reading ended before the block.
#[derive(Debug)]
enum End {
    /// The last line that was counted exceeds the limit.
    TooLarge,
    Failed(DecodeError),
}

/// What became of the lines of a block.
#[derive(Debug)]
struct Outcome {
    reader: Reader,
    max_line_bytes: usize,
    /// Lines read.
    lines: u64,
    keys: Keys,
    found: Found,
    end: Option<End>,
}

impl Outcome {
    /// Takes it in behind the blocks before it, and gives the reader back.
    fn take_in<S: Sink>(
        self,
        lines_before: &mut u64,
        intake: &mut Intake<'_>,
        sink: &mut S,
    ) -> Result<Reader, DecodeError> {
        let Found { batches, refused, unlisted } = self.found;
        for (line, fault) in refused {
            intake.refuse(*lines_before + line, fault)?;
        }
        intake.report.rejected += unlisted;
        self.keys.report(&mut intake.report);
        for batch in batches {
            intake.hand_over(batch, sink)?;
        }
        *lines_before += self.lines;
        match self.end {
            None => Ok(self.reader),
            Some(End::Failed(error)) => Err(error),
            Some(End::TooLarge) => {
                Err(DecodeError::RecordTooLarge { line: *lines_before, limit_bytes: self.max_line_bytes })
            }
        }
    }
}

/// What is found in a block.
#[derive(Debug, Default)]
struct Found {
    batches: Vec<WireBatch>,
    /// The first bad records, by their line in the block. No more of them are listed in any answer.
    refused: Vec<(u64, Fault)>,
    /// Bad records beside those.
    unlisted: u64,
}

impl Taker for Found {
    fn take(&mut self, rows: WireBatch) -> Result<(), DecodeError> {
        self.batches.push(rows);
        Ok(())
    }

    fn refuse(&mut self, line: u64, fault: Fault) -> Result<(), DecodeError> {
        if self.refused.len() < MAX_LISTED_ERRORS {
            self.refused.push((line, fault));
        } else {
            self.unlisted += 1;
        }
        Ok(())
    }
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
