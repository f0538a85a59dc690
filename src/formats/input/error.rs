//! Why an input could not be decoded.

use std::error::Error;
use std::io;

use arrow::error::ArrowError;

use super::decompress::InflateError;
use super::report::RecordError;

/// The receiver of the batches has gone away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the receiver of the decoded batches has gone away")]
pub struct SinkClosed;

/// The bad records of an input that was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The first bad records, at most 20.
    pub errors: Vec<RecordError>,
    /// Bad records seen.
    pub rejected: u64,
    /// Reading stopped here, so there may be more.
    pub stopped_early: bool,
}

/// Why an input could not be decoded. Batches handed to the sink before are to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No record at all: the caller forgot the input.
    #[error("the input holds no records")]
    Empty,
    /// Bad records under `OnError::Reject`: the caller mends them, or asks to skip them.
    #[error("{} bad records{}; the first: {}", .0.rejected, if .0.stopped_early { " or more" } else { "" },
        .0.errors.first().map(ToString::to_string).unwrap_or_default())]
    Rejected(Rejection),
    /// One record exceeds the limit, or is no record at all: the caller splits or drops it.
    #[error("the record at line {line} exceeds {limit_bytes} bytes")]
    RecordTooLarge {
        /// Line or row, from 1.
        line: u64,
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The inflated input exceeds the limit: the caller sends it in parts.
    #[error("the input exceeds {limit_bytes} bytes after decompression")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The input inflates like no real log: the caller sends it with less compression, or not at all.
    #[error("the input inflates to more than {limit} times its size")]
    Bomb {
        /// Largest accepted ratio of inflated to compressed bytes.
        limit: u64,
    },
    /// A record batch or its dictionaries are too large to hold: the caller writes smaller batches.
    #[error("a record batch exceeds {limit_rows} rows or {limit_bytes} bytes")]
    BatchTooLarge {
        /// Most rows of a record batch.
        limit_rows: u64,
        /// Most bytes of a record batch and of all dictionaries, after decompression.
        limit_bytes: u64,
    },
    /// Not what it claims to be, or damaged: the caller makes it anew.
    #[error("the {what} is corrupt or cut off: {source}")]
    Corrupt {
        /// What could not be read, for example `gzip stream`.
        what: &'static str,
        /// What its reader said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A column that no row of the file can be right in: the caller changes the column.
    #[error("column `{column}`: {reason}")]
    Column {
        /// Name of the column.
        column: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The bytes stopped coming: the caller went away or a disk failed.
    #[error("the input could not be read to its end: {0}")]
    Read(#[source] io::Error),
    /// The temporary file could not be written: the operator makes room.
    #[error("the temporary file of the input could not be written: {0}")]
    Spool(#[source] io::Error),
    /// The receiver of the batches went away, so nobody waits for an answer.
    #[error(transparent)]
    SinkClosed(#[from] SinkClosed),
    /// Whether records are repeats cannot be told: the operator looks after the lake.
    #[error("whether records are repeats cannot be told: {0}")]
    Repeats(#[source] Box<dyn Error + Send + Sync>),
    /// A batch did not come together: a fault of ours.
    #[error("decoded columns do not form a batch: {0}")]
    Batch(#[source] ArrowError),
}

impl From<InflateError> for DecodeError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLarge { limit_bytes } => Self::TooLarge { limit_bytes },
            InflateError::Bomb { limit } => Self::Bomb { limit },
            InflateError::Corrupt { what, source } => Self::Corrupt { what, source: Box::new(source) },
        }
    }
}

impl From<io::Error> for DecodeError {
    /// Finds the typed error that [`super::decompress::Decompress`] had to send through `Read`.
    fn from(error: io::Error) -> Self {
        error.downcast::<InflateError>().map_or_else(Self::Read, Self::from)
    }
}
