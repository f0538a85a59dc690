//! Evidence of an anomaly: made when due, remade when the lake has gained rows that could belong.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use object_store::ObjectStoreExt;

use super::Services;
use super::room::NoRoom;
use crate::lake::error::LakeError;
use crate::lake::evidence_files::{evidence_path, write_evidence};
use crate::lake::table::ActivityTable;
use crate::query::engine::into_lake;
use crate::query::filter::ActivityFilter;
use crate::query::newest::newest;
use crate::query::predicate::{WhereError, parse_where};
use crate::registry::RegistryError;
use crate::registry::anomalies::Anomaly;
use crate::registry::evidence::{self, EvidenceFile, EvidenceState};
use crate::registry::tenants::Tenant;

/// After a failed attempt the next one waits this long; after the last one evidence is given up for
/// [`GIVEN_UP_RETRY`].
const RETRY: Duration = Duration::from_secs(30);

/// A given-up evidence is tried again after this time, because its cause may be gone by then.
const GIVEN_UP_RETRY: Duration = Duration::from_hours(1);

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

impl Services {
    /// The evidence file of an anomaly, made now when there is none or the lake has gained rows since
    /// that could belong. Requests for one anomaly share the work.
    ///
    /// Success means: the file is durable and the registry names it.
    ///
    /// # Errors
    /// [`EvidenceError`]; never an empty file in place of a failure.
    pub async fn evidence(&self, tenant: &Tenant, anomaly: &Anomaly) -> Result<EvidenceFile, EvidenceError> {
        let table = self.lake.table(tenant.key).await?;
        if let Some(current) = self.current_evidence(tenant, anomaly, &table).await? {
            return Ok(current);
        }
        let flight = self.evidence_flights.of(anomaly.id);
        let _turn = flight.lock().await;
        if let Some(current) = self.current_evidence(tenant, anomaly, &table).await? {
            return Ok(current);
        }
        self.make_evidence(tenant, anomaly, table).await
    }

    /// The recorded file when it is complete as of now.
    async fn current_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        table: &ActivityTable,
    ) -> Result<Option<EvidenceFile>, EvidenceError> {
        let recorded = evidence::get(&mut *self.registry.read().await?, tenant.key, anomaly.id).await?;
        let Some(recorded) = recorded else { return Ok(None) };
        if recorded.state() == EvidenceState::Failed && self.clock.now_ms() < recorded.next_attempt_at_ms {
            return Err(EvidenceError::Failed(recorded.last_error.unwrap_or_default()));
        }
        let Some(file) = recorded.file else { return Ok(None) };
        let cap = self.limits(tenant).max_activities;
        // A file that its own cap did not cut holds everything, whatever the cap is now.
        if file.row_cap != cap && !(file.rows < file.row_cap && file.rows <= cap) {
            return Ok(None);
        }
        let wanted = crate::lake::file_ranges::Wanted {
            from_ms: anomaly.from_ms,
            to_ms: anomaly.to_ms,
            user_key: anomaly.user_key.as_deref(),
        };
        let covered = u64::try_from(file.lake_version).unwrap_or(0);
        let outdated = table.gained_since(covered, table.version(), &wanted).await?;
        Ok((!outdated).then_some(file))
    }

    async fn make_evidence(
        &self,
        tenant: &Tenant,
        anomaly: &Anomaly,
        table: Arc<ActivityTable>,
    ) -> Result<EvidenceFile, EvidenceError> {
        self.check_disk()?;
        let before = evidence::get(&mut *self.registry.read().await?, tenant.key, anomaly.id).await?;
        let number = before.as_ref().map_or(1, evidence::Evidence::next_number);
        let cap = self.limits(tenant).max_activities;
        let made = self.write_evidence_file(anomaly, &table, number, cap);
        let made = match tokio::time::timeout(self.settings.evidence_timeout, made).await {
            Ok(made) => made,
            Err(_) => Err(EvidenceError::TimedOut(self.settings.evidence_timeout)),
        };
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                self.record_evidence_failure(tenant, anomaly, before.map_or(0, |b| b.attempts), &error).await?;
                return Err(error);
            }
        };
        let (key, id, commit) = (tenant.key, anomaly.id, made.clone());
        let current = self
            .registry
            .write(move |conn| Box::pin(async move { evidence::commit_file(conn, key, id, &commit).await }))
            .await?;
        self.metrics.evidence_made.inc();
        let garbage = if current { before.and_then(|b| b.file).map(|f| f.file) } else { Some(made.file.clone()) };
        if let Some(garbage) = garbage {
            let path = object_store::path::Path::from(garbage.as_str());
            if let Err(error) = table.tenant_store().delete(&path).await {
                tracing::warn!(%path, %error, "could not delete an evidence file that was replaced");
            }
        }
        Ok(made)
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
        attempts_before: i64,
        error: &EvidenceError,
    ) -> Result<(), RegistryError> {
        let reason = chain(error);
        tracing::error!(tenant = %tenant.key, anomaly = %anomaly.id, error = reason, "could not make evidence");
        self.metrics.evidence_failed.inc();
        let given_up = attempts_before + 1 >= evidence::MAX_ATTEMPTS;
        let wait = if given_up { GIVEN_UP_RETRY } else { RETRY };
        let next_ms = self.clock.now_ms().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        let (key, id) = (tenant.key, anomaly.id);
        self.registry
            .write(move |conn| Box::pin(async move { evidence::record_failure(conn, key, id, &reason, next_ms).await }))
            .await
    }

    /// Path of an evidence file on local disk.
    #[must_use]
    pub fn evidence_file_path(&self, tenant: &Tenant, file: &EvidenceFile) -> PathBuf {
        self.lake.tenant_folder(tenant.key).join(&file.file)
    }
}
