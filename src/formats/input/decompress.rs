//! Inflating with bounds: gzip of many members, zstd of many frames, or nothing.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::str::FromStr;

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::format::Peek;

/// Largest ratio of inflated to compressed bytes, once [`RATIO_FREE_BYTES`] are out.
///
/// Measured on activity records as gzip and zstd: 39:1 and 55:1 with random ids, 104:1 and 216:1
/// when only the time differs, 143:1 and 870:1 for one line with a counter, the most repetitive log
/// there is. Deflate ends at 1032:1, reached by runs of one byte only; zstd bombs go far beyond.
pub const MAX_RATIO: u64 = 1_000;

/// Inflated bytes before the ratio counts: a small input of one repeated line is harmless.
pub const RATIO_FREE_BYTES: u64 = 64 << 20;

/// Largest zstd window, as a power of two: 8 MiB, what RFC 9659 allows in HTTP and what all levels
/// below `--ultra` stay within. It bounds the memory that a frame's header can claim.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const BUFFER_BYTES: usize = 64 << 10;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Last three bytes of a skippable frame's magic number, whose first byte is 0x50 to 0x5F.
const ZSTD_SKIPPABLE_MAGIC: [u8; 3] = [0x2A, 0x4D, 0x18];

/// How an input is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEncoding {
    /// Whatever the first bytes say.
    Detect,
    /// Not at all.
    Identity,
    /// gzip, one or more members.
    Gzip,
    /// zstd, one or more frames.
    Zstd,
}

/// A text that names no encoding we have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown content encoding `{0}`; known are gzip, zstd, identity")]
pub struct UnknownEncoding(String);

impl FromStr for ContentEncoding {
    type Err = UnknownEncoding;

    /// The value of a `Content-Encoding` header with one coding.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "identity" | "" => Ok(Self::Identity),
            _ => Err(UnknownEncoding(text.chars().take(80).collect())),
        }
    }
}

impl ContentEncoding {
    /// The encoding of an input that starts with these bytes; four suffice.
    #[must_use]
    pub fn of_content(head: &[u8]) -> Self {
        let skippable = matches!(head, [0x50..=0x5F, rest @ ..] if rest.starts_with(&ZSTD_SKIPPABLE_MAGIC));
        if head.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if head.starts_with(&ZSTD_MAGIC) || skippable {
            Self::Zstd
        } else {
            Self::Identity
        }
    }
}

/// Why inflating stopped. It travels inside an [`io::Error`]; `DecodeError::from` takes it out.
#[derive(Debug, thiserror::Error)]
pub enum InflateError {
    /// More bytes came out than allowed.
    #[error("more than {limit_bytes} bytes after decompression")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// Far more bytes came out than went in.
    #[error("inflates to more than {limit} times its size")]
    Bomb {
        /// Largest accepted ratio.
        limit: u64,
    },
    /// Damaged, cut off, or followed by something else.
    #[error("corrupt {what}: {source}")]
    Corrupt {
        /// `gzip stream` or `zstd stream`.
        what: &'static str,
        /// What the decompressor said.
        source: io::Error,
    },
}

/// A reader of inflated bytes, bounded in total and in ratio.
pub struct Decompress<R: Read> {
    stream: Stream<R>,
    bytes_out: u64,
    max_bytes_out: u64,
}

enum Stream<R: Read> {
    Identity(Source<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Source<R>>>>),
    Zstd(Box<ZstdDecoder<'static, BufReader<Source<R>>>>),
}

impl<R: Read> fmt::Debug for Decompress<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompress")
            .field("encoding", &self.encoding())
            .field("bytes_in", &self.bytes_in())
            .field("bytes_out", &self.bytes_out)
            .field("max_bytes_out", &self.max_bytes_out)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Decompress<R> {
    /// Starts inflating, after a look at the first bytes. An input of no bytes inflates to none
    /// whatever its encoding. `max_bytes_out` bounds all encodings, also none.
    ///
    /// # Errors
    /// Those of the reader, and zstd's when it cannot start.
    pub fn new(inner: R, encoding: ContentEncoding, max_bytes_out: u64) -> io::Result<Self> {
        let inner = Peek::new(inner)?;
        let encoding = match encoding {
            _ if inner.head().is_empty() => ContentEncoding::Identity,
            ContentEncoding::Detect => ContentEncoding::of_content(inner.head()),
            given => given,
        };
        let source = Source { inner, bytes: 0, failure: None };
        let stream = match encoding {
            ContentEncoding::Gzip => {
                Stream::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, source))))
            }
            ContentEncoding::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, source))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Stream::Zstd(Box::new(decoder))
            }
            ContentEncoding::Identity | ContentEncoding::Detect => Stream::Identity(source),
        };
        Ok(Self { stream, bytes_out: 0, max_bytes_out })
    }

    /// The encoding found or given.
    pub fn encoding(&self) -> ContentEncoding {
        match self.stream {
            Stream::Identity(_) => ContentEncoding::Identity,
            Stream::Gzip(_) => ContentEncoding::Gzip,
            Stream::Zstd(_) => ContentEncoding::Zstd,
        }
    }

    /// Compressed bytes used so far.
    pub fn bytes_in(&self) -> u64 {
        let used = |reader: &BufReader<Source<R>>| reader.get_ref().bytes - reader.buffer().len() as u64;
        match &self.stream {
            Stream::Identity(source) => source.bytes,
            Stream::Gzip(decoder) => used(decoder.get_ref()),
            Stream::Zstd(decoder) => used(decoder.get_ref()),
        }
    }

    /// Inflated bytes given so far.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// The reader's own error, or that of the decompressor on top of it.
    fn explain(&mut self, error: io::Error) -> io::Error {
        let (source, what) = match &mut self.stream {
            Stream::Identity(source) => return source.failure.take().unwrap_or(error),
            Stream::Gzip(decoder) => (decoder.get_mut().get_mut(), "gzip stream"),
            Stream::Zstd(decoder) => (decoder.get_mut().get_mut(), "zstd stream"),
        };
        match source.failure.take() {
            Some(failure) => failure,
            None => invalid(InflateError::Corrupt { what, source: error }),
        }
    }
}

fn invalid(error: InflateError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<R: Read> Read for Decompress<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Identity(source) => source.read(buf),
            Stream::Gzip(decoder) => decoder.read(buf),
            Stream::Zstd(decoder) => decoder.read(buf),
        };
        let n = match read {
            Ok(n) => n,
            Err(error) => return Err(self.explain(error)),
        };
        self.bytes_out += n as u64;
        if self.bytes_out > self.max_bytes_out {
            return Err(invalid(InflateError::TooLarge { limit_bytes: self.max_bytes_out }));
        }
        if self.bytes_out > RATIO_FREE_BYTES && self.bytes_out / MAX_RATIO > self.bytes_in() {
            return Err(invalid(InflateError::Bomb { limit: MAX_RATIO }));
        }
        Ok(n)
    }
}

/// Counts what the decompressor takes and keeps the reader's own error, which decompressors return
/// indistinguishably from their own.
struct Source<R> {
    inner: Peek<R>,
    bytes: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buf) {
                Ok(n) => {
                    self.bytes += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
            }
        }
    }
}
