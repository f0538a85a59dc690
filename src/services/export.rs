//! Exports: rows as a stream of encoded chunks, produced on the CPU runtime.
//!
//! Everything an export holds — its permit, its task, its gauges, its deadline — hangs on the body and
//! is released when the body is dropped, so a client that goes away stops its work. A client that stays
//! and does not read is left at the deadline: then the task ends and with it goes the permit.

mod pipe;
mod read_ahead;

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;

pub(super) use self::pipe::Pipe;
use self::pipe::{Chunks, run};
use super::Services;
use super::evidence::{EvidenceError, chain, filter_of};
use super::metrics::Running;
use super::sql::SqlError;
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, TIME_STAMP};
use crate::domain::availability::{Availability, Window};
use crate::formats::EncodeError;
use crate::formats::output::ExportForm;
use crate::lake::error::LakeError;
use crate::lake::evidence_files::read_wire_columns;
use crate::query::engine::into_lake;
use crate::query::limits::stop::StopOnDrop;
use crate::registry::RegistryError;
use crate::registry::anomalies::Anomaly;
use crate::registry::evidence::EvidenceFile;
use crate::registry::tenants::Tenant;

/// Chunks between the encoder and the network: enough to overlap, few enough to bound memory.
const CHUNKS_AHEAD: usize = 2;

/// Failure of an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Too many exports run; try again later.
    #[error("too many exports are running")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The evidence is not to be had.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The rows could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The encoded rows could not be compressed.
    #[error("the answer could not be compressed")]
    Compress(#[source] io::Error),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The export took longer than it may.
    #[error("the export took longer than {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The answer has more bytes than it may.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// The statement that gives the rows failed.
    #[error(transparent)]
    Statement(Box<SqlError>),
}

/// An export that has begun.
#[derive(Debug)]
pub struct Export {
    /// Rows that will come, where that is known before the first.
    pub rows: Option<u64>,
    /// Form of the bytes.
    pub form: ExportForm,
    /// The bytes. An error after the first chunk means that the answer is incomplete.
    pub body: ExportBody,
}

/// The chunks of an export.
#[derive(Debug)]
pub struct ExportBody {
    rows_written: Arc<AtomicU64>,
    complete: Arc<AtomicBool>,
    failure: Arc<OnceLock<Arc<ExportError>>>,
    chunks: mpsc::Receiver<Bytes>,
    bytes: prometheus_client::metrics::counter::Counter,
    _waits: Option<StopOnDrop>,
    // It holds the permit.
    _task: AbortOnDropHandle<()>,
    _running: Running,
}

impl ExportBody {
    /// Rows encoded so far; all of them once the stream has ended without an error.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.rows_written.load(Ordering::Acquire)
    }

    /// Why the stream broke off, once it has.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<ExportError>> {
        self.failure.get().cloned()
    }
}

impl Stream for ExportBody {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_recv(context).map(|next| match next {
            Some(chunk) => {
                self.bytes.inc_by(chunk.len() as u64);
                Some(Ok(chunk))
            }
            None if self.complete.swap(true, Ordering::AcqRel) => None,
            None => Some(Err(io::Error::other("the export broke off"))),
        })
    }
}

/// Batches on their way to an encoder.
pub(super) type Batches = Pin<Box<dyn Stream<Item = Result<RecordBatch, ExportError>> + Send>>;

/// Some of the rows of an export.
enum Part {
    /// To be encoded.
    Rows(RecordBatch),
    /// Encoded by whoever read them.
    Text { bytes: Vec<u8>, rows: usize },
}

type Parts = Pin<Box<dyn Stream<Item = Result<Part, ExportError>> + Send>>;

impl Services {
    /// Whether the wire contract serves this anomaly's activities now.
    #[must_use]
    pub fn availability(&self, tenant: &Tenant, anomaly: &Anomaly) -> Availability {
        let limits = self.limits(tenant);
        let window = Window { availability_delay_ms: limits.availability_delay_ms, recency_ms: limits.recency_ms };
        Availability::of(anomaly.created_at_ms, tenant.anomalous_activity_since_ms, window, self.clock.now_ms())
    }

    /// The evidence of an anomaly as the wire contract gives it: the newest activities up to the
    /// tenant's cap, ascending. The caller has checked [`Services::availability`].
    ///
    /// # Errors
    /// [`ExportError`] before the first byte.
    pub async fn export_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        form: ExportForm,
    ) -> Result<Export, ExportError> {
        let permit = self.export_permit().await?;
        let (file, reader) = self.open_evidence(tenant, anomaly).await?;
        let rows = u64::try_from(file.rows).unwrap_or(0);
        let parts = read_ahead::read(reader, rows, form.format, &self.cpu, &self.read_ahead_turns)?;
        let until = self.export_deadline();
        Ok(self.start_parts(
            Work { pipe: Pipe::new(form)?, held: permit, end: (), rows: Some(rows), until, waits: None },
            form,
            parts,
        ))
    }

    /// The current evidence file, opened. A file may be replaced between the look-up and the opening; one
    /// that is gone though the registry names it is made anew, since it only repeats the lake.
    async fn open_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
    ) -> Result<(EvidenceFile, ParquetRecordBatchReader), ExportError> {
        let mut missing: Option<String> = None;
        loop {
            let file = self.evidence(tenant, anomaly).await?;
            let path = self.evidence_file_path(tenant, &file);
            match self.cpu.spawn(async move { read_wire_columns(path) }).await.map_err(LakeError::Task)? {
                Ok(reader) => return Ok((file, reader)),
                Err(LakeError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                    if missing.as_ref() == Some(&file.file) {
                        tracing::error!(file = file.file, "an evidence file is missing and is made anew");
                        self.forget_evidence(tenant, anomaly, file.number).await?;
                    }
                    missing = Some(file.file);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The activities of an anomaly as of now: no flag, delay, recency or cap; ascending.
    ///
    /// # Errors
    /// [`ExportError`] before the first byte.
    pub async fn export_live(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        form: ExportForm,
        limit: Option<usize>,
    ) -> Result<Export, ExportError> {
        let permit = self.export_permit().await?;
        let table = self.lake.table(tenant.key).await?;
        let (engine, anomaly) = (Arc::clone(&self.engine), anomaly.clone());
        let planned = self.cpu.spawn(async move {
            let filter = filter_of(&anomaly).map_err(EvidenceError::from)?;
            let (rows, _) = engine.activities(&table, &filter).await?;
            let column = |name: &str| datafusion::logical_expr::col(format!("\"{name}\""));
            let order = [TIME_STAMP, ACTIVITY_ID].map(|name| column(name).sort(true, false)).to_vec();
            let wire = COLUMNS.iter().map(|c| column(c.name)).collect::<Vec<_>>();
            let mut rows = rows.sort(order).map_err(into_lake)?;
            if limit.is_some() {
                rows = rows.limit(0, limit).map_err(into_lake)?;
            }
            let stream = rows.select(wire).map_err(into_lake)?.execute_stream().await.map_err(into_lake)?;
            let batches = stream.map(|batch| batch.map_err(|e| into_lake(e).into()));
            Ok::<Batches, ExportError>(Box::pin(batches))
        });
        let batches = tokio::time::timeout(self.settings.export_timeout, planned)
            .await
            .map_err(|_| ExportError::TimedOut(self.settings.export_timeout))?
            .map_err(LakeError::Task)??;
        let until = self.export_deadline();
        Ok(self.start_export(
            Work { pipe: Pipe::new(form)?, held: permit, end: (), rows: None, until, waits: None },
            form,
            batches,
        ))
    }

    async fn export_permit(&self) -> Result<OwnedSemaphorePermit, ExportError> {
        let wait = self.settings.queue_timeout;
        let busy = || ExportError::Busy { retry_after: Duration::from_secs(5) };
        let permit = tokio::time::timeout(wait, Arc::clone(&self.export_permits).acquire_owned());
        permit.await.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// For exports whose rows have no deadline of their own.
    fn export_deadline(&self) -> Deadline {
        let timeout = self.settings.export_timeout;
        Deadline { at: tokio::time::Instant::now() + timeout, late: ExportError::TimedOut(timeout) }
    }

    /// Starts to encode. What `work` holds is released when the task ends, however that comes.
    pub(super) fn start_export<H, E>(&self, work: Work<H, E>, form: ExportForm, batches: Batches) -> Export
    where
        H: Send + 'static,
        E: End,
    {
        self.start_parts(work, form, Box::pin(batches.map(|batch| batch.map(Part::Rows))))
    }

    fn start_parts<H, E>(&self, work: Work<H, E>, form: ExportForm, parts: Parts) -> Export
    where
        H: Send + 'static,
        E: End,
    {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let Work { mut pipe, held, end, rows, until, waits } = work;
        let task_running = Running::on(&self.metrics.export_tasks);
        let (rows_written, complete) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, completed) = (Arc::clone(&rows_written), Arc::clone(&complete));
        let failure = Arc::<OnceLock<Arc<ExportError>>>::default();
        let its_failure = Arc::clone(&failure);
        let (cpu, ahead, turns) =
            (self.cpu.clone(), Arc::clone(&self.read_ahead_turns), Arc::clone(&self.encoding_turns));
        let task = self.cpu.spawn(async move {
            let _held = (held, task_running);
            // Owned by this task, so that its end, however it comes, is the end of the chunks.
            let sender = sender;
            let mut end = Ending { end: Some(end), rows: Arc::clone(&counted), bytes: pipe.bytes() };
            let is_small = rows.is_some_and(|rows| rows <= read_ahead::WORTH_ROWS);
            let chunks = sender.clone();
            let chunks = if is_small { Chunks::Body(chunks) } else { Chunks::of(&mut pipe, chunks, &cpu, &ahead) };
            let outcome =
                tokio::time::timeout_at(until.at, run(parts, &mut pipe, chunks, rows, &counted, &turns)).await;
            let failed = match outcome {
                Ok(Ok(())) => {
                    if !sender.is_closed() {
                        end.tell(Ok(()));
                    }
                    return completed.store(true, Ordering::Release);
                }
                Ok(Err(error)) => error,
                Err(_) => until.late,
            };
            tracing::error!(error = chain(&failed), "an export broke off");
            end.tell(Err(&failed));
            // It is set here alone.
            let _ = its_failure.set(Arc::new(failed));
        });
        let body = ExportBody {
            rows_written,
            complete,
            failure,
            chunks,
            bytes: self.metrics.export_bytes.clone(),
            _waits: waits,
            _task: task,
            _running: Running::on(&self.metrics.exports_running),
        };
        Export { rows, form, body }
    }
}

/// What an export encodes with and holds on to.
pub(super) struct Work<H, E> {
    /// From rows to bytes.
    pub(super) pipe: Pipe,
    /// Released at the end.
    pub(super) held: H,
    /// Told of the end.
    pub(super) end: E,
    /// Rows that will come, where that is known.
    pub(super) rows: Option<u64>,
    /// Until when it may go on.
    pub(super) until: Deadline,
    /// Goes with the body, so that what makes the rows learns at once that nobody reads them.
    pub(super) waits: Option<StopOnDrop>,
}

/// The end of an export that is not done by then, also where its client does not read.
pub(super) struct Deadline {
    pub(super) at: tokio::time::Instant,
    pub(super) late: ExportError,
}

/// Whom an export tells of its end.
pub(super) trait End: Send + 'static {
    /// The export has ended: with all rows, with an error, or with none of both when its reader has left.
    fn ended(self, rows: u64, bytes: u64, outcome: Option<Result<(), &ExportError>>);
}

impl End for () {
    fn ended(self, _: u64, _: u64, _: Option<Result<(), &ExportError>>) {}
}

/// Tells of the end even where the task is stopped.
struct Ending<E: End> {
    end: Option<E>,
    rows: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl<E: End> Ending<E> {
    fn tell(&mut self, outcome: Result<(), &ExportError>) {
        if let Some(end) = self.end.take() {
            end.ended(self.rows.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire), Some(outcome));
        }
    }
}

impl<E: End> Drop for Ending<E> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end.ended(self.rows.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire), None);
        }
    }
}
