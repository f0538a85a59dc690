//! The rows of a statement, with everything that it holds.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt};
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::SqlError;
use crate::query::limits::LimitsMet;
use crate::query::limits::stop::{Stop, StopOnDrop};
use crate::query::sql::failure::Failure;
use crate::query::sql::session::Started;
use crate::query::sql::store::OpenedFiles;
use crate::services::evidence::chain;
use crate::services::export::Deadline;
use crate::services::metrics::Running;

/// A statement's place among those of its tenant.
#[derive(Debug)]
pub(super) struct Held {
    _permit: OwnedSemaphorePermit,
    _running: Running,
}

impl Held {
    pub(super) fn new(permit: OwnedSemaphorePermit, statements: &Gauge) -> Self {
        Self { _permit: permit, _running: Running::on(statements) }
    }
}

/// The rows of a statement. Poll it on the CPU runtime. It holds the permit, the memory pool, the temporary files and
/// the deadline, and releases them when it is dropped; after an error or the end it holds the permit only.
pub struct SqlRows {
    // The operators go before the permit.
    rows: Option<SendableRecordBatchStream>,
    first: Option<RecordBatch>,
    schema: SchemaRef,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    met: Arc<LimitsMet>,
    opened: Arc<OpenedFiles>,
    stop: Arc<Stop>,
    _waits: Option<StopOnDrop>,
    _held: Held,
}

impl fmt::Debug for SqlRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlRows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl SqlRows {
    pub(super) fn new(started: Started, held: Held, stop: Arc<Stop>, timeout: Duration) -> Self {
        let Started { schema, rows, met, opened } = started;
        let deadline = Box::pin(tokio::time::sleep_until(Instant::from_std(stop.deadline())));
        Self { rows: Some(rows), first: None, schema, deadline, timeout, met, opened, stop, _waits: None, _held: held }
    }

    /// Columns of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The same rows, which stop their statement when they are dropped.
    pub(super) fn awaited_by(self, waits: StopOnDrop) -> Self {
        Self { _waits: Some(waits), ..self }
    }

    /// Stops the statement when it is dropped. Whoever waits for rows that another task polls keeps it: a task that is
    /// stopped ends between two steps, and one step of a join may take long.
    #[must_use]
    pub fn stop_on_drop(&self) -> StopOnDrop {
        StopOnDrop(Arc::clone(&self.stop))
    }

    /// When they end unless they are all read.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline { at: self.deadline.deadline(), late: SqlError::TimedOut(self.timeout).into() }
    }

    /// Data files opened so far.
    pub(super) fn opened(&self) -> Arc<OpenedFiles> {
        Arc::clone(&self.opened)
    }

    /// Waits until there is a row or the end, so that a statement that fails at once is answered with its error.
    pub(super) async fn wait_for_first(&mut self) -> Result<(), SqlError> {
        while let Some(batch) = self.next().await.transpose()? {
            if batch.num_rows() > 0 {
                self.first = Some(batch);
                break;
            }
        }
        Ok(())
    }

    fn failed(&mut self, error: datafusion::common::DataFusionError) -> SqlError {
        self.rows = None;
        if self.stop.is_late() {
            return SqlError::TimedOut(self.timeout);
        }
        let failure = Failure::of(error, &self.met, &self.opened);
        if let Failure::Engine(_) | Failure::Replaced(_) = &failure {
            // The readers of Parquet do not tell which file is damaged; it is among these.
            tracing::error!(files = ?self.opened.last(), error = chain(&failure), "a statement could not be carried out");
        }
        failure.into()
    }
}

impl Stream for SqlRows {
    type Item = Result<RecordBatch, SqlError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.rows.is_none() {
            return Poll::Ready(None);
        }
        if self.deadline.as_mut().poll(context).is_ready() {
            self.rows = None;
            return Poll::Ready(Some(Err(SqlError::TimedOut(self.timeout))));
        }
        let Some(rows) = &mut self.rows else { return Poll::Ready(None) };
        match rows.poll_next_unpin(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.failed(error)))),
            Poll::Ready(None) => {
                self.rows = None;
                Poll::Ready(None)
            }
        }
    }
}
