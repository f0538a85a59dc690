//! Formats: one file per format and direction. Decoders turn bytes into record batches, encoders turn record batches
//! into the bytes of an answer.

pub mod arrow_out;
pub mod columns;
pub mod compress;
mod conform;
pub mod input;
pub mod json_out;
mod json_rows;
pub mod ndjson_out;
pub mod output;
pub mod parquet_out;
mod plain;
pub mod rfc_csv;
#[cfg(test)]
mod testing;
pub mod wire_csv;

use std::error::Error;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

/// Why batches cannot be encoded. All are faults of the program, not of the data.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The format has no text for this type; cast or leave out the column.
    #[error("column `{column}` has type {data_type}, which {format} cannot write")]
    UnsupportedType {
        /// Name of the column.
        column: String,
        /// Its type.
        data_type: DataType,
        /// The format, for people.
        format: &'static str,
    },
    /// A batch does not have the columns the encoder was made for; project it first.
    #[error("batch has {found} where the encoder expects {expected}")]
    UnexpectedBatch {
        /// Column or number of columns the encoder was made for.
        expected: String,
        /// What the batch has in its place.
        found: String,
    },
    /// The library that writes the format refused.
    #[error("{format} could not be written")]
    Writer {
        /// The format, for people.
        format: &'static str,
        /// What the library said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl EncodeError {
    fn writer(format: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Writer { format, source: source.into() }
    }
}

/// Turns the batches of one answer into bytes: `begin`, then `encode` for every batch, then `finish`.
///
/// Bytes are appended to `out`, and nothing refers to bytes appended earlier: a caller may hand `out`
/// away between two calls, for example as one chunk of an HTTP body (`Bytes::from` takes it without a copy),
/// and go on with an empty one. After an error what was appended in that call is to be thrown away.
pub trait BatchEncoder: Send {
    /// Media type of the answer.
    fn content_type(&self) -> &'static str;

    /// Appends what comes before the first row, such as a header line.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends rows of `batch` from row `start` on, until about `out.len() >= limit` or the batch ends, and returns
    /// the first row not taken. If a row is left at least one is taken, so that a loop always ends.
    ///
    /// Formats of lines exceed `limit` by the last row at most; Arrow and Parquet write in units of many rows.
    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, EncodeError>;

    /// Appends what comes after the last row.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}
