//! The writer where room is short: quotas and full disks.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::data_files::Rows;
use super::error::LakeError;
use super::rewrite::Rewrite;
use super::table::ActivityTable;
use super::testing::{self, FullDisk};
use super::upkeep::live::live_days;
use super::upkeep::vacuum::{delete, unnamed_data};
use crate::domain::clock::{Clock, SystemClock};

/// Rows of several days, so that they are as many files.
fn rows(days: i64) -> Rows {
    let rows: Vec<_> = (0..days).map(|day| (day * 86_400_000, "ann", "a")).collect();
    Rows::Batches(vec![testing::rows(&rows)])
}

/// Rows that bring their files, as those of a large ingest.
async fn large(table: &ActivityTable, days: i64) -> Rows {
    let mut files = table.data_files();
    let Rows::Batches(batches) = rows(days) else { unreachable!() };
    for batch in batches {
        files.push(batch).await.unwrap();
    }
    files.finish_as_files().await.unwrap()
}

/// Sizes of all data files on disk, committed or not, and how many files wait to be published.
fn on_disk(dir: &Path) -> (u64, usize) {
    fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(&dir.join("lake"), &mut files);
    let staged = files.iter().filter(|file| file.to_string_lossy().contains("/.staging/")).count();
    let data = files.iter().filter(|file| file.to_string_lossy().contains("/day="));
    (data.map(|file| file.metadata().unwrap().len()).sum(), staged)
}

#[tokio::test]
async fn live_bytes_are_those_of_the_files_also_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(testing::tenant()).await.unwrap();
    assert_eq!(table.live_bytes(), 0);
    table.append(rows(1), None).await.unwrap();
    table.append(large(&table, 3).await, None).await.unwrap();
    let live = table.live_bytes();
    assert!(live > 0);
    assert_eq!(on_disk(dir.path()), (live, 0));
    drop(table);
    lake.close_idle(std::time::Duration::ZERO);
    assert_eq!(lake.table(testing::tenant()).await.unwrap().live_bytes(), live);
}

#[tokio::test]
async fn an_append_beyond_its_limit_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(testing::tenant()).await.unwrap();
    table.append(rows(1), None).await.unwrap();
    let (live, version) = (table.live_bytes(), table.version());
    for is_large in [false, true] {
        let rows = if is_large { large(&table, 2).await } else { rows(2) };
        let refused = table.append_within(rows, None, Some(live + 1)).await.unwrap_err();
        let LakeError::OverQuota { wanted_bytes, max_bytes } = refused else { panic!("{refused}") };
        assert!(wanted_bytes > live + 1 && max_bytes == live + 1);
        assert_eq!((table.live_bytes(), table.version(), on_disk(dir.path())), (live, version, (live, 0)));
    }
    table.append_within(rows(2), None, Some(live * 10)).await.unwrap();
    table.append_within(large(&table, 2).await, None, Some(live * 10)).await.unwrap();
}

#[tokio::test]
async fn a_large_append_without_room_does_not_take_small_ones_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(testing::tenant()).await.unwrap();
    table.append(rows(1), None).await.unwrap();
    let limit = Some(table.live_bytes() * 5);
    let too_large = large(&table, 40).await;
    let (small, large) =
        tokio::join!(table.append_within(rows(1), None, limit), table.append_within(too_large, None, limit));
    small.unwrap();
    assert!(matches!(large, Err(LakeError::OverQuota { .. })), "{large:?}");
    assert_eq!(on_disk(dir.path()), (table.live_bytes(), 0));
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_and_the_table_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk::default());
    let lake = testing::lake_on(&dir, Arc::clone(&disk));
    let table = lake.table(testing::tenant()).await.unwrap();
    table.append(rows(1), None).await.unwrap();
    let (live, version) = (table.live_bytes(), table.version());

    *disk.refused.lock().unwrap() = ".parquet";
    let refused = table.append(rows(3), None).await;
    assert!(matches!(refused, Err(LakeError::NotStored(_))), "{refused:?}");
    let mut files = table.data_files();
    let Rows::Batches(batches) = rows(3) else { unreachable!() };
    files.push(batches[0].clone()).await.unwrap();
    assert!(files.finish_as_files().await.is_err());
    assert_eq!((table.live_bytes(), table.version(), on_disk(dir.path())), (live, version, (live, 0)));

    *disk.refused.lock().unwrap() = "";
    table.append(rows(3), None).await.unwrap();
    assert_eq!(table.version(), version + 1);
}

#[tokio::test]
async fn files_that_were_whole_before_the_disk_was_full_go_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk::default());
    let lake = testing::lake_on(&dir, Arc::clone(&disk));
    let table = lake.table(testing::tenant()).await.unwrap();
    *disk.refused.lock().unwrap() = ".parquet";
    for spared in 0..3 {
        disk.spared.store(spared, Ordering::SeqCst);
        let refused = table.append(rows(3), None).await;
        assert!(matches!(refused, Err(LakeError::NotStored(_))), "{refused:?}");
        assert_eq!(on_disk(dir.path()), (0, 0), "{spared} files found room");
    }
    disk.spared.store(3, Ordering::SeqCst);
    table.append(rows(3), None).await.unwrap();
}

/// Commits something whose log entry finds no room.
async fn interrupted(disk: &FullDisk, outcome: impl Future<Output = Result<(), LakeError>>) {
    *disk.refused.lock().unwrap() = ".json";
    let unknown = outcome.await;
    assert!(matches!(unknown, Err(LakeError::Interrupted(_))), "{unknown:?}");
    *disk.refused.lock().unwrap() = "";
}

#[tokio::test]
async fn files_of_a_failed_commit_are_judged_by_the_table_as_it_is_opened_again() {
    const KEEP_MS: i64 = 7_200_000;
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk::default());
    let lake = testing::lake_on(&dir, Arc::clone(&disk));
    let later_ms = SystemClock.now_ms() + 2 * KEEP_MS;
    let first = lake.table(testing::tenant()).await.unwrap();
    interrupted(&disk, async { first.append(rows(1), None).await.map(drop) }).await;
    // The handle does not know what others commit from now on.
    let second = lake.table(testing::tenant()).await.unwrap();
    second.append(rows(1), None).await.unwrap();
    let blind = unnamed_data(&first, KEEP_MS, later_ms).await;
    assert!(matches!(blind, Err(LakeError::NotStored(_))), "{blind:?}");
    let unnamed = unnamed_data(&second, KEEP_MS, later_ms).await.unwrap();
    assert_eq!((unnamed.garbage.len(), unnamed.waiting.len()), (1, 0), "the file of the failed append");
    delete(&second, &unnamed.garbage).await.unwrap();

    let live = live_days(&second.current()).unwrap().into_values().next().unwrap();
    let added = second.data_folder().write_sorted(vec![testing::rows(&[(0, "ann", "a")])]).await.unwrap();
    let removed = vec![live[0].path.clone()];
    interrupted(&disk, async { second.replace_files(removed, added, Rewrite::SameRows).await.map(drop) }).await;
    let third = lake.table(testing::tenant()).await.unwrap();
    let unnamed = unnamed_data(&third, KEEP_MS, later_ms).await.unwrap();
    assert_eq!((unnamed.garbage.len(), unnamed.waiting.len()), (1, 0), "the file of the failed rewrite");
}

#[tokio::test]
async fn a_full_disk_at_the_commit_closes_the_table_until_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FullDisk::default());
    let lake = testing::lake_on(&dir, Arc::clone(&disk));
    let table = lake.table(testing::tenant()).await.unwrap();
    table.append(rows(1), None).await.unwrap();
    let version = table.version();

    *disk.refused.lock().unwrap() = ".json";
    let unknown = table.append(rows(1), None).await;
    assert!(matches!(unknown, Err(LakeError::Interrupted(_))), "{unknown:?}");

    *disk.refused.lock().unwrap() = "";
    let table = lake.table(testing::tenant()).await.unwrap();
    assert_eq!(table.version(), version, "what was not published is not there");
    table.append(rows(1), None).await.unwrap();
    assert_eq!(table.version(), version + 1);
}
