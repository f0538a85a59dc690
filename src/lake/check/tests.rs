//! Every kind of damage, planted in a table that the product wrote, must be found under its name.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Date32Array, RecordBatch};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::domain::activity::DAY;
use crate::lake::data_files::Rows;
use crate::lake::delta::CHECKPOINT_INTERVAL;
use crate::lake::tables::Lake;
use crate::lake::testing::{self, rows, tenant};
use crate::lake::watch::Unwatched;

const DAY_MS: i64 = 86_400_000;

/// A tenant's table on disk.
struct Table {
    _dir: TempDir,
    lake: Arc<Lake>,
}

impl Table {
    /// With these appends, a commit each.
    async fn of(appends: impl IntoIterator<Item = RecordBatch>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(tenant()).await.unwrap();
        for batch in appends {
            table.append(Rows::Batches(vec![batch]), None).await.unwrap();
        }
        Self { _dir: dir, lake }
    }

    /// Two days, two commits.
    async fn small() -> Self {
        let user = |n: usize| ["ann", "bob", "carl"][n % 3];
        let ids: Vec<String> = (0..2000).map(|n| format!("activity {n}")).collect();
        let many: Vec<_> = (0..).zip(&ids).enumerate().map(|(n, (ms, id))| (ms, user(n), id.as_str())).collect();
        Self::of([rows(&many), rows(&[(DAY_MS + 1, "bob", "b"), (2, "ann", "a")])]).await
    }

    fn folder(&self) -> PathBuf {
        self.lake.tenant_folder(tenant())
    }

    fn check(&self, deep: bool) -> TableCheck {
        check_table(&self.folder(), tenant().id, deep, &Unwatched).unwrap()
    }

    /// Kinds of the damage found, sorted.
    fn damage(&self, deep: bool) -> Vec<Kind> {
        let mut kinds: Vec<_> = self.check(deep).findings.iter().filter(|f| f.is_damage()).map(|f| f.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    fn log(&self, version: u64) -> PathBuf {
        self.folder().join(format!("{ACTIVITIES}/{DELTA_LOG}/{version:020}.json"))
    }

    fn checkpoint(&self, version: u64) -> PathBuf {
        self.folder().join(format!("{ACTIVITIES}/{DELTA_LOG}/{version:020}.checkpoint.parquet"))
    }

    /// The largest data file.
    fn data_file(&self) -> PathBuf {
        let table = self.folder().join(ACTIVITIES);
        let found = parquet_files(&table).unwrap();
        table.join(found.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap().0)
    }

    fn change_log(&self, version: u64, change: impl FnOnce(String) -> String) {
        let path = self.log(version);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = change(text.clone());
        assert_ne!(changed, text, "nothing was changed");
        std::fs::write(path, changed).unwrap();
    }
}

fn flip(path: &PathBuf, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[tokio::test]
async fn a_sound_table_is_clean() {
    let table = Table::small().await;
    for deep in [false, true] {
        let check = table.check(deep);
        assert_eq!(check.findings, [], "deep: {deep}");
        assert_eq!((check.version, check.last_group, check.rows), (Some(2), 2, 2002));
        assert_eq!((check.live.files, check.removed.files, check.garbage.files), (3, 0, 0));
    }
    let never = check_table(&table.folder().join("none"), tenant().id, true, &Unwatched).unwrap();
    assert_eq!((never.version, never.findings.len()), (None, 0));
}

#[tokio::test]
async fn a_removed_or_truncated_file_is_named() {
    let table = Table::small().await;
    let path = table.data_file();
    let size = path.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
    assert_eq!(table.damage(false), [Kind::FileSize, Kind::FooterUnreadable]);
    std::fs::remove_file(&path).unwrap();
    let findings = table.check(false).findings;
    assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::FileMissing]);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(findings[0].path.as_ref().unwrap().ends_with(name), "{findings:?}");
}

#[tokio::test]
async fn a_flipped_byte_is_found_wherever_it_is() {
    let table = Table::small().await;
    let path = table.data_file();
    let size = path.metadata().unwrap().len();
    for at in (0..size).step_by(usize::try_from(size / 40).unwrap()) {
        flip(&path, at);
        assert!(table.damage(true).contains(&Kind::FileChecksum), "byte {at} of {size}");
        flip(&path, at);
    }
    assert!(table.damage(true).is_empty());
}

#[tokio::test]
async fn a_file_without_a_checksum_is_judged_by_its_pages_and_bounds() {
    let table = Table::small().await;
    // As an earlier version of the program wrote it.
    table.change_log(1, |text| {
        let lines = text.lines().flat_map(|line| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            if let Some(add) = value.get_mut("add") {
                add.as_object_mut().unwrap().remove("tags");
            }
            if let Some(info) = value.get_mut("commitInfo") {
                info.as_object_mut().unwrap().remove(crate::lake::checksums::ACTIONS_FIELD);
            }
            [value.to_string(), "\n".to_owned()]
        });
        lines.collect()
    });
    assert!(table.damage(true).is_empty());
    // The header of the first page, behind the four bytes that begin every file.
    for at in 4..12 {
        flip(&table.data_file(), at);
    }
    assert_eq!(table.damage(true), [Kind::PageUnreadable]);
    assert!(table.damage(false).is_empty(), "pages are read by a deep check only");
}

#[tokio::test]
async fn rows_in_the_folder_of_another_day_are_found() {
    let batch = rows(&[(5, "ann", "a"), (DAY_MS + 5, "bob", "b")]);
    let at = batch.schema().index_of(DAY).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(Date32Array::from(vec![0, 0]));
    let moved = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let table = Table::of([moved]).await;
    for deep in [false, true] {
        assert_eq!(table.damage(deep), [Kind::WrongDay], "deep: {deep}");
    }
}

#[tokio::test]
async fn rows_of_another_tenant_are_found() {
    let table = Table::of([rows(&[(5, "ann", "a")])]).await;
    let other = TenantId::try_from(7).unwrap();
    let check = check_table(&table.folder(), other, true, &Unwatched).unwrap();
    assert_eq!(check.findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::WrongTenant]);
}

#[tokio::test]
async fn a_changed_entry_of_the_log_is_found() {
    type Change<'a> = &'a dyn Fn(&mut Value);
    let statistics = |add: &mut Value, change: fn(&mut Value)| {
        let mut statistics = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
        change(&mut statistics);
        add["stats"] = statistics.to_string().into();
    };
    let changes: [(Change<'_>, Kind); 3] = [
        (&|add| add["size"] = 7.into(), Kind::FileSize),
        (&|add| statistics(add, |s| s["numRecords"] = 7.into()), Kind::RowCount),
        (&|add| statistics(add, |s| s["minValues"]["timeStamp"] = 7.into()), Kind::Statistics),
    ];
    for (change, kind) in changes {
        let table = Table::small().await;
        table.change_log(1, |text| {
            let lines = text.lines().flat_map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                if let Some(add) = line.get_mut("add") {
                    change(add);
                }
                [line.to_string(), "\n".to_owned()]
            });
            lines.collect()
        });
        assert_eq!(table.damage(false), [Kind::LogChanged, kind]);
    }
    let table = Table::small().await;
    table.change_log(2, |text| text.split_inclusive('\n').filter(|line| !line.contains("1970-01-02")).collect());
    assert_eq!(table.damage(false), [Kind::LogChanged], "an added file was taken out");
    assert_eq!(table.check(false).garbage.files, 1);
    let table = Table::small().await;
    table.change_log(2, |text| text[..text.len() / 2].to_owned());
    assert_eq!(table.damage(false), [Kind::LogUnreadable]);
}

#[tokio::test]
async fn a_missing_entry_of_the_log_is_found() {
    let table = Table::small().await;
    std::fs::remove_file(table.log(1)).unwrap();
    let findings = table.check(true).findings;
    assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::LogGap]);
    assert!(findings[0].path.as_ref().unwrap().ends_with("00000000000000000001.json"));
    let table = Table::small().await;
    std::fs::remove_file(table.log(0)).unwrap();
    assert_eq!(table.damage(false), [Kind::LogGap]);
    std::fs::remove_dir_all(table.folder().join(ACTIVITIES).join(DELTA_LOG)).unwrap();
    assert_eq!(table.damage(false), [Kind::LogMissing]);
}

/// A table with a checkpoint and a commit after it.
async fn with_checkpoint() -> Table {
    let last = i64::try_from(CHECKPOINT_INTERVAL).unwrap();
    let table = Table::of((0..=last).map(|n| rows(&[(n, "ann", "a")]))).await;
    let path = table.checkpoint(CHECKPOINT_INTERVAL);
    while !path.with_file_name(LAST_CHECKPOINT).exists() {
        tokio::task::yield_now().await;
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_read_and_compared() {
    let table = with_checkpoint().await;
    assert_eq!(table.check(true).findings, []);
    // Cleaned up, as upkeep does: the checkpoint stands for what is gone, checksums included.
    for version in 0..CHECKPOINT_INTERVAL {
        std::fs::rename(table.log(version), table.folder().join(version.to_string())).unwrap();
    }
    let check = table.check(true);
    assert_eq!((check.findings.len(), check.rows, check.last_group), (0, 51, 51));
    let file = table.data_file();
    let middle = file.metadata().unwrap().len() / 2;
    flip(&file, middle);
    assert!(table.damage(true).contains(&Kind::FileChecksum));
    flip(&file, middle);
    for version in 0..CHECKPOINT_INTERVAL {
        std::fs::rename(table.folder().join(version.to_string()), table.log(version)).unwrap();
    }

    // A gap before it is no loss, one after it is.
    std::fs::remove_file(table.log(7)).unwrap();
    let findings = table.check(false).findings;
    assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::OldLogGap]);

    let checkpoint = table.checkpoint(CHECKPOINT_INTERVAL);
    let size = checkpoint.metadata().unwrap().len();
    OpenOptions::new().write(true).open(&checkpoint).unwrap().set_len(size / 2).unwrap();
    assert_eq!(table.damage(false), [Kind::LogGap, Kind::CheckpointUnreadable]);
    std::fs::remove_file(&checkpoint).unwrap();
    assert_eq!(table.damage(false), [Kind::LogGap, Kind::CheckpointMissing]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_lacks_a_file_is_found() {
    let (table, other) = (with_checkpoint().await, with_checkpoint().await);
    let version = CHECKPOINT_INTERVAL;
    std::fs::copy(other.checkpoint(version), table.checkpoint(version)).unwrap();
    let findings = table.check(false).findings;
    assert_eq!(findings.iter().map(|f| f.kind).collect::<Vec<_>>(), [Kind::CheckpointDiffers]);
    assert!(findings[0].detail.contains("more"), "{findings:?}");
}

#[tokio::test]
async fn files_of_no_version_are_told_apart() {
    let table = Table::small().await;
    let file = table.data_file();
    std::fs::copy(&file, file.with_file_name("part-of-nothing.parquet")).unwrap();
    let check = table.check(false);
    assert_eq!(
        (check.findings.len(), check.garbage.files, check.garbage.bytes),
        (0, 1, file.metadata().unwrap().len())
    );
    let open = table.lake.table(tenant()).await.unwrap();
    let removed = file.strip_prefix(table.folder().join(ACTIVITIES)).unwrap().to_str().unwrap().to_owned();
    open.replace_files(vec![removed], vec![], crate::lake::rewrite::Rewrite::LessRows).await.unwrap();
    let check = table.check(true);
    assert_eq!((check.findings.len(), check.live.files, check.removed.files, check.garbage.files), (0, 2, 1, 1));
}

#[tokio::test]
async fn evidence_is_compared_to_the_last_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = "evidence/day=1970-01-01/1-1-x.parquet";
    let store: Arc<dyn object_store::ObjectStore> =
        Arc::new(object_store::local::LocalFileSystem::new_with_prefix(dir.path()).unwrap());
    let batches = futures::stream::iter([Ok(rows(&[(5, "ann", "a"), (6, "bob", "b")]))]);
    let made = crate::lake::evidence_files::write_evidence(store, path.to_owned(), batches, 0, None).await.unwrap();
    let recorded = RecordedEvidence { path: made.path, rows: made.rows, bytes: made.bytes, sha256: made.sha256 };
    let kinds = |recorded: &RecordedEvidence| -> Vec<Kind> {
        recorded.check(dir.path(), &Unwatched).unwrap().into_iter().map(|finding| finding.kind).collect()
    };
    assert!(kinds(&recorded).is_empty());
    assert_eq!(kinds(&RecordedEvidence { rows: 3, ..recorded.clone() }), [Kind::EvidenceRows]);
    assert_eq!(kinds(&RecordedEvidence { bytes: 3, ..recorded.clone() }), [Kind::EvidenceSize]);
    assert_eq!(kinds(&RecordedEvidence { sha256: String::new(), ..recorded.clone() }), [Kind::EvidenceChecksum]);
    assert_eq!(kinds(&RecordedEvidence { path: "../x".to_owned(), ..recorded.clone() }), [Kind::PathOutside]);
    let file = dir.path().join(path);
    flip(&file, recorded.bytes / 2);
    assert!(kinds(&recorded).contains(&Kind::EvidenceChecksum));
    std::fs::write(&file, vec![0; usize::try_from(recorded.bytes).unwrap()]).unwrap();
    assert_eq!(kinds(&recorded), [Kind::EvidenceChecksum, Kind::EvidenceUnreadable]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(kinds(&recorded), [Kind::EvidenceMissing]);
    std::fs::write(file.with_file_name("2-1-y.parquet"), "12345").unwrap();
    let unnamed = unnamed_evidence(dir.path(), &[recorded]).unwrap();
    assert_eq!(unnamed, [("evidence/day=1970-01-01/2-1-y.parquet".to_owned(), 5)]);
}
