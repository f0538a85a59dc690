//! Telling formats apart by content.

use std::io::{self, Read};

/// First and last bytes of an Arrow file.
pub(super) const ARROW_FILE_MAGIC: &[u8] = b"ARROW1";

/// First bytes of a message of an Arrow stream.
pub(super) const ARROW_CONTINUATION: [u8; 4] = [0xFF; 4];

/// Bytes that [`Peek`] reads ahead.
const HEAD_BYTES: usize = 8;

/// Formats of activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// CSV with a header line; content never tells it.
    Csv,
    /// Arrow IPC, stream or file.
    Arrow,
}

impl Format {
    /// The format of an (inflated) input that starts with these bytes; six suffice.
    #[must_use]
    pub fn of_content(head: &[u8]) -> Self {
        if head.starts_with(b"PAR1") {
            Self::Parquet
        } else if head.starts_with(ARROW_FILE_MAGIC) || head.starts_with(&ARROW_CONTINUATION) {
            Self::Arrow
        } else {
            Self::Ndjson
        }
    }
}

/// A reader whose first eight bytes can be looked at before it is read.
#[derive(Debug)]
pub struct Peek<R> {
    head: [u8; HEAD_BYTES],
    len: usize,
    given: usize,
    inner: R,
}

impl<R: Read> Peek<R> {
    /// Reads the first bytes.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn new(mut inner: R) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        let mut len = 0;
        while len < head.len() {
            match inner.read(&mut head[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { head, len, given: 0, inner })
    }

    /// The first bytes: eight, or all of a shorter input.
    pub fn head(&self) -> &[u8] {
        &self.head[..self.len]
    }

    /// Ends the peeking; bytes not yet read from the head are lost.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Peek<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.head[self.given..self.len];
        if rest.is_empty() {
            return self.inner.read(buf);
        }
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.given += n;
        Ok(n)
    }
}
