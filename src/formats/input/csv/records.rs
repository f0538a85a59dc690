//! Records of CSV and their cells, by the letter of RFC 4180.
//!
//! Not by the `csv` crate: it takes a quote that is never closed, and text after a closing quote, for good. An input
//! that was cut off in a quoted cell would look whole.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use crate::formats::input::error::DecodeError;
use crate::formats::input::report::Fault;

const BUFFER_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Longest end of a record, CR LF.
const MAX_END_BYTES: usize = 2;

/// Splits at each LF outside quotes, takes a CR before it for part of the record's end, and never holds more
/// than one record of the limit.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: BufReader<R>,
    record: Vec<u8>,
    /// Lines read.
    lines: u64,
    max_record_bytes: usize,
}

impl<R: Read> Records<R> {
    pub(super) fn new(reader: R, max_record_bytes: usize) -> Self {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        Self { reader, record: Vec::new(), lines: 0, max_record_bytes }
    }

    /// The next record that is not blank and the number of its first line from 1, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, DecodeError> {
        loop {
            let line = self.lines + 1;
            if !self.read(line)? {
                return Ok(None);
            }
            if !self.text(line).is_empty() {
                return Ok(Some((line, self.text(line))));
            }
        }
    }

    /// Reads one record, blank or not; false at the end.
    fn read(&mut self, first_line: u64) -> Result<bool, DecodeError> {
        self.record.clear();
        let mut open = false;
        loop {
            let before = self.record.len();
            // One byte more than a record may have, so that it shows.
            let most = (self.max_record_bytes + MAX_END_BYTES + 1).saturating_sub(before);
            self.reader.by_ref().take(most as u64).read_until(b'\n', &mut self.record)?;
            let line = &self.record[before..];
            open = ends_open(line, open);
            let is_last = !line.ends_with(b"\n");
            self.lines += u64::from(!line.is_empty());
            if self.text(first_line).len() > self.max_record_bytes {
                return Err(DecodeError::RecordTooLarge { line: first_line, limit_bytes: self.max_record_bytes });
            }
            if is_last || !open {
                return Ok(!self.record.is_empty());
            }
        }
    }

    /// The record without its end.
    fn text(&self, first_line: u64) -> &[u8] {
        let text = self.record.strip_suffix(b"\n").unwrap_or(&self.record);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if first_line == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text }
    }
}

/// Whether a quoted cell goes on after the line; `open` says that one has come from the line before.
///
/// A quote opens only at the start of a cell: a stray one elsewhere spoils its record and not those after it.
fn ends_open(line: &[u8], mut open: bool) -> bool {
    let find = |byte: u8, from: usize| line[from..].iter().position(|found| *found == byte).map(|place| from + place);
    if !line.contains(&b'"') {
        return open;
    }
    let mut at = 0;
    loop {
        if !open && line.get(at) == Some(&b'"') {
            open = true;
            at += 1;
        }
        while open {
            match find(b'"', at) {
                None => return true,
                Some(quote) if line.get(quote + 1) == Some(&b'"') => at = quote + 2,
                Some(quote) => {
                    open = false;
                    at = quote + 1;
                }
            }
        }
        match find(b',', at) {
            None => return false,
            Some(comma) => at = comma + 1,
        }
    }
}

/// Calls `cell` with the place and the text of each cell of a record, and returns their number.
pub(super) fn cells(record: &str, mut cell: impl FnMut(usize, &str) -> Result<(), Fault>) -> Result<usize, Fault> {
    let mut rest = record;
    for place in 0.. {
        let (text, next) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted, place)?,
            None => bare_cell(rest, place)?,
        };
        cell(place, &text)?;
        match next {
            Some(next) => rest = next,
            None => return Ok(place + 1),
        }
    }
    Ok(0)
}

/// A cell, and what follows its comma, if there is one.
type Split<'r> = (Cow<'r, str>, Option<&'r str>);

fn bare_cell(rest: &str, place: usize) -> Result<Split<'_>, Fault> {
    let (text, next) = rest.split_once(',').map_or((rest, None), |(text, next)| (text, Some(next)));
    match text.bytes().find(|byte| matches!(byte, b'"' | b'\r')) {
        None => Ok((Cow::Borrowed(text), next)),
        Some(b'"') => Err(fault(place, "a quote within a cell that is not quoted")),
        Some(_) => Err(fault(place, "a carriage return within a cell that is not quoted")),
    }
}

/// `quoted` begins after the opening quote.
fn quoted_cell(quoted: &str, place: usize) -> Result<Split<'_>, Fault> {
    let bytes = quoted.as_bytes();
    let mut at = 0;
    let mut doubled = false;
    while let Some(quote) = bytes[at..].iter().position(|byte| *byte == b'"') {
        let end = at + quote;
        let text = || {
            let text = &quoted[..end];
            if doubled { Cow::Owned(text.replace("\"\"", "\"")) } else { Cow::Borrowed(text) }
        };
        match bytes.get(end + 1) {
            Some(b'"') => {
                doubled = true;
                at = end + 2;
            }
            Some(b',') => return Ok((text(), Some(&quoted[end + 2..]))),
            None => return Ok((text(), None)),
            Some(_) => return Err(fault(place, "text after the closing quote")),
        }
    }
    Err(fault(place, "a quoted cell without its closing quote"))
}

fn fault(place: usize, what: &str) -> Fault {
    Fault::of_record(format!("malformed csv: {what}, in cell {}", place + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &[u8], limit: usize) -> Result<Vec<(u64, Vec<u8>)>, DecodeError> {
        // Pieces of one byte cross every boundary of the reader.
        let mut records = Records { reader: BufReader::with_capacity(1, text), ..Records::new(text, limit) };
        let mut found = Vec::new();
        while let Some((line, record)) = records.next()? {
            found.push((line, record.to_vec()));
        }
        Ok(found)
    }

    fn split(record: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let count = cells(record, |place, cell| {
            assert_eq!(place, found.len());
            found.push(cell.to_owned());
            Ok(())
        });
        count.map_err(|fault| fault.reason).inspect(|count| assert_eq!(*count, found.len())).map(|_| found)
    }

    #[test]
    fn records_end_outside_quotes_and_know_their_first_line() {
        let text = "\u{FEFF}a,b\r\n\n\"1\n\n2\",\"x\"\"\ny\"\r\n\r\nlast,\"\"";
        let found = records(text.as_bytes(), 100).unwrap();
        let found: Vec<_> = found.iter().map(|(line, text)| (*line, str::from_utf8(text).unwrap())).collect();
        assert_eq!(found, [(1, "a,b"), (3, "\"1\n\n2\",\"x\"\"\ny\""), (8, "last,\"\"")]);
        assert!(records(b"", 100).unwrap().is_empty());
        assert!(records(b"\n\r\n", 100).unwrap().is_empty());
    }

    #[test]
    fn a_stray_quote_spoils_its_own_record_only() {
        for (text, expected) in [
            ("a\"b\nc", &["a\"b", "c"][..]),
            ("\"a\"b\"\nc", &["\"a\"b\"", "c"]),
            ("\"a\"\"\nb\"\nc", &["\"a\"\"\nb\"", "c"]),
            ("x\",\"a\nb,\"\nc", &["x\",\"a\nb,\"", "c"]),
            ("\"a\n,\"\n\"\",\"b\"\nc", &["\"a\n,\"", "\"\",\"b\"", "c"]),
        ] {
            let found = records(text.as_bytes(), 100).unwrap();
            let found: Vec<_> = found.iter().map(|(_, text)| str::from_utf8(text).unwrap()).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn records_are_bounded_over_all_their_lines() {
        for end in ["", "\n", "\r\n"] {
            for record in ["12345", "\"1\n2\""] {
                let text = format!("{record}{end}");
                assert_eq!(records(text.as_bytes(), 5).unwrap(), [(1, record.as_bytes().to_vec())]);
                let error = records(format!("x\n{text}").as_bytes(), 4).unwrap_err();
                assert!(matches!(error, DecodeError::RecordTooLarge { line: 2, limit_bytes: 4 }), "{error}");
            }
        }
        assert!(matches!(records(b"\"\n\n\n\n\n\n", 4), Err(DecodeError::RecordTooLarge { line: 1, .. })));
    }

    #[test]
    fn cells_of_the_rule() {
        let ok = |cells: &[&str]| Ok(cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        assert_eq!(split("a"), ok(&["a"]));
        assert_eq!(split(","), ok(&["", ""]));
        assert_eq!(split("a, b ,"), ok(&["a", " b ", ""]));
        assert_eq!(split("\"\",\"a,b\",\"\"\"\""), ok(&["", "a,b", "\""]));
        assert_eq!(split("\"a\r\n\"\"b\"\"\""), ok(&["a\r\n\"b\""]));
        for (record, what) in [
            ("a,b\"c", "a quote within a cell that is not quoted, in cell 2"),
            ("a\rb", "a carriage return within a cell that is not quoted, in cell 1"),
            ("\"a\"b,c", "text after the closing quote, in cell 1"),
            ("a,\"b", "a quoted cell without its closing quote, in cell 2"),
            ("\"a\"\"", "a quoted cell without its closing quote, in cell 1"),
        ] {
            assert_eq!(split(record), Err(format!("malformed csv: {what}")), "{record}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(prop::collection::vec("[a\",\r\né😀 ]{0,5}", 2..4), 1..5)) {
            let cell = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let line = |cells: &Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",");
            let text = rows.iter().map(line).collect::<Vec<_>>().join("\r\n");
            let found = records(text.as_bytes(), 1_000).unwrap();
            let found: Result<Vec<_>, _> = found.iter().map(|(_, text)| split(str::from_utf8(text).unwrap())).collect();
            prop_assert_eq!(found, Ok(rows));
        }
    }
}
