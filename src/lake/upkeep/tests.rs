//! Upkeep of real tables: no row is lost or doubled, whatever is interrupted; files go when nobody needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::compact::compact;
use super::live::{LiveFile, live_days};
use super::log::tidy_log;
use super::merge::{MOST_OPEN, merge};
use super::plan::{Retention, Written, is_sorted};
use super::retain::{drop_day, expired};
use super::vacuum::{Unnamed, delete, unnamed_data};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::day::{DAY_MS, Day};
use crate::lake::data_files::{DayLayout, Rows};
use crate::lake::error::LakeError;
use crate::lake::syncer::{FsSyncer, Syncer};
use crate::lake::table::ActivityTable;
use crate::lake::tables::Lake;
use crate::lake::testing::{MemoryLedger, lake, lake_with, rows, tenant};

const FIRST: Day = Day::from_days_since_epoch(0);

/// How long files and log entries are kept here.
const KEEP_MS: i64 = 7_200_000;

/// A time at which everything on disk is old.
fn later() -> i64 {
    SystemClock.now_ms() + KEEP_MS + 60_000
}

/// `files` appends of some rows of a few users into the first day.
async fn fill(table: &ActivityTable, files: usize) {
    for file in 0..files {
        append(table, file).await;
    }
}

async fn append(table: &ActivityTable, file: usize) {
    let ids: Vec<(i64, String, String)> = (0..5)
        .map(|row| {
            let n = i64::try_from((file * 7 + row * 13) % 29).unwrap();
            (n, format!("user-{}", (file + row) % 3), format!("{file}-{row}"))
        })
        .collect();
    let batch = rows(&ids.iter().map(|(at, user, id)| (*at, user.as_str(), id.as_str())).collect::<Vec<_>>());
    table.append(Rows::Batches(vec![batch]), None).await.unwrap();
}

fn live(table: &ActivityTable) -> Vec<LiveFile> {
    live_days(&table.current()).unwrap().remove(&FIRST).unwrap_or_default()
}

fn path_of(dir: &Path, file: &str) -> std::path::PathBuf {
    dir.join("lake/tenant=5618-1/activities").join(file)
}

/// (userKey, timeStamp, activityId) of every row of a file, in its order.
fn read(dir: &Path, file: &str) -> Vec<(String, i64, String)> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path_of(dir, file)).unwrap()).unwrap();
    let mut found = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let text = |name| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (users, ids) = (text("userKey"), text("activityId"));
        let times = batch.column_by_name("timeStamp").unwrap().as_primitive::<Int64Type>().clone();
        found.extend(
            (0..batch.num_rows()).map(|row| (users.value(row).to_owned(), times.value(row), ids.value(row).to_owned())),
        );
    }
    found
}

/// How often each activity is in the newest snapshot.
fn ledger(dir: &Path, table: &ActivityTable) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for file in live_days(&table.current()).unwrap().values().flatten() {
        for (_, _, id) in read(dir, &file.path) {
            *counts.entry(id).or_default() += 1;
        }
    }
    counts
}

fn expected(files: usize) -> BTreeMap<String, usize> {
    (0..files).flat_map(|file| (0..5).map(move |row| (format!("{file}-{row}"), 1))).collect()
}

async fn sort(table: &ActivityTable, dir: &Path) -> Result<(), LakeError> {
    compact(table, &dir.join("tmp"), FIRST, &live(table), DayLayout::Sorted, &|| Ok(())).await.map(drop)
}

async fn vacuum(table: &ActivityTable, now_ms: i64) -> Unnamed {
    let unnamed = unnamed_data(table, KEEP_MS, now_ms).await.unwrap();
    delete(table, &unnamed.garbage).await.unwrap();
    unnamed
}

/// Versions whose entries are in the log.
fn log_entries(dir: &Path) -> BTreeSet<u64> {
    let names = std::fs::read_dir(path_of(dir, "_delta_log")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| Some(name.to_str().unwrap().strip_suffix(".json")?.parse().unwrap())).collect()
}

fn files_on_disk(dir: &Path) -> usize {
    std::fs::read_dir(path_of(dir, "day=1970-01-01")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sorted_day_is_one_run_with_bloom_filters_and_stays_known_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = lake(&dir);
    let table = first.table(tenant()).await.unwrap();
    fill(&table, 6).await;
    let before = live(&table);
    let merged =
        compact(&table, &dir.path().join("tmp"), FIRST, &before[..4], DayLayout::Merged, &|| Ok(())).await.unwrap();
    assert_eq!((merged.files_before, merged.files_after, merged.rows), (4, 1, 20));
    assert!(!is_sorted(&live(&table)));
    sort(&table, dir.path()).await.unwrap();
    let after = live(&table);
    assert_eq!((after.len(), after[0].rows), (1, 30));
    let rows = read(dir.path(), &after[0].path);
    assert!(rows.is_sorted_by_key(|(user, at, _)| (user.clone(), *at)));
    let footer = ParquetRecordBatchReaderBuilder::try_new(File::open(path_of(dir.path(), &after[0].path)).unwrap());
    let group = footer.unwrap().metadata().row_group(0).clone();
    let with_bloom = group.columns().iter().filter(|column| column.bloom_filter_offset().is_some());
    let with_bloom: Vec<_> = with_bloom.map(|column| column.column_path().string()).collect();
    assert_eq!(with_bloom, ["sourceIP", "activityId", "userKey"]);
    assert_eq!(group.sorting_columns().unwrap().len(), 2);
    let ingested: u64 = before.iter().map(|file| file.bytes).sum();
    let written = Written { ingested, written: ingested + merged.bytes_after + after[0].bytes };
    assert_eq!(Written::of(&after), written);
    // The marks must survive the checkpoint that takes the place of the log.
    for file in 6..20 {
        append(&table, file).await;
    }
    assert!(tidy_log(&table, KEEP_MS, u64::MAX, later()).await.unwrap() > 0);
    drop((table, first));
    let (again, _) = lake(&dir);
    let table = again.table(tenant()).await.unwrap();
    let kept: Vec<_> = live(&table).into_iter().filter(|file| file.run.is_some()).collect();
    assert_eq!(kept, after);
    assert_eq!(ledger(dir.path(), &table), expected(20));
    assert_eq!(table.last_group(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_files_than_may_be_open_are_merged_through_temporary_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let files = MOST_OPEN + 3;
    fill(&table, files).await;
    sort(&table, dir.path()).await.unwrap();
    let after = live(&table);
    assert_eq!(after.len(), 1);
    assert!(read(dir.path(), &after[0].path).is_sorted_by_key(|(user, at, _)| (user.clone(), *at)));
    assert_eq!(ledger(dir.path(), &table), expected(files));
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn rows_that_are_not_in_order_are_refused_and_not_taken_for_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strange.parquet");
    let batch = rows(&[(2, "ann", "a"), (1, "ann", "b")]);
    let mut writer = parquet::arrow::ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let refused = merge(&[path], &batch.schema(), dir.path(), &mut |_| Ok(true));
    assert!(matches!(refused, Err(LakeError::Inconsistent(_))), "{refused:?}");
}

/// Rows that all bear the same text of so many bytes, each user's later than the one before.
fn rows_with_a_text(count: usize, bytes: usize) -> RecordBatch {
    let users: Vec<String> = (0..count).map(|n| format!("user-{n:06}")).collect();
    let batch = rows(&users.iter().map(|user| (1, user.as_str(), "a")).collect::<Vec<_>>());
    let at = batch.schema().index_of("fileName").unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(StringArray::from(vec!["x".repeat(bytes); count]));
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_many_rows_share_does_not_fill_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    for _ in 0..4 {
        table.append(Rows::Batches(vec![rows_with_a_text(200, 100_000)]), None).await.unwrap();
    }
    let files = live(&table);
    assert!(files.iter().all(|file| file.bytes < 100_000), "the text is not stored once: {files:?}");
    let paths: Vec<_> = files.iter().map(|file| path_of(dir.path(), &file.path)).collect();
    let (mut merged, mut largest) = (0, 0);
    let mut sink = |batch: RecordBatch| {
        merged += batch.num_rows();
        largest = largest.max(batch.get_array_memory_size());
        Ok(true)
    };
    merge(&paths, &table.data_folder().file_schema(), dir.path(), &mut sink).unwrap();
    assert_eq!(merged, 800);
    assert!(largest < 4 << 20, "a batch has {largest} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_ends_when_the_room_does_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    for _ in 0..2 {
        table.append(Rows::Batches(vec![rows_with_a_text(400, 100_000)]), None).await.unwrap();
    }
    let before = (table.version(), files_on_disk(dir.path()));
    let full = || Err(LakeError::NotStored("planted".into()));
    let ended = compact(&table, &dir.path().join("tmp"), FIRST, &live(&table), DayLayout::Sorted, &full).await;
    assert!(matches!(ended, Err(LakeError::NotStored(_))), "{ended:?}");
    assert_eq!((table.version(), files_on_disk(dir.path())), before);
    sort(&table, dir.path()).await.unwrap();
}

/// Syncs for real until it is told to fail, once.
#[derive(Debug)]
struct FailAt(AtomicUsize);

impl FailAt {
    fn step(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            1 => Err(io::Error::other("planted")),
            _ => Ok(()),
        }
    }
}

impl Syncer for FailAt {
    fn sync_file(&self, path: &Path) -> io::Result<()> {
        FsSyncer.sync_file(path)?;
        self.step()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        FsSyncer.sync_folder(path)?;
        self.step()
    }
}

fn open(dir: &tempfile::TempDir, syncer: Arc<dyn Syncer>) -> Arc<Lake> {
    lake_with(dir, syncer, &Arc::<MemoryLedger>::default(), Duration::ZERO)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_interrupted_at_any_step_is_all_or_nothing_after_the_restart() {
    const NEVER: usize = usize::MAX / 2;
    let mut outcomes = Vec::new();
    for step in 1..20 {
        let dir = tempfile::tempdir().unwrap();
        let syncer = Arc::new(FailAt(AtomicUsize::new(NEVER)));
        let first = open(&dir, Arc::<FailAt>::clone(&syncer));
        let table = first.table(tenant()).await.unwrap();
        fill(&table, 3).await;
        syncer.0.store(step, Ordering::SeqCst);
        let interrupted = sort(&table, dir.path()).await.is_err();
        // The process ends here; another one opens the directory.
        drop((table, first));
        let second = open(&dir, Arc::new(FsSyncer));
        let table = second.table(tenant()).await.unwrap();
        assert_eq!(ledger(dir.path(), &table), expected(3), "step {step}");
        outcomes.push((interrupted, is_sorted(&live(&table))));
        sort(&table, dir.path()).await.unwrap();
        assert_eq!(ledger(dir.path(), &table), expected(3), "step {step}");
        vacuum(&table, later()).await;
        assert_eq!(files_on_disk(dir.path()), live(&table).len(), "step {step}: garbage stayed");
        if !interrupted {
            break;
        }
    }
    // Before the commit, at its sync when the log has it already, and without a failure.
    for wanted in [(true, false), (true, true), (false, true)] {
        assert!(outcomes.contains(&wanted), "{wanted:?} not in {outcomes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_spares_the_young_the_read_and_the_uncommitted() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = lake(&dir);
    let table = first.table(tenant()).await.unwrap();
    fill(&table, 3).await;
    let reader = table.read_store();
    sort(&table, dir.path()).await.unwrap();
    // An upload that takes hours: its first files are durable and not committed.
    let upload = table.data_folder().write_sorted(vec![rows(&[(1, "ann", "late")])]).await.unwrap();
    assert_eq!(vacuum(&table, SystemClock.now_ms()).await.garbage, []);
    assert_eq!(vacuum(&table, later()).await.garbage, [], "somebody reads them, or will commit them");
    drop(reader);
    let newer = table.read_store();
    assert_eq!(vacuum(&table, later()).await.garbage.len(), 3, "whoever came later does not see them");
    drop(newer);
    table.append(Rows::Files(upload), None).await.unwrap();
    assert_eq!(vacuum(&table, later()).await, Unnamed::default());
    assert_eq!(files_on_disk(dir.path()), 2);
    // What a process left behind that died before its commit.
    table.data_folder().write_sorted(vec![rows(&[(1, "ann", "never")])]).await.unwrap();
    drop((table, first));
    let (again, _) = lake(&dir);
    let table = again.table(tenant()).await.unwrap();
    assert_eq!(vacuum(&table, SystemClock.now_ms()).await.waiting.len(), 1);
    assert_eq!(vacuum(&table, later()).await.garbage.len(), 1);
    assert_eq!(ledger(dir.path(), &table).len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_dropped_when_they_have_expired_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let two_days = rows(&[(1, "ann", "old"), (DAY_MS + 1, "ann", "new")]);
    table.append(Rows::Batches(vec![two_days]), None).await.unwrap();
    let retention = Retention { keep_ms: 10 * DAY_MS, after_ingest_ms: 0 };
    assert_eq!(expired(&table, retention, 11 * DAY_MS - 1).unwrap(), []);
    let found = expired(&table, retention, 11 * DAY_MS).unwrap();
    assert_eq!(found.iter().map(|day| (day.day, day.rows, day.files)).collect::<Vec<_>>(), [(FIRST, 1, 1)]);
    assert_eq!(drop_day(&table, FIRST, retention, 11 * DAY_MS).await.unwrap(), Some(found[0]));
    assert_eq!(drop_day(&table, FIRST, retention, 11 * DAY_MS).await.unwrap(), None);
    assert_eq!(ledger(dir.path(), &table).into_keys().collect::<Vec<_>>(), ["new"]);
    append(&table, 1).await;
    assert_eq!(live(&table).len(), 1, "a day may come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_far_behind_go_before_their_time_once_they_are_settled() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = lake(&dir);
    let table = first.table(tenant()).await.unwrap();
    let in_minutes = |minutes: i64| SystemClock.now_ms() + minutes * 60_000;
    fill(&table, 20).await;
    assert_eq!(tidy_log(&table, KEEP_MS, u64::MAX, in_minutes(6)).await.unwrap(), 0, "a checkpoint of version 20");
    fill(&table, 15).await;
    assert_eq!(tidy_log(&table, KEEP_MS, 10, in_minutes(4)).await.unwrap(), 0, "they are too young");
    assert_eq!(tidy_log(&table, KEEP_MS, 20, in_minutes(6)).await.unwrap(), 0, "no checkpoint is 20 versions behind");
    assert_eq!(tidy_log(&table, KEEP_MS, 10, in_minutes(6)).await.unwrap(), 20);
    assert_eq!(log_entries(dir.path()).first(), Some(&20));
    append(&table, 35).await;
    drop((table, first));
    let (again, _) = lake(&dir);
    assert_eq!(again.table(tenant()).await.unwrap().last_group(), 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_cleaned_behind_a_checkpoint_only() {
    let dir = tempfile::tempdir().unwrap();
    let (first, _) = lake(&dir);
    let table = first.table(tenant()).await.unwrap();
    fill(&table, 3).await;
    assert_eq!(
        (tidy_log(&table, KEEP_MS, u64::MAX, later()).await.unwrap(), log_entries(dir.path()).len()),
        (0, 4),
        "too few for a checkpoint"
    );
    for file in 3..10 {
        append(&table, file).await;
    }
    assert_eq!(tidy_log(&table, KEEP_MS, u64::MAX, SystemClock.now_ms()).await.unwrap(), 0, "the entries are young");
    append(&table, 10).await;
    assert_eq!((tidy_log(&table, KEEP_MS, u64::MAX, later()).await.unwrap(), log_entries(dir.path()).len()), (10, 2));
    // The open table goes on though the entries that it was loaded from are gone.
    append(&table, 11).await;
    let last: Vec<_> = live(&table).drain(..2).collect();
    compact(&table, &dir.path().join("tmp"), FIRST, &last, DayLayout::Merged, &|| Ok(())).await.unwrap();
    assert_eq!(vacuum(&table, later()).await.garbage.len(), 2);
    for file in 12..70 {
        append(&table, file).await;
    }
    assert!(tidy_log(&table, KEEP_MS, u64::MAX, later()).await.unwrap() > 0);
    append(&table, 70).await;
    drop((table, first));
    let (again, _) = lake(&dir);
    let table = again.table(tenant()).await.unwrap();
    assert_eq!((ledger(dir.path(), &table), table.last_group()), (expected(71), 71));
}
