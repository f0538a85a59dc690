//! The writer's promises, with the log and the syncs as witnesses.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;

use super::data_files::Rows;
use super::error::LakeError;
use super::syncer::{FsSyncer, Syncer};
use super::table::ActivityTable;
use super::testing::{MemoryLedger, lake, lake_with, rows, tenant};
use super::writer::PendingAnswer;

fn pending(key: &str) -> PendingAnswer {
    PendingAnswer { key: key.to_owned(), body_hash: [0; 32], status: 200, answer: "{}".to_owned() }
}

fn one_row(id: &str) -> Rows {
    Rows::Batches(vec![rows(&[(1, "ann", id)])])
}

/// Rows in the newest snapshot, from the log's own statistics.
fn row_count(table: &ActivityTable) -> usize {
    let (snapshot, _) = table.snapshot();
    let state = snapshot.snapshot().unwrap();
    state.log_data().iter().map(|file| file.num_records().unwrap()).sum()
}

fn data_files(dir: &tempfile::TempDir) -> usize {
    let day = dir.path().join("lake/tenant=5618-1/activities/day=1970-01-01");
    std::fs::read_dir(day).map_or(0, Iterator::count)
}

/// Syncs for real, and fails for folders whose name ends as told while it is switched on.
#[derive(Debug)]
struct FailingSyncer {
    on: AtomicBool,
    folder: &'static str,
}

impl Syncer for FailingSyncer {
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        FsSyncer.sync_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.on.load(Ordering::SeqCst) && path.ends_with(self.folder) {
            return Err(io::Error::other("planted"));
        }
        FsSyncer.sync_folder(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_arrive_together_share_a_commit_and_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(MemoryLedger::default());
    let lake = lake_with(&dir, Arc::new(FsSyncer), &ledger, Duration::from_millis(200));
    let table = lake.table(tenant()).await.unwrap();
    // The first commit opens the pause in which the others gather.
    table.append(one_row("first"), None).await.unwrap();
    let ids: Vec<String> = (0..20).map(|i| format!("id-{i}")).collect();
    let done = join_all(ids.iter().map(|id| table.append(one_row(id), Some(pending(id))))).await;
    let versions: Vec<u64> = done.into_iter().map(|c| c.unwrap().version).collect();
    assert!(versions.iter().all(|v| *v == versions[0]), "{versions:?}");
    assert_eq!(row_count(&table), 21);
    assert_eq!(data_files(&dir), 2);
    assert_eq!(ledger.pending.lock().unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_stores_nothing_and_the_next_group_takes_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, ledger) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    ledger.refuse.store(true, Ordering::SeqCst);
    let refused = table.append(one_row("a"), Some(pending("a"))).await;
    assert!(matches!(refused, Err(LakeError::NotStored(_))), "{refused:?}");
    assert_eq!((row_count(&table), data_files(&dir), table.last_group()), (0, 0, 0));
    // Half of the record may have been written after all.
    ledger.pending.lock().unwrap().push((1, pending("a")));
    ledger.refuse.store(false, Ordering::SeqCst);
    table.append(one_row("b"), None).await.unwrap();
    assert_eq!(table.last_group(), 1);
    assert!(ledger.pending.lock().unwrap().is_empty(), "the key of a request that failed came true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_unknown_outcome_closes_the_table_and_opening_tells() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(MemoryLedger::default());
    let syncer = Arc::new(FailingSyncer { on: AtomicBool::new(false), folder: "_delta_log" });
    let lake = lake_with(&dir, Arc::<FailingSyncer>::clone(&syncer), &ledger, Duration::ZERO);
    let table = lake.table(tenant()).await.unwrap();
    table.append(one_row("a"), Some(pending("a"))).await.unwrap();
    syncer.on.store(true, Ordering::SeqCst);
    let interrupted = table.append(one_row("b"), Some(pending("b"))).await;
    assert!(matches!(interrupted, Err(LakeError::Interrupted(_))), "{interrupted:?}");
    let after = table.append(one_row("c"), None).await;
    assert!(matches!(after, Err(LakeError::NotStored(_))), "a closed table took an append: {after:?}");
    syncer.on.store(false, Ordering::SeqCst);
    // The entry was published before its folder's sync failed, so the log holds it.
    let reopened = lake.table(tenant()).await.unwrap();
    assert!(!Arc::ptr_eq(&table, &reopened));
    assert_eq!((row_count(&reopened), reopened.last_group()), (2, 2));
    let keys: Vec<String> = ledger.pending.lock().unwrap().iter().map(|(_, p)| p.key.clone()).collect();
    assert_eq!(keys, ["a", "b"]);
    reopened.append(one_row("c"), None).await.unwrap();
    assert_eq!(row_count(&reopened), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_file_that_cannot_be_made_durable_is_a_clean_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(MemoryLedger::default());
    let syncer = Arc::new(FailingSyncer { on: AtomicBool::new(true), folder: "day=1970-01-01" });
    let lake = lake_with(&dir, Arc::<FailingSyncer>::clone(&syncer), &ledger, Duration::ZERO);
    let table = lake.table(tenant()).await.unwrap();
    let refused = table.append(one_row("a"), Some(pending("a"))).await;
    assert!(matches!(refused, Err(LakeError::NotStored(_))), "{refused:?}");
    assert!(ledger.pending.lock().unwrap().is_empty());
    syncer.on.store(false, Ordering::SeqCst);
    table.append(one_row("a"), Some(pending("a"))).await.unwrap();
    assert_eq!(row_count(&table), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_the_last_group_survives_checkpoints_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = lake(&dir);
    let table = first.table(tenant()).await.unwrap();
    let commits = i64::try_from(super::delta::CHECKPOINT_INTERVAL).unwrap() + 3;
    for i in 0..commits {
        table.append(one_row(&format!("id-{i:03}")), None).await.unwrap();
    }
    drop((table, first));
    let (again, _) = lake(&dir);
    let table = again.table(tenant()).await.unwrap();
    assert_eq!(table.last_group(), commits);
    assert_eq!(row_count(&table), usize::try_from(commits).unwrap());
}
