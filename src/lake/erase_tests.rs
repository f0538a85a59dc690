//! Erasing a user from real tables.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::check::{Log, check_table, parquet_files};
use super::data_files::{DayLayout, Rows};
use super::erase::{Erased, Target, holds_user, open};
use super::error::LakeError;
use super::layout::ACTIVITIES;
use super::table::ActivityTable;
use super::testing::{self, rows, tenant};
use super::upkeep::compact::compact;
use super::upkeep::live::{LiveFile, live_days};
use super::upkeep::plan::{Written, is_sorted};
use super::watch::Unwatched;
use crate::domain::activity::{INGESTED_AT, USER_KEY};
use crate::domain::day::Day;

const DAY_MS: i64 = 86_400_000;

/// A disk without an end.
#[allow(clippy::unnecessary_wraps, reason = "a disk may end")]
fn endless(_: u64) -> Result<(), LakeError> {
    Ok(())
}

/// (userKey, activityId) of every row, sorted.
fn stored(folder: &Path) -> Vec<(String, String)> {
    let table = folder.join(ACTIVITIES);
    let mut found = Vec::new();
    for add in Log::read(&table).unwrap().state.unwrap().live.values() {
        for batch in open(&table, add, None).unwrap() {
            let batch = batch.unwrap();
            let texts = |name| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
            let (keys, ids) = (texts(USER_KEY), texts("activityId"));
            let pairs = keys.as_string::<i32>().iter().zip(ids.as_string::<i32>());
            found.extend(pairs.map(|(key, id)| (key.unwrap_or("").to_owned(), id.unwrap_or("").to_owned())));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_user_goes_and_everybody_else_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    for batch in [
        rows(&[(5, "Ann", "a"), (6, "bob", "b"), (DAY_MS + 5, "ann ", "c")]),
        rows(&[(7, "zoe", "d"), (8, "carl", "e")]),
        rows(&[(9, "ann", "f")]),
    ] {
        table.append(Rows::Batches(vec![batch]), None).await.unwrap();
    }
    let folder = lake.tenant_folder(tenant());
    let target = Target { tenant_folder: folder.clone(), user_key: "ann".to_owned(), until_ms: 0 };
    let expected = Erased { rows: 3, files: 3, days: 2, bytes: target.count(&Unwatched).unwrap().bytes };
    assert_eq!(target.count(&Unwatched).unwrap(), expected);
    assert_eq!(target.erase(&table, &Unwatched, &endless).await.unwrap(), expected);
    let left = [("bob", "b"), ("carl", "e"), ("zoe", "d")].map(|(u, a)| (u.to_owned(), a.to_owned()));
    assert_eq!(stored(&folder), left);
    assert_eq!(target.erase(&table, &Unwatched, &endless).await.unwrap(), Erased::default());
    let check = check_table(&folder, tenant().id, true, &Unwatched).unwrap();
    assert_eq!((check.findings.len(), check.removed.files), (0, 3));
}

#[tokio::test]
async fn a_day_for_which_there_is_no_room_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    table.append(Rows::Batches(vec![rows(&[(5, "ann", "a"), (DAY_MS + 5, "ann", "b")])]), None).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    let target = Target { tenant_folder: folder.clone(), user_key: "ann".to_owned(), until_ms: 0 };
    let (bytes, asked) = (target.count(&Unwatched).unwrap().bytes, AtomicU64::new(0));
    // For the first of two days alone.
    let room = |wanted| match asked.fetch_add(wanted, Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into()),
    };
    assert!(matches!(target.erase(&table, &Unwatched, &room).await, Err(LakeError::Io(_))));
    assert_eq!(asked.into_inner(), bytes);
    assert_eq!(stored(&folder), [("ann".to_owned(), "b".to_owned())]);
    assert_eq!(target.erase(&table, &Unwatched, &endless).await.unwrap().rows, 1, "it goes on");
}

#[tokio::test]
async fn rows_accepted_later_do_not_keep_it_going() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    table.append(Rows::Batches(vec![rows(&[(5, "ann", "a")])]), None).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    // The test's rows say that they were accepted at time 0.
    let target = Target { tenant_folder: folder.clone(), user_key: "ann".to_owned(), until_ms: -1 };
    assert_eq!(target.erase(&table, &Unwatched, &endless).await.unwrap(), Erased::default());
    assert_eq!(stored(&folder).len(), 1);
}

#[tokio::test]
async fn files_of_evidence_tell_whether_they_hold_the_user() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    table.append(Rows::Batches(vec![rows(&[(5, "ann", "a")])]), None).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    let (file, _) = parquet_files(&folder.join(ACTIVITIES)).unwrap().remove(0);
    let file = format!("{ACTIVITIES}/{file}");
    assert!(holds_user(&folder, &file, "ann").unwrap());
    assert!(!holds_user(&folder, &file, "an").unwrap());
    assert!(!holds_user(&folder, "evidence/day=1970-01-01/gone.parquet", "ann").unwrap());
    assert!(holds_user(&folder, "../x", "ann").is_err());
}

/// The rows as accepted at another time.
fn accepted_at(batch: &RecordBatch, at_ms: i64) -> RecordBatch {
    let at = batch.schema().index_of(INGESTED_AT).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(Int64Array::from(vec![at_ms; batch.num_rows()])) as ArrayRef;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

#[tokio::test]
async fn rows_accepted_while_the_clock_was_ahead_go_too() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let ahead = accepted_at(&rows(&[(5, "ann", "a"), (6, "bob", "b")]), 900);
    table.append(Rows::Batches(vec![ahead]), None).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    let target = Target::up_to_now(folder.clone(), "ann".to_owned(), 100).unwrap();
    assert_eq!(target.until_ms, 900);
    assert_eq!(target.erase(&table, &Unwatched, &endless).await.unwrap().rows, 1);
    assert_eq!(stored(&folder), [("bob".to_owned(), "b".to_owned())]);
}

fn live(table: &ActivityTable) -> Vec<LiveFile> {
    live_days(&table.current()).unwrap().remove(&Day::from_days_since_epoch(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_for_a_day_stays_known_and_a_sorted_day_stays_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    for batch in [rows(&[(5, "ann", "a"), (6, "bob", "b")]), rows(&[(4, "bob", "c"), (3, "zoe", "d")])] {
        table.append(Rows::Batches(vec![batch]), None).await.unwrap();
    }
    let first = Written::of(&live(&table));
    let day = Day::from_days_since_epoch(0);
    compact(&table, &dir.path().join("tmp"), day, &live(&table), DayLayout::Sorted, &|| Ok(())).await.unwrap();
    let sorted = live(&table);
    let folder = lake.tenant_folder(tenant());
    for (user, left) in [("ann", 3), ("bob", 1)] {
        let before = Written::of(&live(&table));
        let target = Target::up_to_now(folder.clone(), user.to_owned(), 0).unwrap();
        target.erase(&table, &Unwatched, &endless).await.unwrap();
        let after = live(&table);
        assert_eq!(after.iter().map(|file| file.rows).sum::<u64>(), left);
        assert!(is_sorted(&after) && after[0].run == sorted[0].run, "{after:?}");
        let written = Written { written: before.written + after[0].bytes, ..first };
        assert_eq!(Written::of(&after), written);
    }
    let check = check_table(&folder, tenant().id, true, &Unwatched).unwrap();
    assert_eq!(check.findings, []);
    table.append(Rows::Batches(vec![rows(&[(5, "ann", "e"), (6, "bob", "f")])]), None).await.unwrap();
    let before = Written::of(&live(&table));
    Target::up_to_now(folder, "ann".to_owned(), 0).unwrap().erase(&table, &Unwatched, &endless).await.unwrap();
    let after = live(&table);
    let new = after.iter().find(|file| file.run.is_none()).unwrap();
    assert_eq!(Written::of(&after), Written { written: before.written + new.bytes, ..before });
}
