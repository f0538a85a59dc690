//! The one writer: groups writes so that one sync to disk serves many.
//!
//! Writes that queue up while a transaction commits form the next one. Each write runs inside its own
//! savepoint, so a failing one takes nothing of the others with it. A caller gets its result only
//! after COMMIT has returned, which with `synchronous=FULL` means: on stable storage.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::RegistryError;

/// Writes that may wait for the next transaction; the next caller waits for a place.
const QUEUE_JOBS: usize = 1024;

/// Tables whose change makes remembered credentials worthless. `tokens` is not among them: tokens are
/// looked up on every request, and their `last_used_at_ms` changes all the time.
const PRINCIPAL_TABLES: [&str; 3] = ["users", "user_roles", "tenants"];

/// The boundaries between writes. Each statement by itself is a trip to the connection's thread and back, which costs as
/// much as a small write, so what ends one write and begins the next goes together.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT one_write";
const KEEP_AND_NEXT: &str = "RELEASE one_write; SAVEPOINT one_write";
const UNDO_AND_NEXT: &str = "ROLLBACK TO one_write";
const UNDO: &str = "ROLLBACK TO one_write; RELEASE one_write";

/// When a transaction takes no further write.
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupLimits {
    /// Writes in one transaction.
    pub(super) jobs: usize,
    /// Time since the transaction began.
    pub(super) time: Duration,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { jobs: 256, time: Duration::from_millis(8) }
    }
}

/// What the writer has done since it started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) groups: AtomicU64,
    pub(super) jobs: AtomicU64,
    pub(super) principals_generation: AtomicU64,
}

/// One queued write with its result and its waiting caller; erases their types.
trait Job: Send {
    /// Runs the write inside its savepoint; true keeps the savepoint, false rolls it back.
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// Hands the result over, or the group's failure.
    fn finish(self: Box<Self>, failure: Option<&Arc<sqlx::Error>>);
}

struct TypedJob<T, E, F> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for TypedJob<T, E, F>
where
    T: Send,
    E: From<RegistryError> + Send,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send,
{
    fn run<'c>(&'c mut self, conn: &'c mut SqliteConnection) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            // A panic in one write must not take the writer, and so every later write, with it.
            let result = match AssertUnwindSafe(async { work(conn).await }).catch_unwind().await {
                Ok(result) => result,
                Err(payload) => Err(RegistryError::Panicked(panic_text(payload.as_ref())).into()),
            };
            self.result.insert(result).is_ok()
        })
    }

    fn finish(self: Box<Self>, failure: Option<&Arc<sqlx::Error>>) {
        let result = match (self.result, failure) {
            // The write's own failure says more than that of its group.
            (Some(Err(error)), _) => Err(error),
            (_, Some(failure)) => Err(RegistryError::Commit(Arc::clone(failure)).into()),
            (Some(Ok(value)), None) => Ok(value),
            (None, None) => Err(RegistryError::Lost.into()),
        };
        if self.reply.send(result).is_err() {
            tracing::debug!("caller of a registry write has left before its result");
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

/// Sending side of the queue.
#[derive(Clone)]
pub(super) struct Queue(mpsc::Sender<Box<dyn Job>>);

impl Queue {
    /// Queues a write and waits for its transaction.
    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<RegistryError> + Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let job = TypedJob { work: Some(work), result: None, reply };
        self.0.send(Box::new(job)).await.map_err(|_| RegistryError::Closed)?;
        result.await.map_err(|_| RegistryError::Lost)?
    }
}

/// The writer task's state.
pub(super) struct Writer {
    queue: mpsc::Receiver<Box<dyn Job>>,
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    limits: GroupLimits,
    counters: Arc<Counters>,
    principals_touched: Arc<AtomicBool>,
}

impl Writer {
    /// A writer over an open connection; `options` make the next one should this one fail.
    pub(super) async fn new(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        limits: GroupLimits,
        counters: Arc<Counters>,
    ) -> Result<(Queue, Self), sqlx::Error> {
        let (sender, queue) = mpsc::channel(QUEUE_JOBS);
        let principals_touched = Arc::default();
        let mut writer = Self { queue, options, connection: None, limits, counters, principals_touched };
        writer.adopt(connection).await?;
        Ok((Queue(sender), writer))
    }

    /// Watches a connection for changes of principals. A hook sees every change of those tables, so no
    /// function that writes them can forget to say so.
    async fn adopt(&mut self, mut connection: SqliteConnection) -> Result<&mut SqliteConnection, sqlx::Error> {
        let touched = Arc::clone(&self.principals_touched);
        connection.lock_handle().await?.set_update_hook(move |change| {
            if PRINCIPAL_TABLES.contains(&change.table) {
                touched.store(true, Ordering::Release);
            }
        });
        Ok(self.connection.insert(connection))
    }

    /// Works until `closing` is cancelled or every queue handle is gone, and then through what is still queued.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if open => {
                    open = false;
                    self.queue.close();
                }
                job = self.queue.recv() => match job {
                    Some(job) => self.group(job).await,
                    None => break,
                },
            }
        }
        self.close_connection().await;
    }

    async fn group(&mut self, first: Box<dyn Job>) {
        let mut jobs = vec![first];
        let failure = self.transact(&mut jobs).await.err().map(Arc::new);
        let touched = self.principals_touched.swap(false, Ordering::AcqRel);
        if let Some(error) = &failure {
            tracing::error!(%error, jobs = jobs.len(), "registry transaction failed");
            // SQLite may have rolled back by itself (a full disk, an I/O error), which leaves the
            // connection's idea of open savepoints wrong: a fresh connection knows nothing of them.
            self.close_connection().await;
        } else {
            self.counters.groups.fetch_add(1, Ordering::Relaxed);
            self.counters.jobs.fetch_add(u64::try_from(jobs.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            if touched {
                self.counters.principals_generation.fetch_add(1, Ordering::AcqRel);
            }
        }
        for job in jobs {
            job.finish(failure.as_ref());
        }
    }

    /// Runs one transaction; `jobs` holds the first write and receives those that join it.
    async fn transact(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), sqlx::Error> {
        let began = Instant::now();
        if self.connection.is_none() {
            let connection = self.options.connect().await?;
            self.adopt(connection).await?;
        }
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::WorkerCrashed) };
        let mut transaction = connection.begin_with(BEGIN).await?;
        let mut next = 0;
        loop {
            let kept = jobs[next].run(&mut transaction).await;
            next += 1;
            let full = jobs.len() >= self.limits.jobs || began.elapsed() >= self.limits.time;
            // Empty, or closed and drained: waiting for more would only add latency. It joins the group at once, so that it
            // is told of the group's failure too.
            jobs.extend(if full { None } else { self.queue.try_recv().ok() });
            let more = next < jobs.len();
            let boundary = match (kept, more) {
                (true, true) => KEEP_AND_NEXT,
                (false, true) => UNDO_AND_NEXT,
                // COMMIT keeps what is in an open savepoint.
                (true, false) => break,
                (false, false) => UNDO,
            };
            sqlx::query(boundary).execute(&mut *transaction).await?;
            if !more {
                break;
            }
        }
        transaction.commit().await
    }

    async fn close_connection(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "registry connection did not close cleanly");
        }
    }
}
