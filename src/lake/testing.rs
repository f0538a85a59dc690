//! Small tables for unit tests.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use async_trait::async_trait;

use super::error::Cause;
use super::layout::DataDir;
use super::syncer::Syncer;
use super::tables::{Lake, LakeOptions};
use super::writer::{Ledger, PendingAnswer};
use crate::domain::activity::{
    ACTIVITY_ID, COLUMNS, ColumnKind, ColumnType, DAY, INGESTED_AT, SOURCE, TENANT_ID, TIME_STAMP, USER, USER_KEY,
    lake_schema,
};
use crate::domain::day::Day;
use crate::domain::tenant::{TenantId, TenantKey};
use crate::domain::user_key::user_key;

/// Remembers what the writer told it; refuses on demand.
#[derive(Debug, Default)]
pub(crate) struct MemoryLedger {
    pub(crate) pending: Mutex<Vec<(i64, PendingAnswer)>>,
    pub(crate) refuse: std::sync::atomic::AtomicBool,
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn record_pending(&self, _: TenantKey, group: i64, answers: Vec<PendingAnswer>) -> Result<(), Cause> {
        if self.refuse.load(Ordering::SeqCst) {
            return Err("planted".into());
        }
        let mut pending = self.pending.lock().unwrap();
        pending.retain(|(g, _)| *g < group);
        pending.extend(answers.into_iter().map(|a| (group, a)));
        Ok(())
    }

    async fn resolve(&self, _: TenantKey, committed: i64) -> Result<(), Cause> {
        self.pending.lock().unwrap().retain(|(g, _)| *g <= committed);
        Ok(())
    }
}

pub(crate) fn tenant() -> TenantKey {
    TenantKey { id: TenantId::try_from(5618).unwrap(), incarnation: 1 }
}

/// A lake in a fresh folder; the runtime of the test does the CPU work.
pub(crate) fn lake(dir: &tempfile::TempDir) -> (Arc<Lake>, Arc<MemoryLedger>) {
    let ledger = Arc::new(MemoryLedger::default());
    (lake_with(dir, Arc::new(super::syncer::FsSyncer), &ledger, Duration::ZERO), ledger)
}

/// A lake that makes files durable in its own way.
pub(crate) fn lake_with(
    dir: &tempfile::TempDir,
    syncer: Arc<dyn Syncer>,
    ledger: &Arc<MemoryLedger>,
    commit_interval: Duration,
) -> Arc<Lake> {
    let data_dir = DataDir::create(dir.path()).unwrap();
    let options = LakeOptions { commit_interval };
    let handle = tokio::runtime::Handle::current();
    let ledger = Arc::<MemoryLedger>::clone(ledger);
    Arc::new(Lake::with_syncer(&data_dir, syncer, ledger, options, handle).unwrap())
}

/// A disk that is full on demand, as a disk says so that allocates late: when a file is synced.
#[derive(Debug, Default)]
pub(crate) struct FullDisk {
    /// What the names of the files end in that find no room; empty for a disk with room.
    pub(crate) refused: Mutex<&'static str>,
    /// So many of them still find some.
    pub(crate) spared: std::sync::atomic::AtomicUsize,
}

impl Syncer for FullDisk {
    fn sync_file(&self, path: &std::path::Path) -> std::io::Result<()> {
        let refused = *self.refused.lock().unwrap();
        if !refused.is_empty() && path.to_string_lossy().ends_with(refused) {
            let spared = |left: usize| left.checked_sub(1);
            let spared = self.spared.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spared);
            if spared.is_ok() {
                return Ok(());
            }
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync_folder(&self, _: &std::path::Path) -> std::io::Result<()> {
        Ok(())
    }
}

/// A lake on a disk that may be full.
pub(crate) fn lake_on(dir: &tempfile::TempDir, disk: Arc<FullDisk>) -> Arc<Lake> {
    lake_with(dir, disk, &Arc::default(), Duration::ZERO)
}

/// Rows of (timeStamp, user, activityId); every other column is null or its default.
pub(crate) fn rows(rows: &[(i64, &str, &str)]) -> RecordBatch {
    let n = rows.len();
    let columns = lake_schema()
        .fields()
        .iter()
        .map(|field| -> ArrayRef {
            match field.name().as_str() {
                TIME_STAMP => Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0))),
                USER => Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1))),
                USER_KEY => Arc::new(StringArray::from_iter_values(rows.iter().map(|r| user_key(r.1)))),
                ACTIVITY_ID => Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))),
                SOURCE => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "activities"))),
                INGESTED_AT => Arc::new(Int64Array::from(vec![0; n])),
                TENANT_ID => Arc::new(Int64Array::from(vec![5618; n])),
                DAY => Arc::new(Date32Array::from_iter_values(
                    rows.iter().map(|r| Day::of_time_stamp(r.0).unwrap().days_since_epoch()),
                )),
                name => match COLUMNS.iter().find(|c| c.name == name && c.kind == ColumnKind::Metric) {
                    Some(c) if c.column_type == ColumnType::Int64 => {
                        Arc::new(Int64Array::from(vec![c.default_metric(); n]))
                    }
                    Some(c) if c.column_type == ColumnType::Float64 => {
                        Arc::new(arrow::array::Float64Array::from(vec![0.0; n]))
                    }
                    _ => new_null_array(field.data_type(), n),
                },
            }
        })
        .collect();
    RecordBatch::try_new(lake_schema(), columns).unwrap()
}
