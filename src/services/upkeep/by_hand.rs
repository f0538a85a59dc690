//! Upkeep that the operator asks for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::Sender;

use super::steps::{Sorted, expiry};
use super::{UpkeepError, UpkeepStep};
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::lake::table::ActivityTable;
use crate::lake::upkeep::live::{LiveFile, live_days};
use crate::lake::upkeep::plan::{SortPlan, is_sorted};
use crate::lake::upkeep::retain::DroppedDay;
use crate::lake::upkeep::status::{TableStatus, table_status};
use crate::registry::tenants::Tenant;
use crate::registry::{evidence, upkeep};
use crate::services::auth::Actor;
use crate::services::evidence::chain;
use crate::services::{Services, audit_entry};

/// How a tenant's lake is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LakeStatus {
    /// The tenant.
    pub tenant: i64,
    /// Its table; none before the first ingest.
    pub table: Option<TableStatus>,
    /// Evidence files.
    pub evidence_files: usize,
    /// Their bytes.
    pub evidence_bytes: i64,
    /// When upkeep last looked at it, RFC 3339.
    pub last_upkeep: Option<String>,
    /// When it will look again, RFC 3339; none for as soon as a server runs.
    pub next_upkeep: Option<String>,
    /// What failed the last time.
    pub last_error: Option<String>,
}

impl From<DroppedDay> for UpkeepStep {
    fn from(dropped: DroppedDay) -> Self {
        let DroppedDay { day, files, rows, bytes, .. } = dropped;
        Self::DropDay { day: day.to_string(), files, rows, bytes }
    }
}

/// Sums of what a command did, for the audit trail.
#[derive(Debug, Default, Serialize)]
struct Sums {
    files: u64,
    bytes: u64,
    rows: u64,
}

/// Tells whoever waits of each step, and sums up.
pub(super) struct Telling {
    steps: Sender<UpkeepStep>,
    sums: Sums,
}

impl Telling {
    /// False when nobody waits any more: the command was ended.
    pub(super) async fn tell(&mut self, step: UpkeepStep) -> bool {
        let sums = &mut self.sums;
        let (files, bytes, rows) = match &step {
            UpkeepStep::Sort { files_before, bytes_before, rows, .. } => (*files_before as u64, *bytes_before, *rows),
            UpkeepStep::DropDay { files, rows, bytes, .. } => (*files as u64, *bytes, *rows),
            UpkeepStep::ForgetEvidence { files } => (*files, 0, 0),
            UpkeepStep::RemoveAnomalies { .. } => (0, 0, 0),
            UpkeepStep::Delete { files, bytes, .. } => (*files as u64, *bytes, 0),
        };
        sums.files += files;
        sums.bytes += bytes;
        sums.rows += rows;
        self.steps.send(step).await.is_ok()
    }
}

/// What the operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Sort every day that is not sorted, also those that still get rows.
    Compact,
    /// Drop what is older than it is kept.
    Retain,
    /// Delete files that nobody needs.
    Vacuum,
}

impl Command {
    const fn action(self) -> &'static str {
        match self {
            Self::Compact => "lake.compact",
            Self::Retain => "lake.retain",
            Self::Vacuum => "lake.vacuum",
        }
    }
}

impl Services {
    /// How a tenant's lake is doing now.
    ///
    /// # Errors
    /// [`UpkeepError`].
    pub async fn lake_status(&self, id: TenantId) -> Result<LakeStatus, UpkeepError> {
        let tenant = self.tenant(id).await?;
        let table = match self.existing_table(&tenant).await? {
            Some(table) => Some(table_status(&table, self.settings.keep_replaced_ms(), self.clock.now_ms()).await?),
            None => None,
        };
        let mut conn = self.registry.read().await?;
        let state = upkeep::state(&mut conn, tenant.key).await?;
        Ok(LakeStatus {
            tenant: id.get(),
            table,
            evidence_files: evidence::all_files(&mut conn, tenant.key).await?.len(),
            evidence_bytes: evidence::used_bytes(&mut conn, tenant.key).await?,
            last_upkeep: state.done_at_ms.map(format_time),
            next_upkeep: Some(state.due_at_ms).filter(|at_ms| *at_ms > 0).map(format_time),
            last_error: state.last_error,
        })
    }

    /// Does upkeep of a tenant at the operator's wish, telling of every step; with `dry_run` it tells what it would
    /// do and does nothing. It ends early when nobody listens. What was done leaves an entry in the audit trail.
    ///
    /// # Errors
    /// [`UpkeepError`]; what was told until then is done.
    pub async fn upkeep_by_hand(
        &self,
        actor: &Actor,
        id: TenantId,
        command: Command,
        dry_run: bool,
        steps: Sender<UpkeepStep>,
    ) -> Result<(), UpkeepError> {
        let tenant = self.tenant(id).await?;
        let working = self.upkeep.working.of(tenant.key);
        let _turn = working.lock().await;
        let mut telling = Telling { steps, sums: Sums::default() };
        let done = match (command, dry_run) {
            (Command::Compact, _) => self.compact_by_hand(&tenant, dry_run, &mut telling).await,
            (Command::Retain, false) => self.retain_by_hand(&tenant, &mut telling).await,
            (Command::Retain, true) => self.plan_retain(&tenant, &mut telling).await,
            (Command::Vacuum, _) => self.vacuum_by_hand(&tenant, dry_run, &mut telling).await,
        };
        if dry_run {
            return done;
        }
        let rows = i64::try_from(telling.sums.rows).unwrap_or(i64::MAX);
        let mut entry = audit_entry(actor, self.clock.now_ms(), Some(tenant.key), command.action(), id.to_string());
        entry.rows = (command != Command::Vacuum).then_some(rows);
        entry.detail = json!({ "files": telling.sums.files, "bytes": telling.sums.bytes });
        if let Err(error) = &done {
            entry.detail["failed"] = json!(chain(error));
        }
        let audited = self.audit(entry).await;
        done?;
        Ok(audited?)
    }

    async fn existing_table(&self, tenant: &Tenant) -> Result<Option<Arc<ActivityTable>>, UpkeepError> {
        // Opening a table that is not there would make one.
        if !self.lake.has_table(tenant.key).await? {
            return Ok(None);
        }
        Ok(Some(self.lake.table(tenant.key).await?))
    }

    async fn compact_by_hand(&self, tenant: &Tenant, dry_run: bool, telling: &mut Telling) -> Result<(), UpkeepError> {
        let Some(table) = self.existing_table(tenant).await? else { return Ok(()) };
        let now = |files: &[LiveFile]| if is_sorted(files) { SortPlan::Done } else { SortPlan::Now };
        for (day, files) in live_days(&table.current())? {
            if is_sorted(&files) {
                continue;
            }
            let mut step = UpkeepStep::Sort {
                day: day.to_string(),
                files_before: files.len(),
                bytes_before: files.iter().map(|file| file.bytes).sum(),
                rows: files.iter().map(|file| file.rows).sum(),
                files_after: None,
                bytes_after: None,
            };
            if !dry_run {
                let Sorted::Done(done) = self.sort_day(&table, day, now).await? else { continue };
                step = UpkeepStep::Sort {
                    day: day.to_string(),
                    files_before: done.files_before,
                    bytes_before: done.bytes_before,
                    rows: done.rows,
                    files_after: Some(done.files_after),
                    bytes_after: Some(done.bytes_after),
                };
            }
            if !telling.tell(step).await {
                break;
            }
        }
        Ok(())
    }

    async fn retain_by_hand(&self, tenant: &Tenant, telling: &mut Telling) -> Result<(), UpkeepError> {
        if let Some(table) = self.existing_table(tenant).await? {
            self.drop_expired_days(tenant, &table, Some(telling)).await?;
        }
        let (files, anomalies) = self.expire_rows(tenant).await?;
        tell_rows(telling, files, anomalies).await;
        Ok(())
    }

    async fn plan_retain(&self, tenant: &Tenant, telling: &mut Telling) -> Result<(), UpkeepError> {
        let (limits, now_ms) = (self.limits(tenant), self.clock.now_ms());
        if let Some(table) = self.existing_table(tenant).await? {
            for day in self.expired_days(tenant, &table, now_ms).await? {
                telling.tell(day.into()).await;
            }
        }
        let (evidence_ms, anomalies_ms) = expiry(&limits, now_ms);
        let mut conn = self.registry.read().await?;
        let files = upkeep::old_evidence(&mut conn, tenant.key, evidence_ms).await?;
        let anomalies = upkeep::old_anomalies(&mut conn, tenant.key, anomalies_ms).await?;
        tell_rows(telling, files.unsigned_abs(), anomalies.unsigned_abs()).await;
        Ok(())
    }

    async fn vacuum_by_hand(&self, tenant: &Tenant, dry_run: bool, telling: &mut Telling) -> Result<(), UpkeepError> {
        let Some(table) = self.existing_table(tenant).await? else { return Ok(()) };
        let unnamed = self.vacuum(&table, dry_run).await?;
        let (files, bytes) = unnamed.garbage_size();
        let (waiting_files, waiting_bytes) =
            (unnamed.waiting.len(), unnamed.waiting.iter().map(|file| file.bytes).sum());
        telling.tell(UpkeepStep::Delete { files, bytes, waiting_files, waiting_bytes }).await;
        Ok(())
    }
}

async fn tell_rows(telling: &mut Telling, files: u64, anomalies: u64) {
    if files > 0 {
        telling.tell(UpkeepStep::ForgetEvidence { files }).await;
    }
    if anomalies > 0 {
        telling.tell(UpkeepStep::RemoveAnomalies { anomalies }).await;
    }
}
