//! Decoders: bytes of an input to Arrow batches in the lake's schema.
//!
//! Everything here is synchronous over [`std::io::Read`] and belongs on a CPU thread. An input
//! passes, from the outside in, [`channel_reader`] (bytes from an async body), [`decompress`], and
//! one decoder: [`decode_ndjson`], [`decode_csv`], [`decode_arrow`] or [`decode_parquet`]. Decoders hand out batches while they read,
//! so an input may be far larger than memory; whoever receives them makes nothing visible before
//! the decoder has returned `Ok`.
//!
//! What a record may hold is the wire contract of the anomaly activities, section 3: the 56 columns
//! and `activityId`. Nothing is derived but `userCount`, `userKey` and the defaults of metrics.

mod arrow_ipc;
pub mod channel_reader;
mod columns;
mod complete;
mod convert;
mod csv;
pub mod decompress;
mod error;
mod format;
mod in_order;
mod intake;
pub(crate) mod json_records;
mod keys;
mod known;
mod line_blocks;
mod ndjson;
mod panics;
mod parquet;
mod persons;
mod plain_record;
mod record;
mod report;
mod rows;
mod table;

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::domain::tenant::TenantId;

pub use arrow_ipc::decode_arrow;
pub use csv::decode_csv;
pub use error::{DecodeError, Rejection, SinkClosed};
pub use format::{Format, Peek};
pub use in_order::Workers;
pub use known::KnownIds;
pub use ndjson::decode_ndjson;
pub use parquet::decode_parquet;
pub use report::{DecodeReport, MAX_LISTED_ERRORS, MAX_UNKNOWN_KEYS, OTHER_KEYS, RecordError};

// What decoders of other records than the lake's own build upon.
pub(crate) use columns::{ID_SLOT, SLOT_COUNT, TIME_SLOT, WireBatch, slot_name, slot_of, slot_type};
pub(crate) use csv::CsvObjects;
pub(crate) use in_order::InOrder;
#[cfg(test)]
pub(crate) use in_order::testing::Threads;
pub(crate) use intake::{Intake, check_time_stamp};
pub(crate) use record::reason_of;
pub(crate) use report::{Fault, excerpt};

/// Largest record by default, in bytes: 1 MiB.
pub const DEFAULT_MAX_RECORD_BYTES: usize = 1 << 20;

/// Largest inflated input by default, in bytes: 16 GiB.
pub const DEFAULT_MAX_INFLATED_BYTES: u64 = 16 << 30;

/// Name of the source whose records are in the lake's own columns already.
pub const NATIVE_SOURCE: &str = "activities";

/// Most rows of a batch.
pub const MAX_BATCH_ROWS: usize = 16_384;

/// Bytes of values after which a batch ends. The last record may exceed it.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// What a bad record does to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Nothing of the input is stored; reading stops at the 20th bad record.
    #[default]
    Reject,
    /// The bad record is left out and reported.
    Skip,
}

/// How to decode one input.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// Whose activities these are; fills `tenantId` whatever the input says.
    pub tenant: TenantId,
    /// What a bad record does to the others.
    pub on_error: OnError,
    /// Fills `source`.
    pub source: String,
    /// Fills `ingestedAt` and the time part of generated ids, in ms since epoch, UTC.
    pub ingested_at_ms: i64,
    /// Largest record, in bytes: its text in NDJSON or CSV, or the texts of a row of Parquet or Arrow. Default
    /// [`DEFAULT_MAX_RECORD_BYTES`].
    pub max_record_bytes: usize,
    /// Largest input after decompression, in bytes. [`decode_parquet`] and [`decode_arrow`] apply it to what they
    /// inflate within; give it to [`decompress::Decompress::new`] too. Default
    /// [`DEFAULT_MAX_INFLATED_BYTES`].
    pub max_inflated_bytes: u64,
    /// Tells repeats, which are left out. Default none: every record is new.
    pub known_ids: Option<Arc<dyn KnownIds>>,
    /// Read the parts of an input beside each other. Default none: the caller's thread reads it all.
    pub workers: Option<Arc<dyn Workers>>,
}

impl DecodeOptions {
    /// Options of the native source: reject on error, default limits.
    #[must_use]
    pub fn new(tenant: TenantId, ingested_at_ms: i64) -> Self {
        Self {
            tenant,
            on_error: OnError::default(),
            source: NATIVE_SOURCE.to_owned(),
            ingested_at_ms,
            max_record_bytes: DEFAULT_MAX_RECORD_BYTES,
            max_inflated_bytes: DEFAULT_MAX_INFLATED_BYTES,
            known_ids: None,
            workers: None,
        }
    }
}

/// Receives the decoded batches, in input order; it blocks while its queue is full.
pub trait Sink: FnMut(RecordBatch) -> Result<(), SinkClosed> {}

impl<F: FnMut(RecordBatch) -> Result<(), SinkClosed>> Sink for F {}

#[cfg(test)]
mod tests;
