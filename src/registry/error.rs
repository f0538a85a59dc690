//! What can go wrong with the registry, told apart by what the caller can do.

use std::path::PathBuf;
use std::sync::Arc;

/// Failure of the registry itself; refusals of a table's rules have their own types beside the table.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file cannot be created or opened: look at the path and its permissions.
    #[error("cannot open the registry {}", path.display())]
    Open {
        /// The registry's file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The data is newer than this program or not ours: use the program that wrote it.
    #[error(
        "the registry {} holds data format {found}, but this version of anomalake knows formats up to {supported}; use the version that wrote it",
        path.display()
    )]
    Format {
        /// The registry's file.
        path: PathBuf,
        /// The format found, or why there is none.
        found: String,
        /// The newest format that this program reads and the one it writes.
        supported: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error("cannot bring the registry to this version's data format")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A statement failed. Inside a write, that write alone was rolled back.
    #[error("registry statement failed")]
    Database(#[from] sqlx::Error),
    /// The transaction that held this write and others did not commit: none of them is visible. After a
    /// failed sync the same write may still turn up after a crash, so repeat only what can be repeated.
    #[error("registry transaction failed and was rolled back")]
    Commit(#[source] Arc<sqlx::Error>),
    /// A write panicked and was rolled back.
    #[error("registry write panicked: {0}")]
    Panicked(String),
    /// The registry was closed before the write was taken: nothing was written.
    #[error("the registry is closed")]
    Closed,
    /// The writer ended without an answer, as when the process shuts down in mid-write: the write may or may
    /// not have been committed.
    #[error("the registry ended before it answered; the write may or may not be stored")]
    Lost,
}
