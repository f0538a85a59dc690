//! Lines of a bounded length.

use std::io::{BufRead, BufReader, Read};

use super::error::DecodeError;

const BUFFER_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits at LF, takes a CR before it for part of the line's end, and never holds more than one
/// line of the limit.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    max_line_bytes: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, max_line_bytes: usize) -> Self {
        Self { reader: BufReader::with_capacity(BUFFER_BYTES, reader), line: Vec::new(), number: 0, max_line_bytes }
    }

    /// The next line and its number from 1, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, DecodeError> {
        self.line.clear();
        let most = self.max_line_bytes as u64 + 2;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.line).map_err(DecodeError::from)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line_bytes {
            return Err(DecodeError::RecordTooLarge { line: self.number, limit_bytes: self.max_line_bytes });
        }
        let line = if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some((self.number, line)))
    }
}
