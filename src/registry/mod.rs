//! Everything transactional, in one SQLite file: tenants, principals, anomalies, evidence, keys, audit.
//!
//! Reads go through a small pool, writes through one writer that groups them ([`Registry::write`]).
//! One file of functions per table; they take a connection, so a caller composes as many of them as it
//! wants into one transaction. Times are ms since epoch, UTC.
//!
//! Rule for two stores: the lake is made durable first, a registry transaction is the commit point.

pub mod anomalies;
pub mod anomaly_changes;
pub mod audit;
pub mod checks;
pub mod copy;
pub mod erasure;
mod error;
pub mod evidence;
#[cfg(test)]
mod evidence_tests;
pub mod exports;
#[cfg(test)]
mod exports_tests;
mod format;
pub mod idempotency;
pub mod incidents;
#[cfg(test)]
mod incidents_tests;
pub mod modified_clock;
mod name_mask;
pub mod roles;
mod rows;
pub mod sessions;
pub mod settings;
pub mod tenants;
#[cfg(test)]
pub(crate) mod testing;
pub mod tokens;
pub mod trusted_networks;
pub mod uci;
pub mod upkeep;
pub mod users;
mod writer;
#[cfg(test)]
mod writer_tests;
mod writes;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, SqlitePool};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use error::RegistryError;
pub use format::DATA_FORMAT;

use writer::{Counters, GroupLimits, Queue, Writer};

/// Connections that read at the same time; reads are look-ups by key, so a few serve many requests.
const READERS: u32 = 4;

/// Connections for reads of many rows. They are others than the readers, whom every request needs to know its caller:
/// a scan keeps its connection until SQLite is done with it, also when nobody waits for its rows any more.
const SCANNERS: u32 = 2;

/// What the writer has done since the registry was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterStats {
    /// Transactions committed.
    pub groups: u64,
    /// Writes in them, failed ones included.
    pub jobs: u64,
}

/// An open registry; clones share it.
#[derive(Clone)]
pub struct Registry {
    readers: SqlitePool,
    scanners: SqlitePool,
    queue: Queue,
    counters: Arc<Counters>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("stats", &self.writer_stats()).finish_non_exhaustive()
    }
}

impl Registry {
    /// Opens the registry's file, creating it (mode 0600) and migrating older data.
    ///
    /// The caller owns the data directory: two processes over one file would each believe to be the only
    /// writer. A crash at any step leaves a file that opens again: an empty file counts as new, and
    /// each migration is one transaction.
    ///
    /// # Errors
    /// [`RegistryError::Open`] when the file cannot be made, [`RegistryError::Format`] for data of a newer
    /// version or of another program (which is left untouched), else what SQLite said.
    pub async fn open(path: &Path) -> Result<Self, RegistryError> {
        Self::open_with(path, GroupLimits::default()).await
    }

    async fn open_with(path: &Path, limits: GroupLimits) -> Result<Self, RegistryError> {
        format::create_file(path).await?;
        format::check(path).await?;
        format::restrict(path).await?;
        let options = format::connect_options(path);
        let mut connection = options.connect().await?;
        format::migrate(&mut connection).await?;
        let counters = Arc::<Counters>::default();
        let (queue, writer) = Writer::new(connection, options.clone(), limits, Arc::clone(&counters)).await?;
        let options = options.pragma("query_only", "ON");
        let (readers, scanners) = (pool(READERS, options.clone()).await?, pool(SCANNERS, options).await?);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(writer.run(closing.clone()));
        tasks.close();
        Ok(Self { readers, scanners, queue, counters, closing, tasks })
    }

    /// A connection for reading; it sees every write whose result was delivered before its first statement.
    ///
    /// # Errors
    /// [`RegistryError::Database`], also when no connection came free for 30 seconds.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, RegistryError> {
        Ok(self.readers.acquire().await?)
    }

    /// [`Registry::read`] for a read that SQLite may need long for.
    ///
    /// # Errors
    /// As [`Registry::read`].
    pub async fn scan(&self) -> Result<PoolConnection<Sqlite>, RegistryError> {
        Ok(self.scanners.acquire().await?)
    }

    /// Runs a write in the next transaction; a result means durable.
    ///
    /// **The moment of durability**: the result is delivered after COMMIT has returned with
    /// `synchronous=FULL`, so an `Ok` survives any crash, and after an `Err` nothing of this write is visible.
    /// Writes that queue up while a transaction commits share the next one (at most 256, or 5 ms), each in
    /// its own savepoint: one that fails or panics is rolled back alone. Should the COMMIT fail, all
    /// writes of the group fail with [`RegistryError::Commit`].
    ///
    /// A crash before COMMIT leaves nothing of the write, a crash after it leaves all of it, whether or not the
    /// caller was told. A caller that goes away does not take back a write that was queued.
    ///
    /// The write must await its connection and nothing else: every other write waits for it. Cost: one
    /// sync of the disk per group.
    ///
    /// # Errors
    /// The write's own failure, [`RegistryError::Commit`], [`RegistryError::Panicked`] or
    /// [`RegistryError::Closed`].
    pub async fn write<T, F>(&self, work: F) -> Result<T, RegistryError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, RegistryError>> + Send + 'static,
    {
        self.queue.write(work).await
    }

    /// [`Registry::write`] for writes with refusals of their own; a refusal rolls the write back.
    ///
    /// # Errors
    /// As [`Registry::write`], in the write's own type.
    pub async fn try_write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<RegistryError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        self.queue.write(work).await
    }

    /// Counts the transactions that changed users, roles or tenants. What was concluded from them under
    /// an older number may be wrong now. It grows before the changing write's result is delivered; read it
    /// before reading the tables.
    #[must_use]
    pub fn principals_generation(&self) -> u64 {
        self.counters.principals_generation.load(Ordering::Acquire)
    }

    /// Work done so far.
    #[must_use]
    pub fn writer_stats(&self) -> WriterStats {
        WriterStats {
            groups: self.counters.groups.load(Ordering::Relaxed),
            jobs: self.counters.jobs.load(Ordering::Relaxed),
        }
    }

    /// Commits every queued write, then closes all connections. Later writes get
    /// [`RegistryError::Closed`]. Waits for readers to give their connections back.
    pub async fn close(&self) {
        self.closing.cancel();
        self.tasks.wait().await;
        self.readers.close().await;
        self.scanners.close().await;
    }
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        // All are opened now and stay open: when the process has too many files open, no other can be.
        .min_connections(connections)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}
