//! What can go wrong in the lake, sorted by what the caller can do.

use std::time::Duration;

use deltalake::DeltaTableError;

/// A cause from outside the lake.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Failure of a lake operation.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Too much is queued for this table; nothing was stored. Try again later.
    #[error("the write queue of this tenant is full")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The writer stopped while the write was under way: it may or may not have been stored.
    /// Repeating it with the same idempotency key is safe.
    #[error("the write was interrupted; whether it was stored is decided when the table is opened again")]
    Interrupted(#[source] Cause),
    /// Nothing was stored.
    #[error("the lake refused the write; nothing was stored")]
    NotStored(#[source] Cause),
    /// The Delta table could not be read or written.
    #[error("the activities table could not be used")]
    Delta(#[from] DeltaTableError),
    /// The storage below failed.
    #[error("the lake's storage failed")]
    Storage(#[from] object_store::Error),
    /// Parquet could not be read or written.
    #[error("a parquet file could not be used")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Batches could not be put together.
    #[error("record batches could not be put together")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The local file system failed.
    #[error("the lake's file system failed")]
    Io(#[from] std::io::Error),
    /// A background task of ours ended abnormally.
    #[error("a background task ended abnormally")]
    Task(#[from] tokio::task::JoinError),
    /// A file does not hold what the registry says of it: the lake was damaged from outside.
    #[error("the lake contradicts itself: {0}")]
    Inconsistent(String),
    /// The table's address could not be formed.
    #[error("the table's address could not be formed")]
    Url(#[from] url::ParseError),
}
