//! SQL over one tenant's tables: a text in, a stream of batches or an encoded export out.

mod admission;
mod rows;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::ParamValues;
use futures::TryStreamExt;
use serde_json::json;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use super::auth::Actor;
use super::evidence::chain;
use super::export::{Batches, End, Export, ExportError, Pipe, Work};
use super::room::NoRoom;
use super::{Services, audit_entry};
use crate::formats::EncodeError;
use crate::formats::output::ExportForm;
use crate::lake::error::LakeError;
use crate::query::catalog::Moment;
use crate::query::limits::memory::StatementPool;
use crate::query::limits::stop::{Stop, StopOnDrop};
use crate::query::limits::temp::{HasRoom, TempFiles};
use crate::query::limits::{Limit, LimitsMet};
use crate::query::sql::error::Refusal;
use crate::query::sql::failure::Failure;
use crate::query::sql::session::{Session, StartError, StatementParts};
use crate::registry::Registry;
use crate::registry::audit::AuditEntry;
use crate::registry::tenants::Tenant;

pub(super) use admission::Gates;
pub use rows::SqlRows;

/// Bytes of a statement that its audit entry keeps.
const AUDITED_BYTES: usize = 8 << 10;

/// A statement as a caller gives it.
#[derive(Debug, Clone, Default)]
pub struct SqlRequest {
    /// One statement: a query, `EXPLAIN`, `DESCRIBE` or `SHOW TABLES`.
    pub text: String,
    /// Values of `$1` or `$name`; [`crate::query::params::from_json`] reads them from JSON.
    pub params: Option<ParamValues>,
    /// Longest time until the last row; at most, and by default, the setting `sql.timeout`.
    pub timeout: Option<Duration>,
}

/// Why a statement gives no rows, or no more.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// Too many statements of the tenant run, or too much memory is taken; try again later.
    #[error("too many statements are running")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The statement is refused; change it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The data does not suit the statement: a division by zero, a text that is no number.
    #[error("{0}")]
    Statement(String),
    /// The statement ran into a limit.
    #[error("{}", limit_text(*.0))]
    Limit(Limit),
    /// The statement took longer than it may.
    #[error("the statement took longer than {}; ask for less, or raise the setting sql.timeout", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The answer has more bytes than it may.
    #[error("the answer has more than {0} bytes; ask for less, or raise the setting sql.max-result")]
    TooLarge(u64),
    /// The format cannot write a column of the answer; cast it.
    #[error(transparent)]
    Encode(EncodeError),
    /// Something was replaced while it was read; try again.
    #[error("a file was replaced while it was read; try again")]
    Replaced(#[source] Failure),
    /// The lake, the disk or the engine failed.
    #[error("the statement could not be carried out")]
    Engine(#[source] Failure),
    /// The tenant's table cannot be opened.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Carrying it out ended abnormally.
    #[error("the statement ended abnormally")]
    Task(#[from] JoinError),
    /// The answer could not be made.
    #[error("the answer could not be made")]
    Answer(#[source] Box<ExportError>),
}

fn limit_text(limit: Limit) -> String {
    let what = match limit {
        Limit::Memory => "the statement needs more memory than one may use",
        Limit::TenantMemory => "the tenant's statements need more memory than they may use together",
        Limit::ServerMemory => "the server's statements need more memory than they may use together",
        Limit::TempDisk => "the tenant's statements need more room for temporary files than they may use",
        Limit::ServerTemp => "the server's statements need more room for temporary files than they may use",
        Limit::Disk => return "the server's disk has no room for the statement's temporary files".to_owned(),
        Limit::Value => "the statement makes a value that is too large, or repeats one that is too large",
        Limit::Work => "a function would take too long for a value: a text, list or pattern is too large for it",
    };
    match limit.setting() {
        Some(setting) => format!("{what}; ask for less at once, or raise the setting {setting}"),
        None => format!("{what}; give it smaller ones"),
    }
}

impl From<Failure> for SqlError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Limit(limit) => Self::Limit(limit),
            Failure::Statement(message) => Self::Statement(message),
            replaced @ Failure::Replaced(_) => Self::Replaced(replaced),
            engine @ Failure::Engine(_) => Self::Engine(engine),
        }
    }
}

impl From<StartError> for SqlError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(refusal) => refusal.into(),
            StartError::Failed(failure) => failure.into(),
        }
    }
}

impl From<ExportError> for SqlError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Encode(error) => Self::Encode(error),
            ExportError::TooLarge(bytes) => Self::TooLarge(bytes),
            ExportError::Statement(error) => *error,
            other => Self::Answer(Box::new(other)),
        }
    }
}

impl From<SqlError> for ExportError {
    fn from(error: SqlError) -> Self {
        Self::Statement(Box::new(error))
    }
}

/// Leave to plan a statement, and what its session is made of.
struct Admission {
    parts: StatementParts,
    held: rows::Held,
    stop: Arc<Stop>,
    waits: StopOnDrop,
    timeout: Duration,
}

impl Services {
    /// Plans and starts a statement. The deadline counts from the admission on, and holds until the last row is read.
    ///
    /// # Errors
    /// [`SqlError`]; a statement that fails before its first row fails here.
    pub async fn run_sql(&self, tenant: &Tenant, request: SqlRequest) -> Result<SqlRows, SqlError> {
        // When the caller leaves while it waits here, `waits` goes with it.
        let Admission { parts, held, stop, waits, timeout } = self.admit_sql(tenant, request.timeout).await?;
        let deadline = tokio::time::Instant::from_std(stop.deadline());
        let engine = Arc::clone(&self.engine);
        let SqlRequest { text, params, .. } = request;
        // The permit goes with the task: planning cannot be interrupted, and counts until it has ended.
        let started = self.cpu.spawn(async move {
            let session = Session::new(&engine, parts).map_err(Failure::Engine)?;
            let started = session.start(&text, params).await?;
            let mut rows = SqlRows::new(started, held, stop, timeout);
            rows.wait_for_first().await?;
            Ok::<_, SqlError>(rows)
        });
        let started = tokio::time::timeout_at(deadline, started).await.map_err(|_| SqlError::TimedOut(timeout))?;
        Ok(started??.awaited_by(waits))
    }

    /// Plans a statement and does not start it: what is to run later is refused now.
    ///
    /// # Errors
    /// [`SqlError`].
    pub async fn check_sql(&self, tenant: &Tenant, request: SqlRequest) -> Result<(), SqlError> {
        let Admission { parts, held, stop, waits: _waits, timeout } = self.admit_sql(tenant, request.timeout).await?;
        let deadline = tokio::time::Instant::from_std(stop.deadline());
        let engine = Arc::clone(&self.engine);
        let checked = self.cpu.spawn(async move {
            let _held = held;
            let session = Session::new(&engine, parts).map_err(Failure::Engine)?;
            Ok::<_, SqlError>(session.check(&request.text, request.params).await?)
        });
        tokio::time::timeout_at(deadline, checked).await.map_err(|_| SqlError::TimedOut(timeout))??
    }

    /// A place among the tenant's statements, and what a session is made of.
    async fn admit_sql(&self, tenant: &Tenant, timeout: Option<Duration>) -> Result<Admission, SqlError> {
        let limits = self.settings.sql.of(tenant.key.id);
        let most = self.settings.sql.timeout;
        let timeout = timeout.map_or(most, |asked| asked.min(most));
        let admitted = self.sql_gates.admit(tenant.key, limits, self.settings.queue_timeout).await?;
        let deadline = tokio::time::Instant::now() + timeout;
        let stop = Stop::at(deadline.into_std());
        let waits = StopOnDrop(Arc::clone(&stop));
        let activities = self.lake.table(tenant.key).await?;
        let met = Arc::<LimitsMet>::default();
        let metrics = &self.metrics;
        let pool = StatementPool::new(
            limits.memory,
            admitted.shares,
            Arc::clone(&met),
            &metrics.sql_memory_bytes,
            &metrics.sql_pools,
        );
        let temp = TempFiles {
            folder: self.tmp.clone(),
            quotas: admitted.temp,
            room: self.temp_room(),
            met: Arc::clone(&met),
            gauges: metrics.sql_temp.clone(),
        };
        let parts = StatementParts {
            tenant: tenant.key,
            activities,
            registry: Arc::clone(&self.registry),
            moment: Moment { now_ms: self.clock.now_ms(), uci_window_ms: self.uci_settings(tenant).window_ms },
            memory_bytes: limits.memory,
            pool,
            temp,
            met,
            stop: Arc::clone(&stop),
            files_opened: metrics.sql_files_opened.clone(),
        };
        let held = rows::Held::new(admitted.permit, &metrics.sql_statements);
        Ok(Admission { parts, held, stop, waits, timeout })
    }

    /// Whether the disk has room for more temporary files, by the setting `min-free-disk`.
    fn temp_room(&self) -> HasRoom {
        let disk = self.disk();
        Arc::new(move || {
            disk.check().map_err(|error| match error {
                NoRoom::Unknown(error) => error,
                full => io::Error::new(io::ErrorKind::StorageFull, full),
            })
        })
    }

    /// The same as an encoded answer, bounded in bytes. An entry of the audit trail is written when it has ended,
    /// also when it is refused.
    ///
    /// # Errors
    /// [`SqlError`] before the first byte; later ones break the body off.
    pub async fn export_sql(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        request: SqlRequest,
        form: ExportForm,
    ) -> Result<Export, SqlError> {
        let audit = self.sql_audit(actor, tenant, &request.text);
        let outcome = self.encode_sql(tenant, request, form).await;
        match outcome {
            Ok((rows, pipe)) => {
                let waits = Some(rows.stop_on_drop());
                let until = rows.deadline();
                let audit = AuditAtEnd { audit: SqlAudit { files: Some(rows.opened()), ..audit } };
                let batches: Batches = Box::pin(rows.map_err(ExportError::from));
                Ok(self.start_export(Work { pipe, held: (), end: audit, rows: None, until, waits }, form, batches))
            }
            Err(error) => {
                audit.write(0, 0, Some(&error));
                Err(error)
            }
        }
    }

    async fn encode_sql(
        &self,
        tenant: &Tenant,
        request: SqlRequest,
        form: ExportForm,
    ) -> Result<(SqlRows, Pipe), SqlError> {
        let max_bytes = self.settings.sql.of(tenant.key.id).max_result;
        let rows = self.run_sql(tenant, request).await?;
        let pipe = Pipe::of_columns(form, &rows.schema(), max_bytes)?;
        Ok((rows, pipe))
    }

    fn sql_audit(&self, actor: &Actor, tenant: &Tenant, text: &str) -> SqlAudit {
        let shown = text.floor_char_boundary(AUDITED_BYTES.min(text.len()));
        let entry = audit_entry(actor, self.clock.now_ms(), Some(tenant.key), "sql", &text[..shown]);
        SqlAudit {
            entry,
            registry: Arc::clone(&self.registry),
            runtime: self.cpu.tokio(),
            background: self.background.clone(),
            files: None,
        }
    }
}

/// The audit entry of one statement.
struct SqlAudit {
    entry: AuditEntry,
    registry: Arc<Registry>,
    runtime: tokio::runtime::Handle,
    /// What the process waits for before it ends.
    background: TaskTracker,
    files: Option<Arc<crate::query::sql::store::OpenedFiles>>,
}

impl SqlAudit {
    /// Writes the entry in the background: the one who waits for rows does not wait for it, and one who has left
    /// leaves it behind.
    fn write(self, rows: u64, bytes: u64, error: Option<&(dyn std::error::Error + 'static)>) {
        let outcome = error.map_or_else(|| "complete".to_owned(), ToString::to_string);
        self.write_as(rows, bytes, &outcome);
    }

    fn write_as(self, rows: u64, bytes: u64, outcome: &str) {
        let Self { mut entry, registry, runtime, background, files } = self;
        let files = files.map_or(0, |files| files.count());
        entry.rows = Some(i64::try_from(rows).unwrap_or(i64::MAX));
        entry.detail = json!({ "bytes": bytes, "files": files, "outcome": outcome });
        let write = async move {
            let write =
                registry.write(move |conn| Box::pin(async move { crate::registry::audit::append(conn, &entry).await }));
            if let Err(error) = write.await {
                tracing::error!(error = chain(&error), "could not write the audit entry of a statement");
            }
        };
        background.spawn_on(write, &runtime);
    }
}

struct AuditAtEnd {
    audit: SqlAudit,
}

impl End for AuditAtEnd {
    fn ended(self, rows: u64, bytes: u64, outcome: Option<Result<(), &ExportError>>) {
        match outcome {
            Some(Ok(())) => self.audit.write(rows, bytes, None),
            Some(Err(error)) => self.audit.write(rows, bytes, Some(error)),
            None => self.audit.write_as(rows, bytes, "the client left"),
        }
    }
}
