//! Copying while files come and go.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::table::{copy_tenant, estimate};
use crate::domain::anomaly::AnomalyId;
use crate::lake::check::{DELTA_LOG, Kind, check_table, parquet_files};
use crate::lake::data_files::Rows;
use crate::lake::layout::ACTIVITIES;
use crate::lake::rewrite::Rewrite;
use crate::lake::testing::{self, rows, tenant};
use crate::lake::upkeep::log::tidy_log;
use crate::lake::watch::{Unwatched, Watch};
use crate::registry::checks::RecordedFile;

/// Does something as soon as the first bytes are copied, once.
struct Meanwhile<F>(F, AtomicBool);

impl<F: Fn() + Send + Sync> Watch for Meanwhile<F> {
    fn planned(&self, _: u64) {}

    fn done(&self, _: u64) {
        if !self.1.swap(true, Ordering::Relaxed) {
            (self.0)();
        }
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// A tenant's folder with two files; the first is taken out by version 3.
async fn tenant_with_a_replaced_file() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    let activities = folder.join(ACTIVITIES);
    table.append(Rows::Batches(vec![rows(&[(5, "ann", "a")])]), None).await.unwrap();
    let (first, _) = parquet_files(&activities).unwrap().remove(0);
    table.append(Rows::Batches(vec![rows(&[(6, "bob", "b")])]), None).await.unwrap();
    table.replace_files(vec![first.clone()], vec![], Rewrite::LessRows).await.unwrap();
    (dir, folder, activities.join(first))
}

#[tokio::test]
async fn a_file_that_is_vacuumed_meanwhile_leads_to_a_newer_version() {
    let (_dir, folder, first) = tenant_with_a_replaced_file().await;
    let entry = folder.join(ACTIVITIES).join(DELTA_LOG).join("00000000000000000003.json");
    let hidden = folder.join("hidden");
    std::fs::rename(&entry, &hidden).unwrap();
    let publish = || {
        std::fs::rename(&hidden, &entry).unwrap();
        std::fs::remove_file(&first).unwrap();
    };
    let backup = tempfile::tempdir().unwrap();
    let copied = copy_tenant(&folder, backup.path(), &[], &Meanwhile(publish, AtomicBool::new(false))).unwrap();
    assert_eq!((copied.damage.len(), copied.last_group, copied.files.len()), (0, Some(2), 5), "{copied:?}");
    let check = check_table(backup.path(), tenant().id, true, &Unwatched).unwrap();
    assert_eq!((check.version, check.rows, check.findings.len()), (Some(3), 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cleaned_up_meanwhile_is_copied_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = testing::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let folder = lake.tenant_folder(tenant());
    let log = folder.join(ACTIVITIES).join(DELTA_LOG);
    let append = async |times: usize| {
        for _ in 0..times {
            table.append(Rows::Batches(vec![rows(&[(5, "ann", "a")])]), None).await.unwrap();
        }
    };
    append(12).await;
    // A checkpoint, and the entries before it too young to go.
    assert_eq!(tidy_log(&table, i64::MAX / 2, u64::MAX, 0).await.unwrap(), 0);
    append(12).await;
    let (before, after) = (folder.join("before"), folder.join("after"));
    std::fs::create_dir(&before).unwrap();
    for entry in std::fs::read_dir(&log).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), before.join(entry.file_name())).unwrap();
    }
    assert!(tidy_log(&table, 0, u64::MAX, i64::MAX / 2).await.unwrap() > 12);
    std::fs::rename(&log, &after).unwrap();
    std::fs::rename(&before, &log).unwrap();
    let tidy = || {
        std::fs::remove_dir_all(&log).unwrap();
        std::fs::rename(&after, &log).unwrap();
    };
    let backup = tempfile::tempdir().unwrap();
    let copied = copy_tenant(&folder, backup.path(), &[], &Meanwhile(tidy, AtomicBool::new(false))).unwrap();
    assert_eq!((copied.damage.len(), copied.last_group), (0, Some(24)), "{copied:?}");
    let check = check_table(backup.path(), tenant().id, true, &Unwatched).unwrap();
    assert_eq!((check.version, check.rows, check.findings.len()), (Some(24), 24, 0));
}

#[tokio::test]
async fn later_commits_are_not_in_the_copy() {
    let (_dir, folder, _) = tenant_with_a_replaced_file().await;
    let entry = folder.join(ACTIVITIES).join(DELTA_LOG).join("00000000000000000003.json");
    let hidden = folder.join("hidden");
    std::fs::rename(&entry, &hidden).unwrap();
    let publish = || std::fs::rename(&hidden, &entry).unwrap();
    let backup = tempfile::tempdir().unwrap();
    let copied = copy_tenant(&folder, backup.path(), &[], &Meanwhile(publish, AtomicBool::new(false))).unwrap();
    assert!(copied.damage.is_empty());
    let check = check_table(backup.path(), tenant().id, true, &Unwatched).unwrap();
    assert_eq!((check.version, check.rows, check.findings.len()), (Some(2), 2, 0));
}

#[tokio::test]
async fn a_lost_file_is_told_and_lost_evidence_is_made_anew() {
    let (_dir, folder, _) = tenant_with_a_replaced_file().await;
    let evidence = |n: i64| RecordedFile {
        anomaly: AnomalyId::try_from(n).unwrap(),
        file: format!("evidence/day=1970-01-01/{n}-1-x.parquet"),
        rows: 1,
        bytes: 3,
        sha256: "of something else".to_owned(),
        lake_version: 1,
    };
    let recorded = [evidence(1), evidence(2)];
    assert!(estimate(&folder, &recorded).unwrap() > 6);
    let present = folder.join(&recorded[1].file);
    std::fs::create_dir_all(present.parent().unwrap()).unwrap();
    std::fs::write(present, "abc").unwrap();
    let live = crate::lake::check::Log::read(&folder.join(ACTIVITIES)).unwrap().state.unwrap().live;
    let lost = folder.join(ACTIVITIES).join(live.keys().next().unwrap());
    std::fs::remove_file(lost).unwrap();
    let backup = tempfile::tempdir().unwrap();
    let copied = copy_tenant(&folder, backup.path(), &recorded, &Unwatched).unwrap();
    let kinds: Vec<_> = copied.damage.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::FileMissing, Kind::EvidenceChecksum]);
    assert_eq!(copied.lost_evidence, [recorded[0].anomaly]);
}
