//! Evidence of an anomaly: made when due, remade when the lake has gained rows that could belong.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use object_store::ObjectStoreExt;

use super::Services;
use super::room::NoRoom;
use super::trouble::Trouble;
use crate::domain::anomaly::AnomalyId;
use crate::lake::error::LakeError;
use crate::lake::evidence_files::{evidence_path, write_evidence};
use crate::lake::table::ActivityTable;
use crate::query::engine::into_lake;
use crate::query::filter::ActivityFilter;
use crate::query::newest::newest;
use crate::query::predicate::{WhereError, parse_where};
use crate::registry::RegistryError;
use crate::registry::anomalies::Anomaly;
use crate::registry::evidence::{self, Evidence, EvidenceFile, EvidenceState};
use crate::registry::tenants::Tenant;

/// After a failed attempt the next one waits this long; after the last one evidence is given up for
/// [`GIVEN_UP_RETRY`].
const RETRY: Duration = Duration::from_secs(30);

/// Versions after which it is worth a write to remember that they brought nothing.
const ADVANCE_AFTER: u64 = 64;

/// A given-up evidence is tried again after this time, because its cause may be gone by then.
const GIVEN_UP_RETRY: Duration = Duration::from_hours(1);

/// Evidence that lost its anomaly's definition to a change is made anew, at most this often.
const TRIES: usize = 3;

/// Failure to provide evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// Making it has failed repeatedly and is given up for now.
    #[error("the evidence could not be made: {0}")]
    Failed(String),
    /// This attempt failed; a later one may succeed.
    #[error("the evidence could not be made at this time")]
    Making(#[source] LakeError),
    /// This attempt took too long.
    #[error("making the evidence took longer than {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The anomaly was dropped, or changed again and again, while its evidence was being made.
    #[error("the anomaly was changed while its evidence was being made; try again")]
    Changed,
    /// The stored condition does not parse any more.
    #[error(transparent)]
    Where(#[from] WhereError),
    /// The disk has no room for it; it is not counted as an attempt.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// The activities that belong to an anomaly. Planner work: call it on the CPU runtime.
///
/// # Errors
/// When the stored condition does not parse any more.
pub fn filter_of(anomaly: &Anomaly) -> Result<ActivityFilter, WhereError> {
    Ok(ActivityFilter {
        from_ms: anomaly.from_ms,
        to_ms: anomaly.to_ms,
        user_key: anomaly.user_key.clone(),
        condition: anomaly.where_sql.as_deref().map(parse_where).transpose()?,
    })
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let shown = next.to_string();
        if !text.ends_with(&shown) {
            // Writing to a string does not fail.
            let _ = write!(text, ": {shown}");
        }
        cause = next.source();
    }
    text
}

/// What a caller may know of a failure: neither paths nor settings, which the log has.
pub(super) fn public_reason(error: &EvidenceError) -> String {
    match error {
        EvidenceError::Where(_) | EvidenceError::TimedOut(_) => error.to_string(),
        EvidenceError::Making(cause) if chain(cause).contains("Resources exhausted") => {
            "choosing its activities needs more memory than one query may use".to_owned()
        }
        _ => "its activities could not be read or written; the server's log tells why".to_owned(),
    }
}

/// What the registry says of an anomaly's evidence.
enum Recorded {
    /// The file is complete.
    Current(EvidenceFile),
    /// A file is to be made for this definition, after this state.
    Wanted(Box<Anomaly>, Box<Evidence>),
}

/// Deletes a file that the registry names no more, or leaves it to vacuum while somebody who began before may open it. A
/// failure leaves garbage and harms nobody.
pub(super) async fn delete_evidence_file(table: &ActivityTable, file: &str) {
    let files = table.file_use();
    files.retire([file]);
    if !files.may_be_read(file) {
        erase_evidence_file(table, file).await;
        files.deleted(file);
    }
}

/// Deletes a file that the registry names no more, at once: what still reads it fails. Else as
/// [`delete_evidence_file`].
pub(super) async fn erase_evidence_file(table: &ActivityTable, file: &str) {
    let path = object_store::path::Path::from(file);
    if let Err(error) = table.tenant_store().delete(&path).await {
        tracing::warn!(%path, %error, "could not delete an evidence file that is in use no more");
    }
}

impl Services {
    /// The evidence file of an anomaly, made now when there is none or the lake has gained rows since
    /// that could belong. Requests for one anomaly share the work. What belongs is read anew here: the
    /// caller's anomaly may have been changed since.
    ///
    /// Success means: the file is durable and the registry names it.
    ///
    /// # Errors
    /// [`EvidenceError`]; never an empty file in place of a failure.
    pub async fn evidence(&self, tenant: &Tenant, anomaly: &Anomaly) -> Result<EvidenceFile, EvidenceError> {
        let table = self.lake.table(tenant.key).await?;
        if let Recorded::Current(file) = self.recorded_evidence(tenant, anomaly.id, &table).await? {
            return Ok(file);
        }
        let flight = self.evidence_flights.of(anomaly.id);
        let _turn = flight.lock().await;
        for _ in 0..TRIES {
            match self.recorded_evidence(tenant, anomaly.id, &table).await? {
                Recorded::Current(file) => return Ok(file),
                Recorded::Wanted(anomaly, before) => {
                    if let Some(made) = self.make_evidence(tenant, &anomaly, *before, &table).await? {
                        return Ok(made);
                    }
                }
            }
        }
        Err(EvidenceError::Changed)
    }

    /// The recorded file when it is complete as of now, else what is needed to make it.
    async fn recorded_evidence(
        &self,
        tenant: &Tenant,
        id: AnomalyId,
        table: &ActivityTable,
    ) -> Result<Recorded, EvidenceError> {
        let mut recorded = evidence::with_anomaly(&mut *self.registry.read().await?, tenant.key, id).await?;
        if recorded.is_none() {
            let key = tenant.key;
            self.registry.write(move |conn| Box::pin(async move { evidence::request(conn, key, id).await })).await?;
            recorded = evidence::with_anomaly(&mut *self.registry.read().await?, tenant.key, id).await?;
        }
        let (anomaly, recorded) = recorded.ok_or(EvidenceError::Changed)?;
        if recorded.state() == EvidenceState::Failed && self.clock.now_ms() < recorded.next_attempt_at_ms {
            return Err(EvidenceError::Failed(recorded.last_error.unwrap_or_default()));
        }
        if let Some(file) = &recorded.file {
            let cap = self.limits(tenant).max_activities;
            // A file that its own cap did not cut holds everything, whatever the cap is now.
            let whole = file.row_cap == cap || (file.rows < file.row_cap && file.rows <= cap);
            let wanted = crate::lake::file_ranges::Wanted {
                from_ms: anomaly.from_ms,
                to_ms: anomaly.to_ms,
                user_key: anomaly.user_key.as_deref(),
            };
            let covered = u64::try_from(file.lake_version).unwrap_or(0);
            let version = table.version();
            if whole && !table.gained_since(covered, version, &wanted).await? {
                if version - covered > ADVANCE_AFTER {
                    self.advance_evidence(tenant, id, file.number, version).await?;
                }
                return Ok(Recorded::Current(file.clone()));
            }
        }
        Ok(Recorded::Wanted(Box::new(anomaly), Box::new(recorded)))
    }

    /// Remembers how far was looked, so that the next request looks from there on.
    async fn advance_evidence(
        &self,
        tenant: &Tenant,
        id: AnomalyId,
        number: i64,
        version: u64,
    ) -> Result<(), RegistryError> {
        let (key, version) = (tenant.key, i64::try_from(version).unwrap_or(i64::MAX));
        let advance = self
            .registry
            .write(move |conn| Box::pin(async move { evidence::advance(conn, key, id, number, version).await }));
        advance.await
    }

    /// Forgets an evidence file that is gone, so that the next request makes it anew.
    ///
    /// # Errors
    /// When the registry fails.
    pub(super) async fn forget_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        number: i64,
    ) -> Result<(), RegistryError> {
        let (key, id) = (tenant.key, anomaly.id);
        let forget = self
            .registry
            .write(move |conn| Box::pin(async move { evidence::forget_file(conn, key, id, number).await }));
        forget.await
    }

    /// Makes and records the file; none when the anomaly was changed meanwhile, so that the file is not
    /// its evidence.
    async fn make_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        before: Evidence,
        table: &Arc<ActivityTable>,
    ) -> Result<Option<EvidenceFile>, EvidenceError> {
        self.check_disk()?;
        let cap = self.limits(tenant).max_activities;
        let made = self.write_evidence_file(anomaly, table, before.next_number(), cap);
        let made = match tokio::time::timeout(self.settings.evidence_timeout, made).await {
            Ok(made) => made,
            Err(_) => Err(EvidenceError::TimedOut(self.settings.evidence_timeout)),
        };
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                // What the machine lacks now says nothing about this evidence: no attempt is used up.
                if Trouble::of(&error).is_none() {
                    self.record_evidence_failure(tenant, anomaly, &before, &error).await?;
                }
                return Err(error);
            }
        };
        let (key, id, commit) = (tenant.key, anomaly.id, made.clone());
        let current = self
            .registry
            .write(move |conn| Box::pin(async move { evidence::commit_file(conn, key, id, &commit).await }))
            .await?;
        self.metrics.evidence_made.inc();
        let garbage = if current { before.file.map(|f| f.file) } else { Some(made.file.clone()) };
        if let Some(garbage) = garbage {
            delete_evidence_file(table, &garbage).await;
        }
        Ok(current.then_some(made))
    }

    async fn write_evidence_file(
        &self,
        anomaly: &Anomaly,
        table: &Arc<ActivityTable>,
        number: i64,
        cap: i64,
    ) -> Result<EvidenceFile, EvidenceError> {
        let (engine, table, anomaly) = (Arc::clone(&self.engine), Arc::clone(table), anomaly.clone());
        let now_ms = self.clock.now_ms();
        let task = self.cpu.spawn(async move {
            let filter = filter_of(&anomaly)?;
            let rows = usize::try_from(cap).unwrap_or(usize::MAX);
            let found = newest(&engine, &table, &filter, rows).await.map_err(EvidenceError::Making)?;
            let made = write_evidence(
                table.tenant_store(),
                evidence_path(anomaly.id, number, anomaly.created_at_ms),
                found.rows.map(|batch| batch.map_err(into_lake)),
                found.skip,
                anomaly.category.as_deref(),
            )
            .await
            .map_err(EvidenceError::Making)?;
            let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            Ok(EvidenceFile {
                number,
                file: made.path,
                rows: count(made.rows),
                bytes: count(made.bytes),
                sha256: made.sha256,
                lake_version: count(found.version),
                row_cap: cap,
                made_at_ms: now_ms,
            })
        });
        task.await.map_err(|error| EvidenceError::Making(LakeError::Task(error)))?
    }

    async fn record_evidence_failure(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        before: &Evidence,
        error: &EvidenceError,
    ) -> Result<(), RegistryError> {
        tracing::error!(tenant = %tenant.key, anomaly = %anomaly.id, error = chain(error), "could not make evidence");
        let reason = public_reason(error);
        self.metrics.evidence_failed.inc();
        let given_up = before.attempts + 1 >= evidence::MAX_ATTEMPTS;
        let wait = if given_up { GIVEN_UP_RETRY } else { RETRY };
        let next_ms = self.clock.now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let (key, id, number) = (tenant.key, anomaly.id, before.next_number());
        self.registry
            .write(move |conn| {
                Box::pin(async move { evidence::record_failure(conn, key, id, number, &reason, next_ms).await })
            })
            .await
    }

    /// Path of an evidence file on local disk.
    #[must_use]
    pub fn evidence_file_path(&self, tenant: &Tenant, file: &EvidenceFile) -> PathBuf {
        self.lake.tenant_folder(tenant.key).join(&file.file)
    }
}
