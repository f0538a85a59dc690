//! Telling formats apart by content.

use std::io::{self, Read};

/// Formats of activities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// The format of an (inflated) input that starts with these bytes; four suffice.
    #[must_use]
    pub fn of_content(head: &[u8]) -> Self {
        if head.starts_with(b"PAR1") { Self::Parquet } else { Self::Ndjson }
    }
}

/// A reader whose first four bytes can be looked at before it is read.
#[derive(Debug)]
pub struct Peek<R> {
    head: [u8; 4],
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
        let mut head = [0; 4];
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

    /// The first bytes: four, or all of a shorter input.
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
