//! The steps of upkeep of one tenant.

use std::collections::HashSet;
use std::sync::Arc;

use super::UpkeepError;
use super::by_hand::Telling;
use crate::domain::day::{DAY_MS, Day};
use crate::domain::tenant::TenantKey;
use crate::lake::data_files::DayLayout;
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;
use crate::lake::upkeep::compact::{Compacted, compact};
use crate::lake::upkeep::live::{LiveFile, crowded_days, live_days};
use crate::lake::upkeep::log::{LOG_ENTRIES, tidy_log};
use crate::lake::upkeep::merge::MOST_OPEN;
use crate::lake::upkeep::plan::{QUIET_MS, Retention, SMALL_FILES, SortPlan, expires_at_ms, next_merge, sort_plan};
use crate::lake::upkeep::retain::{DroppedDay, drop_day, expired};
use crate::lake::upkeep::vacuum::{self, Unnamed, stored_evidence, unnamed_data, unnamed_evidence};
use crate::registry::settings::Limits;
use crate::registry::tenants::Tenant;
use crate::registry::{evidence, upkeep};
use crate::services::Services;

/// Plans that others overtook before a rewrite gives up.
const TRIES: usize = 10;

/// One look at a tenant.
pub(super) struct Look {
    pub(super) worked: bool,
    /// When to look again, ms since epoch.
    pub(super) next_ms: i64,
    /// The first failure; the other steps are done all the same.
    pub(super) failed: Option<UpkeepError>,
}

impl Look {
    pub(super) fn new(next_ms: i64) -> Self {
        Self { worked: false, next_ms, failed: None }
    }

    fn note(&mut self, step: Result<bool, UpkeepError>) {
        match step {
            Ok(worked) => self.worked |= worked,
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    fn again_at(&mut self, at_ms: i64) {
        self.next_ms = self.next_ms.min(at_ms);
    }
}

/// How long a tenant's activities are kept. What was back-filled is kept until an anomaly made with it has been
/// exported.
pub(super) fn retention(limits: &Limits) -> Retention {
    let export_ms = limits.availability_delay_ms.saturating_add(limits.recency_ms);
    Retention { keep_ms: limits.activity_retention_ms, after_ingest_ms: export_ms.saturating_add(DAY_MS) }
}

/// Times of creation before which evidence and anomalies have expired, in ms since epoch. No anomaly goes
/// while it is served.
pub(super) fn expiry(limits: &Limits, now_ms: i64) -> (i64, i64) {
    let evidence_ms = limits.recency_ms.saturating_add(DAY_MS);
    let anomaly_ms = limits.anomaly_retention_ms.max(evidence_ms);
    (now_ms.saturating_sub(evidence_ms), now_ms.saturating_sub(anomaly_ms))
}

/// Bytes that a rewrite takes on the disk until the old files are deleted: the new files, and as much again where
/// temporary ones are needed.
fn rewrite_bytes(inputs: &[LiveFile]) -> u64 {
    let bytes: u64 = inputs.iter().map(|file| file.bytes).sum();
    if inputs.len() > MOST_OPEN { bytes.saturating_mul(2) } else { bytes }
}

impl Services {
    pub(super) async fn do_what_is_due(&self, tenant: &Tenant, look: &mut Look) {
        let working = self.upkeep.working.of(tenant.key);
        let _turn = working.lock().await;
        look.note(self.expire_rows(tenant).await.map(|(files, anomalies)| files + anomalies > 0));
        // Opening a table that is not there would make one.
        let table = match self.lake.has_table(tenant.key).await {
            Ok(false) => return,
            Ok(true) => self.lake.table(tenant.key).await,
            Err(error) => Err(error),
        };
        let table = match table {
            Ok(table) => table,
            Err(error) => return look.note(Err(error.into())),
        };
        let dropped = self.drop_expired_days(tenant, &table, None).await;
        look.note(dropped.map(|rows| rows > 0));
        look.note(self.merge_small_files(tenant.key).await.map(|merges| merges > 0));
        let sorted = self.sort_due_days(&table, look).await;
        look.note(sorted);
        look.note(self.tidy_log(&table).await.map(|entries| entries > 0));
        // The table may have been opened anew since, and only its newest handle knows what is live.
        let vacuumed = match self.lake.table(tenant.key).await {
            Ok(table) => self.vacuum(&table, false).await,
            Err(error) => Err(error.into()),
        };
        if let Some(ripe_ms) =
            vacuumed.as_ref().ok().and_then(|unnamed| unnamed.ripe_ms(self.settings.keep_replaced_ms()))
        {
            // What is ripe and waits all the same is read at this moment.
            look.again_at(ripe_ms.max(self.clock.now_ms().saturating_add(QUIET_MS)));
        }
        look.note(vacuumed.map(|unnamed| !unnamed.garbage.is_empty()));
        match self.next_expiry(tenant, &table) {
            Ok(at_ms) => look.again_at(at_ms),
            Err(error) => look.note(Err(error)),
        }
    }

    /// When the next day expires, ms since epoch.
    fn next_expiry(&self, tenant: &Tenant, table: &ActivityTable) -> Result<i64, UpkeepError> {
        let retention = retention(&self.limits(tenant));
        let days = live_days(&table.current())?;
        let expires = days.iter().map(|(day, files)| expires_at_ms(*day, files, retention));
        // A day that has expired and is still there is asked for; the daily look sees when it is no more.
        Ok(expires.filter(|at_ms| *at_ms > self.clock.now_ms()).min().unwrap_or(i64::MAX))
    }

    /// Merges small files of the days of a tenant that have too many, until none has. Returns the number of merges.
    async fn merge_small_files(&self, tenant: TenantKey) -> Result<usize, UpkeepError> {
        let mut merges = 0;
        while self.merge_once(tenant).await? {
            merges += 1;
        }
        Ok(merges)
    }

    /// Bytes of the small files of a tenant that are to be merged next; none when no day has too many.
    pub(super) async fn next_merge_bytes(&self, tenant: TenantKey) -> Result<Option<u64>, UpkeepError> {
        if !self.lake.has_table(tenant).await? {
            return Ok(None);
        }
        let table = self.lake.table(tenant).await?;
        Ok(merge_of(&table)?.map(|(_, inputs)| inputs.iter().map(|file| file.bytes).sum()))
    }

    /// Merges small files of one day of a tenant once, if a day has too many; returns whether one had.
    pub(super) async fn merge_once(&self, tenant: TenantKey) -> Result<bool, UpkeepError> {
        if !self.lake.has_table(tenant).await? {
            return Ok(false);
        }
        let merging = self.upkeep.merging.of(tenant);
        let _turn = merging.lock().await;
        let table = self.lake.table(tenant).await?;
        let mut overtaken = 0;
        loop {
            let Some((day, inputs)) = merge_of(&table)? else { return Ok(false) };
            // Closed only with the services.
            let _turn = self.upkeep.merge_turn.acquire().await;
            match self.compact(&table, day, inputs, DayLayout::Merged).await {
                Ok(_) => return Ok(true),
                Err(UpkeepError::Lake(LakeError::Superseded { .. })) if overtaken < TRIES => overtaken += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn sort_due_days(&self, table: &Arc<ActivityTable>, look: &mut Look) -> Result<bool, UpkeepError> {
        let mut sorted = false;
        for day in live_days(&table.current())?.into_keys() {
            let due = |files: &[LiveFile]| sort_plan(files, self.clock.now_ms());
            match self.sort_day(table, day, due).await? {
                Sorted::Done(_) => sorted = true,
                Sorted::NotBefore(at_ms) => look.again_at(at_ms),
                Sorted::NotNeeded => {}
            }
        }
        Ok(sorted)
    }

    /// Sorts a day as it is now, if the plan says so.
    pub(super) async fn sort_day(
        &self,
        table: &Arc<ActivityTable>,
        day: Day,
        plan: impl Fn(&[LiveFile]) -> SortPlan,
    ) -> Result<Sorted, UpkeepError> {
        for _ in 0..TRIES {
            let Some(files) = live_days(&table.current())?.remove(&day) else { return Ok(Sorted::NotNeeded) };
            match plan(&files) {
                SortPlan::Done | SortPlan::Later => return Ok(Sorted::NotNeeded),
                SortPlan::NotBefore(at_ms) => return Ok(Sorted::NotBefore(at_ms)),
                SortPlan::Now => {}
            }
            let _turn = self.upkeep.sort_turn.acquire().await;
            match self.compact(table, day, files, DayLayout::Sorted).await {
                Err(UpkeepError::Lake(LakeError::Superseded { .. })) => {}
                done => return Ok(Sorted::Done(done?)),
            }
        }
        Ok(Sorted::NotBefore(self.clock.now_ms()))
    }

    async fn compact(
        &self,
        table: &Arc<ActivityTable>,
        day: Day,
        inputs: Vec<LiveFile>,
        layout: DayLayout,
    ) -> Result<Compacted, UpkeepError> {
        let (table, tmp, disk) = (Arc::clone(table), self.tmp.clone(), self.disk());
        disk.check_for(rewrite_bytes(&inputs))?;
        let done = self.cpu.spawn(async move {
            let room = || disk.check().map_err(|full| LakeError::NotStored(Box::new(full)));
            compact(&table, &tmp, day, &inputs, layout, &room).await
        });
        let done = done.await.map_err(LakeError::from)??;
        self.metrics.upkeep_rewrites.inc();
        Ok(done)
    }

    /// Days that have expired and that no anomaly asks for which was made before and is still served: until then its
    /// evidence may be made, or made anew.
    pub(super) async fn expired_days(
        &self,
        tenant: &Tenant,
        table: &ActivityTable,
        now_ms: i64,
    ) -> Result<Vec<DroppedDay>, UpkeepError> {
        let limits = self.limits(tenant);
        let (served_from_ms, _) = expiry(&limits, now_ms);
        let mut free = Vec::new();
        for dropped in expired(table, retention(&limits), now_ms)? {
            let first_ms = i64::from(dropped.day.days_since_epoch()).saturating_mul(DAY_MS);
            let last_ms = first_ms.saturating_add(DAY_MS - 1);
            let made_ms = (served_from_ms, dropped.expired_ms);
            let mut conn = self.registry.read().await?;
            if !upkeep::is_asked_for(&mut conn, tenant.key, made_ms, (first_ms, last_ms)).await? {
                free.push(dropped);
            }
        }
        Ok(free)
    }

    /// Drops the days that have expired, telling of each; returns the rows that are gone.
    pub(super) async fn drop_expired_days(
        &self,
        tenant: &Tenant,
        table: &ActivityTable,
        mut telling: Option<&mut Telling>,
    ) -> Result<u64, UpkeepError> {
        let (retention, now_ms) = (retention(&self.limits(tenant)), self.clock.now_ms());
        let mut rows = 0;
        for day in self.expired_days(tenant, table, now_ms).await? {
            let mut overtaken = 0;
            let dropped = loop {
                match drop_day(table, day.day, retention, now_ms).await {
                    Err(LakeError::Superseded { .. }) if overtaken < TRIES => overtaken += 1,
                    dropped => break dropped?,
                }
            };
            let Some(dropped) = dropped else { continue };
            rows += dropped.rows;
            self.metrics.activities_expired.inc_by(dropped.rows);
            tracing::info!(tenant = %tenant.key, day = %dropped.day, rows = dropped.rows, "dropped an expired day");
            if let Some(telling) = &mut telling
                && !telling.tell(dropped.into()).await
            {
                break;
            }
        }
        Ok(rows)
    }

    /// Forgets evidence of anomalies that are no longer served and removes anomalies that have expired; returns the
    /// numbers of both.
    pub(super) async fn expire_rows(&self, tenant: &Tenant) -> Result<(u64, u64), UpkeepError> {
        let key = tenant.key;
        let (evidence_ms, anomalies_ms) = expiry(&self.limits(tenant), self.clock.now_ms());
        let (mut files, mut anomalies) = (0, 0);
        loop {
            let forget = self
                .registry
                .write(move |conn| Box::pin(async move { upkeep::forget_old_evidence(conn, key, evidence_ms).await }));
            match forget.await? {
                0 => break,
                forgotten => files += forgotten,
            }
        }
        loop {
            let remove = self.registry.write(move |conn| {
                Box::pin(async move { upkeep::remove_old_anomalies(conn, key, anomalies_ms).await })
            });
            match remove.await? {
                0 => break,
                removed => anomalies += removed,
            }
        }
        Ok((files, anomalies))
    }

    /// Tidies the log of a table that has got many appends, unless its turn for everything else comes to that anyway.
    pub(super) async fn tidy_long_log(&self, tenant: TenantKey) -> Result<(), UpkeepError> {
        let working = self.upkeep.working.of(tenant);
        let Ok(_turn) = working.try_lock() else { return Ok(()) };
        if self.lake.has_table(tenant).await? {
            self.tidy_log(&self.lake.table(tenant).await?).await?;
        }
        Ok(())
    }

    async fn tidy_log(&self, table: &Arc<ActivityTable>) -> Result<usize, UpkeepError> {
        let (table, now_ms, keep_ms) = (Arc::clone(table), self.clock.now_ms(), self.settings.keep_replaced_ms());
        let tidied = self.cpu.spawn(async move { tidy_log(&table, keep_ms, LOG_ENTRIES, now_ms).await });
        Ok(tidied.await.map_err(LakeError::from)??)
    }

    /// Deletes files of a tenant that nobody needs, or only finds them.
    pub(super) async fn vacuum(&self, table: &Arc<ActivityTable>, dry_run: bool) -> Result<Unnamed, UpkeepError> {
        let now_ms = self.clock.now_ms();
        let data_ms = self.settings.keep_replaced_ms();
        // Evidence may lie there for as long as its making takes before the registry names it.
        let making_ms = i64::try_from(self.settings.evidence_timeout.as_millis()).unwrap_or(i64::MAX);
        let keep_ms = data_ms.max(making_ms.saturating_mul(2));
        let stored = stored_evidence(table).await?;
        let named = evidence::all_files(&mut *self.registry.read().await?, table.tenant()).await?;
        let named: HashSet<String> = named.into_iter().collect();
        let evidence = unnamed_evidence(stored, |path| named.contains(path), &table.file_use(), keep_ms, now_ms);
        let mut unnamed = unnamed_data(table, data_ms, now_ms).await?;
        unnamed.garbage.extend(evidence.garbage);
        unnamed.waiting.extend(evidence.waiting);
        if !dry_run {
            vacuum::delete(table, &unnamed.garbage).await?;
            let (files, bytes) = unnamed.garbage_size();
            self.metrics.vacuumed_files.inc_by(files as u64);
            self.metrics.vacuumed_bytes.inc_by(bytes);
        }
        Ok(unnamed)
    }
}

/// The merge of small files that a table needs most, with its day.
fn merge_of(table: &ActivityTable) -> Result<Option<(Day, Vec<LiveFile>)>, LakeError> {
    let days = crowded_days(&table.current(), SMALL_FILES)?;
    Ok(days.iter().find_map(|(day, files)| Some((*day, next_merge(files)?))))
}

/// What became of sorting a day.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sorted {
    Done(Compacted),
    NotBefore(i64),
    NotNeeded,
}
