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
    /// The table may not grow to what it would with this write; nothing was stored.
    #[error("the activities would grow to {wanted_bytes} bytes where {max_bytes} are allowed")]
    OverQuota {
        /// Size of the table's live files with this write, in bytes; in a group of small writes with all of them.
        wanted_bytes: u64,
        /// Largest size that the caller allowed, in bytes.
        max_bytes: u64,
    },
    /// A file that was to be replaced is no longer live; nothing was changed. Plan anew.
    #[error("the file {path} was replaced meanwhile; nothing was changed")]
    Superseded {
        /// Path of the file, below the table's folder.
        path: String,
    },
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

impl LakeError {
    /// Says of a failure before anything was committed that nothing was stored, with the failure as cause.
    #[must_use]
    pub fn not_stored(self) -> Self {
        match self {
            told @ (Self::Busy { .. } | Self::OverQuota { .. } | Self::Superseded { .. } | Self::NotStored(_)) => told,
            other => Self::NotStored(Box::new(other)),
        }
    }
}
