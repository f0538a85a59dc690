//! One attempt at making an export, and what follows from how it ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use uuid::Uuid;

use super::file::{PartOfExport, part_of};
use super::running::Listed;
use super::{Attempt, format_of, request_of};
use crate::domain::size_text::format_size;
use crate::formats::EncodeError;
use crate::formats::output::ExportForm;
use crate::query::limits::Limit;
use crate::query::params::ParamError;
use crate::registry::exports::{self, ExportOf, MAX_ATTEMPTS, MadeFile, SavedExport};
use crate::registry::tenants::{Tenant, TenantError};
use crate::registry::{RegistryError, audit};
use crate::services::auth::Actor;
use crate::services::evidence::{chain, public_reason};
use crate::services::export::{Export, ExportBody, ExportError};
use crate::services::room::NoRoom;
use crate::services::sql::SqlError;
use crate::services::{Services, audit_entry};

/// Bytes after which the disk and the tenant's limit are looked at again: the limit is exceeded by at most
/// this much for each export that is made at the time.
const CHECK_EVERY_BYTES: u64 = 16 << 20;

/// After a failed attempt the next one waits this long.
const RETRY: Duration = Duration::from_secs(30);

/// An export that waits for room, or for its turn among all exports, waits this long.
const WAIT: Duration = Duration::from_mins(1);

/// Why an attempt ended without a file.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the anomaly is gone")]
    AnomalyGone,
    #[error(transparent)]
    Params(#[from] ParamError),
    #[error("this version cannot make such an export")]
    Unsupported,
    #[error(
        "the tenant's saved exports would take more than the {} that they may; delete some, or ask for less",
        format_size(*.0)
    )]
    TooLarge(u64),
    #[error("its rows broke off")]
    BrokeOff(#[source] Arc<ExportError>),
    #[error("its rows broke off")]
    Cut(#[source] io::Error),
    #[error("its file could not be written")]
    File(#[source] io::Error),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error(transparent)]
    Tenant(#[from] TenantError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It was deleted, or the server stops.
    #[error("it was stopped")]
    Stopped,
}

/// What follows from the end of an attempt.
enum Next {
    /// It failed by itself; after [`MAX_ATTEMPTS`] it is given up.
    Again,
    /// It is not its fault, and it is not counted.
    Later(Duration),
    /// It would end the same way again.
    GiveUp,
}

const IN_LOG: &str = "its rows could not be read or written; the server's log tells why";

/// What a caller may know of an export that failed.
fn reason_of(error: &ExportError) -> String {
    match error {
        ExportError::Busy { .. } => "it waits for its turn".to_owned(),
        ExportError::TimedOut(_) | ExportError::TooLarge(_) => error.to_string(),
        ExportError::Statement(error) => match &**error {
            SqlError::Busy { .. } => "it waits for its turn".to_owned(),
            SqlError::Engine(_) | SqlError::Lake(_) | SqlError::Task(_) | SqlError::Answer(_) => IN_LOG.to_owned(),
            SqlError::Refused(_)
            | SqlError::Statement(_)
            | SqlError::Limit(_)
            | SqlError::TimedOut(_)
            | SqlError::TooLarge(_)
            | SqlError::Encode(_)
            | SqlError::Replaced(_) => error.to_string(),
        },
        ExportError::Evidence(error) => public_reason(error),
        ExportError::Lake(error) if chain(error).contains("Resources exhausted") => {
            "it needs more memory than one query may use".to_owned()
        }
        ExportError::Lake(_) | ExportError::Encode(_) | ExportError::Compress(_) | ExportError::Registry(_) => {
            IN_LOG.to_owned()
        }
    }
}

/// What follows from an export that failed.
fn next_after(error: &ExportError) -> Next {
    match error {
        ExportError::Busy { .. } => Next::Later(WAIT),
        ExportError::TooLarge(_) | ExportError::Encode(EncodeError::UnsupportedType { .. }) => Next::GiveUp,
        ExportError::Statement(error) => match &**error {
            SqlError::Busy { .. } | SqlError::Limit(Limit::Disk) => Next::Later(WAIT),
            // They depend on the statement and what it finds alone.
            SqlError::Refused(_)
            | SqlError::Statement(_)
            | SqlError::TooLarge(_)
            | SqlError::Limit(Limit::Memory | Limit::Value | Limit::Work)
            | SqlError::Encode(_) => Next::GiveUp,
            SqlError::Limit(Limit::TenantMemory | Limit::ServerMemory | Limit::TempDisk | Limit::ServerTemp)
            | SqlError::TimedOut(_)
            | SqlError::Replaced(_)
            | SqlError::Engine(_)
            | SqlError::Lake(_)
            | SqlError::Task(_)
            | SqlError::Answer(_) => Next::Again,
        },
        ExportError::Evidence(_)
        | ExportError::Encode(_)
        | ExportError::Compress(_)
        | ExportError::Lake(_)
        | ExportError::Registry(_)
        | ExportError::TimedOut(_) => Next::Again,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Ended {
    fn next(&self) -> Next {
        match self {
            Self::AnomalyGone | Self::Unsupported | Self::TooLarge(_) | Self::Params(_) => Next::GiveUp,
            Self::Stopped => Next::Later(Duration::ZERO),
            Self::NoRoom(_) | Self::Tenant(_) => Next::Later(WAIT),
            Self::File(error) if is_full(error) => Next::Later(WAIT),
            Self::Export(error) => next_after(error),
            Self::BrokeOff(error) => next_after(error),
            Self::Cut(_) | Self::File(_) | Self::Registry(_) => Next::Again,
        }
    }

    /// What a caller may know of it: neither paths nor settings, which the log has.
    fn public_reason(&self) -> String {
        match self {
            Self::AnomalyGone | Self::Unsupported | Self::TooLarge(_) | Self::Params(_) => self.to_string(),
            Self::NoRoom(NoRoom::Disk { .. }) => "it waits for room on the server's disk".to_owned(),
            Self::File(error) if is_full(error) => "it waits for room on the server's disk".to_owned(),
            Self::Export(error) => reason_of(error),
            Self::BrokeOff(error) => reason_of(error),
            Self::Cut(_) | Self::File(_) | Self::NoRoom(_) | Self::Tenant(_) | Self::Registry(_) | Self::Stopped => {
                IN_LOG.to_owned()
            }
        }
    }
}

/// An export whose attempt has begun and is counted.
#[derive(Debug)]
pub struct BegunExport {
    export: SavedExport,
    listed: Listed,
}

impl Services {
    /// Begins the export that is next: of the tenant with the fewest under way, the oldest. None when nothing
    /// is due. Counted durably before anything is done.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn begin_next_saved_export(&self) -> Result<Option<BegunExport>, RegistryError> {
        let now_ms = self.clock.now_ms();
        let mut due = exports::due(&mut *self.registry.read().await?, now_ms).await?;
        due.sort_by_key(|export| (self.saved_exports.of_tenant(export.tenant).0, export.id));
        for export in due {
            // Listed first, so that who deletes it now finds something to stop.
            let Some(listed) = self.saved_exports.enter(export.id, export.tenant) else { continue };
            let id = export.id;
            if self.registry.write(move |conn| Box::pin(exports::begin(conn, id, now_ms))).await? {
                return Ok(Some(BegunExport { export, listed }));
            }
        }
        Ok(None)
    }

    /// Makes an export that was begun, and records how it ended.
    ///
    /// # Errors
    /// When its end could not be recorded; the next start of the server takes it up.
    pub async fn make_saved_export(&self, begun: BegunExport) -> Result<(), RegistryError> {
        let BegunExport { export, listed } = begun;
        let file = format!("{}-{}.{}", export.id, Uuid::new_v4().simple(), export.new.format);
        let target = self.saved_exports.folder_of(export.tenant).join(&file);
        let attempt = &*listed.attempt;
        let made = tokio::select! {
            biased;
            () = attempt.stop.cancelled() => Err(Ended::Stopped),
            made = self.write_saved_export(&export, attempt, target.clone(), &file) => made,
        };
        match made {
            Ok(made) => {
                if !self.commit_saved_export(&export, made).await? {
                    self.saved_exports.remove_file(export.tenant, &file).await;
                }
                Ok(())
            }
            Err(ended) => {
                let part = part_of(&target);
                if let Some(name) = part.file_name().and_then(|name| name.to_str()) {
                    self.saved_exports.remove_file(export.tenant, name).await;
                }
                // A failure at publishing may have left the name.
                self.saved_exports.remove_file(export.tenant, &file).await;
                self.record_end(&export, &ended).await
            }
        }
    }

    async fn write_saved_export(
        &self,
        export: &SavedExport,
        attempt: &Attempt,
        target: std::path::PathBuf,
        file: &str,
    ) -> Result<MadeFile, Ended> {
        self.check_disk()?;
        let tenant = self.tenant(export.tenant.id).await?;
        if tenant.key != export.tenant {
            return Err(Ended::Stopped);
        }
        let Export { mut body, .. } = self.rows_of(&tenant, export).await?;
        let mut part = PartOfExport::create(target).await.map_err(Ended::File)?;
        let mut check_at = 0;
        while let Some(chunk) = body.next().await {
            part = part.write(chunk.map_err(|broken| broke_off(&body, broken))?).await.map_err(Ended::File)?;
            attempt.bytes.store(part.bytes(), Ordering::Relaxed);
            attempt.rows.store(body.rows_written(), Ordering::Relaxed);
            if part.bytes() >= check_at {
                self.check_export_room(export).await?;
                check_at = part.bytes() + CHECK_EVERY_BYTES;
            }
        }
        self.check_export_room(export).await?;
        let rows = body.rows_written();
        drop(body);
        let written = part.publish().await.map_err(Ended::File)?;
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Ok(MadeFile { file: file.to_owned(), rows: count(rows), bytes: count(written.bytes), sha256: written.sha256 })
    }

    async fn rows_of(&self, tenant: &Tenant, export: &SavedExport) -> Result<Export, Ended> {
        let format = format_of(&export.new).ok_or(Ended::Unsupported)?;
        let form = ExportForm { format, compression: None };
        match &export.new.of {
            ExportOf::Anomaly(id) => {
                let (anomaly, _) = self.anomaly(tenant, *id).await?.ok_or(Ended::AnomalyGone)?;
                Ok(self.export_live(tenant, &anomaly, form, None).await?)
            }
            ExportOf::Sql { sql, params } => {
                let owner = Actor { principal: export.new.owner.clone(), address: None };
                let rows = self.export_sql(&owner, tenant, request_of(sql, params)?, form).await;
                Ok(rows.map_err(ExportError::from)?)
            }
        }
    }

    async fn check_export_room(&self, export: &SavedExport) -> Result<(), Ended> {
        self.check_disk()?;
        let max_bytes = self.settings.exports.bytes_per_tenant;
        let ready = exports::usage(&mut *self.registry.read().await?, export.tenant).await?.bytes;
        let (_, under_way) = self.saved_exports.of_tenant(export.tenant);
        let used = u64::try_from(ready).unwrap_or(0).saturating_add(under_way);
        if used > max_bytes { Err(Ended::TooLarge(max_bytes)) } else { Ok(()) }
    }

    /// The commit; false when the export was deleted meanwhile.
    async fn commit_saved_export(&self, export: &SavedExport, made: MadeFile) -> Result<bool, RegistryError> {
        let (id, key, now_ms) = (export.id, export.tenant, self.clock.now_ms());
        let expires_at_ms = now_ms.saturating_add(self.settings.exports.keep_ms());
        let actor = Actor { principal: export.new.owner.clone(), address: None };
        self.registry
            .write(move |conn| {
                Box::pin(async move {
                    if !exports::commit_file(conn, id, &made, now_ms, expires_at_ms).await? {
                        return Ok(false);
                    }
                    let mut entry = audit_entry(&actor, now_ms, Some(key), "export.ready", id.to_string());
                    entry.detail = serde_json::json!({ "bytes": made.bytes });
                    entry.rows = Some(made.rows);
                    audit::append(conn, &entry).await?;
                    Ok(true)
                })
            })
            .await
    }

    async fn record_end(&self, export: &SavedExport, ended: &Ended) -> Result<(), RegistryError> {
        let (id, now_ms) = (export.id, self.clock.now_ms());
        let reason = ended.public_reason();
        let after = |wait: Duration| now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let stopped = matches!(ended, Ended::Stopped);
        if !stopped {
            tracing::warn!(tenant = %export.tenant, export = id, error = chain(ended), "an attempt at an export failed");
        }
        // `attempts` is as it was before this one.
        let last = export.attempts + 1 >= MAX_ATTEMPTS;
        let expires_at_ms = now_ms.saturating_add(self.settings.exports.keep_ms());
        match ended.next() {
            Next::Again if !last => {
                let at_ms = after(RETRY);
                let write = self.registry.write(move |conn| {
                    Box::pin(async move { exports::postpone(conn, id, Some(&reason), at_ms, true).await })
                });
                write.await
            }
            Next::Again | Next::GiveUp => {
                let write = self.registry.write(move |conn| {
                    Box::pin(async move { exports::give_up(conn, id, &reason, now_ms, expires_at_ms).await })
                });
                write.await
            }
            Next::Later(wait) => {
                let (at_ms, reason) = (after(wait), (!stopped).then_some(reason));
                let write = self.registry.write(move |conn| {
                    Box::pin(async move { exports::postpone(conn, id, reason.as_deref(), at_ms, false).await })
                });
                write.await
            }
        }
    }

    /// Waits until an export may have become due because somebody asked for one.
    pub async fn saved_export_asked_for(&self) {
        self.saved_exports.woken().await;
    }

    /// Stops every attempt; each gives its export back, uncounted.
    pub fn stop_saved_exports(&self) {
        self.saved_exports.cancel_all();
    }
}

/// Why rows broke off, where the export tells it.
fn broke_off(body: &ExportBody, cut: io::Error) -> Ended {
    body.failure().map_or(Ended::Cut(cut), Ended::BrokeOff)
}
