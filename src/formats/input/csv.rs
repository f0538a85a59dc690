//! CSV with a header line: RFC 4180, and with it the wire dialect.

mod objects;
mod records;

use std::collections::BTreeSet;
use std::io::Read;

use self::records::{Records, cells};
use super::columns::{Column, Columns, TIME_SLOT, Texts, slot_of};
use super::error::DecodeError;
use super::intake::Intake;
use super::record::Cells;
use super::report::{DecodeReport, Fault, excerpt};
use super::rows::{AtOnce, Rows};
use super::table::{given_twice, no_time_stamp};
use super::{DecodeOptions, Sink};

pub(crate) use self::objects::CsvObjects;

/// Decodes inflated CSV and hands the batches to the sink in input order.
///
/// The first line names the columns; other names than the known are counted, once a row. An empty cell is null, quoted
/// or not. A cell of another type than text is what JSON has for it, an integer may be written as a float that stands
/// for it exactly. The line of a record is the first of its lines; blank lines are skipped, and a byte order mark
/// is tolerated.
///
/// # Errors
/// [`DecodeError`]; with `OnError::Reject` any bad record ends in [`DecodeError::Rejected`]. A record beyond the size
/// limit ends every input.
pub fn decode_csv<R: Read, S: Sink>(
    input: R,
    options: &DecodeOptions,
    sink: &mut S,
) -> Result<DecodeReport, DecodeError> {
    let mut records = Records::new(input, options.max_record_bytes);
    let Some((_, header)) = records.next()? else { return Err(DecodeError::Empty) };
    let header = Header::read(header)?;
    let mut intake = Intake::new(options)?;
    let mut rows = Rows::default();
    let mut taker = AtOnce { intake: &mut intake, sink };
    while let Some((line, record)) = records.next()? {
        let read = read_record(record, &header, &mut rows.columns);
        rows.end_record(line, record.len(), read, &mut taker)?;
    }
    rows.hand_over(&mut taker)?;
    let mut report = intake.finish()?;
    for name in header.unknown() {
        report.count_unknown(name, report.accepted);
    }
    Ok(report)
}

/// Names of the columns, and the slots of those that are stored.
struct Header(Vec<(String, Option<usize>)>);

impl Header {
    fn read(record: &[u8]) -> Result<Self, DecodeError> {
        let mut columns = Vec::new();
        let read = text(record).and_then(|record| {
            cells(record, |_, name| {
                columns.push((name.to_owned(), slot_of(name)));
                Ok(())
            })
        });
        read.map_err(|fault| DecodeError::Corrupt { what: "csv header", source: fault.reason.into() })?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = columns.iter().filter_map(|(_, slot)| *slot).find(|slot| !seen.insert(*slot)) {
            return Err(given_twice(twice));
        }
        if seen.contains(&TIME_SLOT) { Ok(Self(columns)) } else { Err(no_time_stamp()) }
    }

    fn unknown(&self) -> BTreeSet<&str> {
        self.0.iter().filter(|(_, slot)| slot.is_none()).map(|(name, _)| name.as_str()).collect()
    }
}

fn text(record: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(record)
        .map_err(|error| Fault::of_record(format!("invalid utf-8 after byte {}", error.valid_up_to())))
}

/// Writes the cells of one record into the row at hand. On a fault the row is half written.
fn read_record(record: &[u8], header: &Header, columns: &mut Columns) -> Result<(), Fault> {
    let row = columns.rows();
    let found = cells(text(record)?, |place, cell| match header.0.get(place) {
        Some((name, Some(slot))) if !cell.is_empty() => {
            write_cell(columns.column(*slot), row, cell).map_err(|reason| Fault::of_field(name, reason))
        }
        _ => Ok(()),
    })?;
    let expected = header.0.len();
    if found == expected {
        Ok(())
    } else {
        Err(Fault::of_record(format!("expected {expected} cells as the header has, not {found}")))
    }
}

fn write_cell(column: &mut Column, row: usize, text: &str) -> Result<(), String> {
    match column {
        Column::Int(cells) => write_scalar(cells, row, text),
        Column::Float(cells) => write_scalar(cells, row, text),
        Column::Bool(cells) => write_scalar(cells, row, text),
        Column::Text(cells) => taken::<Texts>(cells.text(row, text), text),
    }
}

fn write_scalar<C: Cells>(cells: &mut C, row: usize, text: &str) -> Result<(), String> {
    let done = match text {
        "true" => cells.boolean(row, true),
        "false" => cells.boolean(row, false),
        _ => write_number(cells, row, text).unwrap_or(false),
    };
    taken::<C>(done, text)
}

/// A number as JSON has it: no plus sign, no white space, no leading zero, no infinity.
fn write_number<C: Cells>(cells: &mut C, row: usize, text: &str) -> Option<bool> {
    // The parser skips white space around a number.
    let bytes = text.as_bytes();
    if !(bytes.last()?.is_ascii_digit() && matches!(bytes.first()?, b'-' | b'0'..=b'9')) {
        return None;
    }
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    Some(match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => cells.integer(row, integer),
        (None, Some(float)) => cells.float(row, float),
        (None, None) => false,
    })
}

fn taken<C: Cells>(taken: bool, text: &str) -> Result<(), String> {
    if taken { Ok(()) } else { Err(format!("expected {}, not \"{}\"", C::EXPECTED, excerpt(text))) }
}
