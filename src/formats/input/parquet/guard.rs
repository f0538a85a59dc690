//! Bounds on what the pages of a file inflate to, checked before they do.
//!
//! A page's header states its size after decompression and the reader reserves that, so a small
//! file can claim gigabytes. The reader offers no hook there, but it reads each header through its
//! input: this input follows the bytes it hands out and refuses in time.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};

use crate::formats::input::error::DecodeError;

/// Largest page after decompression, in bytes. Writers aim at 1 MiB, some at 100 MB.
const MAX_PAGE_BYTES: u64 = 256 << 20;

/// Largest sum of the pages that one batch may open, in bytes, after decompression.
const MAX_BATCH_PAGE_BYTES: u64 = 1 << 30;

/// Largest compressed page where decompression does not stop at the stated size. gzip and LZ4
/// frames end at 1032:1 and 255:1, which makes this a bound too.
const MAX_UNBOUNDED_PAGE_BYTES: u64 = 1 << 20;

/// What an error is about.
pub(super) const WHAT: &str = "parquet file";

pub(super) fn corrupt(error: ParquetError) -> DecodeError {
    DecodeError::Corrupt { what: WHAT, source: Box::new(error) }
}

/// An input whose page headers are checked while they are read.
pub(super) struct Guarded<F> {
    input: F,
    guard: Guard,
}

impl<F> Guarded<F> {
    pub(super) fn new(input: F, metadata: &ParquetMetaData, max_inflated_bytes: u64) -> Self {
        let chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
        let bounded = |codec| {
            matches!(
                codec,
                Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) | Compression::LZ4_RAW
            )
        };
        let all_bounded = chunks.map(ColumnChunkMetaData::compression).all(bounded);
        let max_stored_page_bytes = if all_bounded { u64::MAX } else { MAX_UNBOUNDED_PAGE_BYTES };
        let guard = Guard { state: Arc::default(), max_inflated_bytes, max_stored_page_bytes };
        Self { input, guard }
    }

    pub(super) fn guard(&self) -> Guard {
        self.guard.clone()
    }
}

impl<F: Length> Length for Guarded<F> {
    fn len(&self) -> u64 {
        self.input.len()
    }
}

impl<F: ChunkReader> ChunkReader for Guarded<F> {
    type T = HeaderReader<F::T>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(HeaderReader { inner: self.input.get_read(start)?, sizes: Sizes::default(), guard: self.guard.clone() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.input.get_bytes(start, length)
    }
}

/// Counts pages and remembers why it refused one.
#[derive(Clone)]
pub(super) struct Guard {
    state: Arc<Mutex<State>>,
    max_inflated_bytes: u64,
    max_stored_page_bytes: u64,
}

#[derive(Default)]
struct State {
    total_bytes: u64,
    batch_bytes: u64,
    refusal: Option<DecodeError>,
}

impl Guard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader is about to make another batch.
    pub(super) fn begin_batch(&self) {
        self.state().batch_bytes = 0;
    }

    /// What lies behind an error of the reader: a refusal, or a corrupt file.
    pub(super) fn explain(&self, error: ArrowError) -> DecodeError {
        let corrupt = DecodeError::Corrupt { what: WHAT, source: Box::new(error) };
        self.state().refusal.take().unwrap_or(corrupt)
    }

    fn check(&self, inflated: u64, stored: u64) -> io::Result<()> {
        let mut state = self.state();
        state.total_bytes += inflated;
        state.batch_bytes += inflated;
        let limit_bytes = if state.total_bytes > self.max_inflated_bytes {
            self.max_inflated_bytes
        } else if state.batch_bytes > MAX_BATCH_PAGE_BYTES {
            MAX_BATCH_PAGE_BYTES
        } else if inflated > MAX_PAGE_BYTES {
            MAX_PAGE_BYTES
        } else if stored > self.max_stored_page_bytes {
            self.max_stored_page_bytes
        } else {
            return Ok(());
        };
        state.refusal = Some(DecodeError::TooLarge { limit_bytes });
        Err(io::Error::new(io::ErrorKind::InvalidData, "page too large"))
    }
}

/// Follows the bytes of a page header.
pub(super) struct HeaderReader<R> {
    inner: R,
    sizes: Sizes,
    guard: Guard,
}

impl<R: Read> Read for HeaderReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        for byte in &buf[..n] {
            if let Some((inflated, stored)) = self.sizes.follow(*byte)? {
                self.guard.check(inflated, stored)?;
            }
        }
        Ok(n)
    }
}

/// The first three fields of a page header in Thrift's compact protocol, all of type i32: page
/// type, inflated size, stored size. A field starts with 0x15 (one after the last field, i32),
/// then a zigzag number in groups of seven bits. All writers emit the fields in this order.
#[derive(Default)]
struct Sizes {
    /// Fields read; three end it.
    fields: usize,
    in_number: bool,
    bits: u32,
    number: u64,
    inflated: u64,
}

const NEXT_FIELD_I32: u8 = 0x15;

impl Sizes {
    fn follow(&mut self, byte: u8) -> io::Result<Option<(u64, u64)>> {
        let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "unreadable page header");
        if self.fields == 3 {
            return Ok(None);
        }
        if !self.in_number {
            self.in_number = true;
            return if byte == NEXT_FIELD_I32 { Ok(None) } else { Err(unreadable()) };
        }
        if self.bits >= 35 {
            return Err(unreadable());
        }
        self.number |= u64::from(byte & 0x7F) << self.bits;
        self.bits += 7;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        // Zigzag: an odd number is negative, which no size is.
        if self.number & 1 == 1 {
            return Err(unreadable());
        }
        let number = std::mem::take(&mut self.number) >> 1;
        self.fields += 1;
        self.bits = 0;
        self.in_number = false;
        if self.fields == 3 {
            return Ok(Some((self.inflated, number)));
        }
        self.inflated = number;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(header: &[u8]) -> io::Result<Option<(u64, u64)>> {
        let mut sizes = Sizes::default();
        for byte in header {
            if let found @ Some(_) = sizes.follow(*byte)? {
                return Ok(found);
            }
        }
        Ok(None)
    }

    #[test]
    fn sizes_of_a_header() {
        // Page type 0, inflated 300, stored 5.
        assert_eq!(sizes(&[0x15, 0, 0x15, 0xD8, 0x04, 0x15, 0x0A, 0x2C]).unwrap(), Some((300, 5)));
        assert_eq!(sizes(&[0x15, 0, 0x15, 0xD8]).unwrap(), None);
        assert!(sizes(&[0x15, 0, 0x15, 0x01]).is_err(), "negative");
        assert!(sizes(&[0x18, 0]).is_err(), "another type");
        assert!(sizes(&[0x15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]).is_err(), "endless");
    }

    #[test]
    fn each_bound_holds() {
        let guard = |max_inflated_bytes| Guard {
            state: Arc::default(),
            max_inflated_bytes,
            max_stored_page_bytes: MAX_UNBOUNDED_PAGE_BYTES,
        };
        let roomy = guard(u64::MAX);
        assert!(roomy.check(MAX_PAGE_BYTES + 1, 1).is_err());
        assert!(roomy.check(1, MAX_UNBOUNDED_PAGE_BYTES + 1).is_err());
        roomy.begin_batch();
        for _ in 0..MAX_BATCH_PAGE_BYTES / MAX_PAGE_BYTES {
            roomy.check(MAX_PAGE_BYTES, 1).unwrap();
        }
        assert!(roomy.check(1, 1).is_err());
        roomy.begin_batch();
        roomy.check(1, 1).unwrap();
        let tight = guard(10);
        tight.check(10, 1).unwrap();
        tight.begin_batch();
        assert!(tight.check(1, 1).is_err());
        let error = tight.explain(ArrowError::ParquetError("x".to_owned()));
        assert!(matches!(error, DecodeError::TooLarge { limit_bytes: 10 }));
    }
}
