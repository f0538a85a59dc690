//! Lines of a bounded length.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use memchr::memchr;

use super::error::DecodeError;

const BUFFER_BYTES: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits at LF, takes a CR before it for part of the line's end, and never holds more than one
/// line of the limit.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// Bytes of the reader's buffer that are the line given last.
    given: usize,
    /// A line that lies in more than one buffer.
    line: Vec<u8>,
    number: u64,
    max_line_bytes: usize,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, max_line_bytes: usize) -> Self {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        Self { reader, given: 0, line: Vec::new(), number: 0, max_line_bytes }
    }

    /// The next line and its number from 1, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &[u8])>, DecodeError> {
        self.reader.consume(std::mem::take(&mut self.given));
        self.line.clear();
        let line = if let Some(end) = self.end_in_buffer()? {
            self.given = end + 1;
            &self.reader.buffer()[..end]
        } else {
            let most = self.max_line_bytes as u64 + 2;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.line);
            if read.map_err(DecodeError::from)? == 0 {
                return Ok(None);
            }
            self.line.strip_suffix(b"\n").unwrap_or(&self.line)
        };
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > self.max_line_bytes {
            return Err(DecodeError::RecordTooLarge { line: self.number, limit_bytes: self.max_line_bytes });
        }
        let line = if self.number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        Ok(Some((self.number, line)))
    }

    /// Where the next line ends in the reader's buffer; none when the buffer ends first.
    fn end_in_buffer(&mut self) -> Result<Option<usize>, DecodeError> {
        loop {
            match self.reader.fill_buf() {
                Ok(buffer) => return Ok(memchr(b'\n', buffer)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
