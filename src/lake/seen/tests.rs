//! Indexes over real tables, against a naive model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use proptest::prelude::*;

use super::index::MostWaiting;
use super::*;
use crate::domain::activity::{INGESTED_AT, SOURCE, lake_schema};
use crate::lake::check::DELTA_LOG;
use crate::lake::data_files::Rows;
use crate::lake::erase;
use crate::lake::layout::ACTIVITIES;
use crate::lake::rewrite::Rewrite;
use crate::lake::table::ActivityTable;
use crate::lake::tables::Lake;
use crate::lake::testing::{self, tenant};

const HOUR_MS: i64 = DAY_MS / 24;
const SOURCES: [&str; 2] = ["okta", "box"];

fn rows(ids: &[u8], source: &str, stored_ms: i64) -> RecordBatch {
    let names: Vec<String> = ids.iter().map(u8::to_string).collect();
    let rows: Vec<_> = names.iter().map(|name| (5, "ann", name.as_str())).collect();
    let batch = testing::rows(&rows);
    let schema = lake_schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match field.name().as_str() {
        SOURCE => Arc::new(StringArray::from(vec![source; ids.len()])) as ArrayRef,
        INGESTED_AT => Arc::new(Int64Array::from(vec![stored_ms; ids.len()])),
        _ => Arc::clone(column),
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

/// A table, its indexes, and what should be known.
struct World {
    _dir: tempfile::TempDir,
    lake: Arc<Lake>,
    table: Arc<ActivityTable>,
    indexes: SeenIndexes,
    now_ms: i64,
    model: HashMap<(usize, u8), i64>,
}

fn indexes(lake: &Lake) -> SeenIndexes {
    let folder = lake.tenant_folder(tenant());
    SeenIndexes::with(folder.parent().unwrap().to_owned(), MostWaiting { usually: 12, anew: 30 })
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let table = lake.table(tenant()).await.unwrap();
        let indexes = indexes(&lake);
        Self { _dir: dir, lake, table, indexes, now_ms: 100 * DAY_MS, model: HashMap::new() }
    }

    fn folder(&self) -> PathBuf {
        self.lake.tenant_folder(tenant()).join("seen")
    }

    async fn store(&mut self, source: usize, ids: &[u8]) {
        self.store_at(source, ids, self.now_ms).await;
    }

    async fn store_at(&mut self, source: usize, ids: &[u8], stored_ms: i64) {
        let rows = Rows::Batches(vec![rows(ids, SOURCES[source], stored_ms)]);
        self.table.append(rows, None).await.unwrap();
        for id in ids {
            let known = self.model.entry((source, *id)).or_insert(stored_ms);
            *known = stored_ms.max(*known);
        }
    }

    /// What the index says of every id, and what the model says.
    fn compare(&self, source: usize) {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let hashes: Vec<IdHash> = all.iter().map(|id| IdHash::of(&id.to_string())).collect();
        let gate = self.indexes.gate(tenant(), SOURCES[source]);
        let (stored, _) = gate.are_stored(&self.table, &hashes, self.now_ms).unwrap();
        for (id, stored) in all.iter().zip(stored) {
            let known = self.model.get(&(source, *id)).is_some_and(|ms| *ms > self.now_ms - WINDOW_MS);
            assert_eq!(stored, known, "{id} of {}", SOURCES[source]);
        }
    }

    /// Every row leaves the table, as retention does it.
    async fn remove_all(&mut self) {
        let current = self.table.current();
        let live: Vec<String> = current.snapshot().unwrap().log_data().iter().map(|f| f.path().into_owned()).collect();
        if !live.is_empty() {
            self.table.replace_files(live, Vec::new(), Rewrite::LessRows).await.unwrap();
            self.model.clear();
        }
    }

    /// All rows in one new file, as upkeep does it; the old files are deleted.
    async fn compact(&self) {
        let current = self.table.current();
        let table = self.lake.tenant_folder(tenant()).join(ACTIVITIES);
        let (mut live, mut batches) = (Vec::new(), Vec::new());
        for file in current.snapshot().unwrap().log_data().iter() {
            #[expect(deprecated, reason = "as upkeep does")]
            let add = file.add_action();
            for batch in erase::open(&table, &add, None).unwrap() {
                batches.push(erase::as_lake_rows(&batch.unwrap(), &add).unwrap());
            }
            live.push(add.path);
        }
        let added = self.table.data_folder().write_sorted(batches).await.unwrap();
        if !added.is_empty() {
            self.table.replace_files(live.clone(), added, Rewrite::SameRows).await.unwrap();
            for path in live {
                std::fs::remove_file(table.join(path)).unwrap();
            }
        }
    }

    /// The log forgets all but its newest entry.
    fn clean_log(&self) {
        let log = self.lake.tenant_folder(tenant()).join(ACTIVITIES).join(DELTA_LOG);
        for version in 0..self.table.version() {
            set::remove(&log.join(format!("{version:020}.json")));
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for source in std::fs::read_dir(folder).into_iter().flatten() {
        found.extend(std::fs::read_dir(source.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
    }
    found.sort();
    found
}

#[derive(Debug, Clone)]
enum Step {
    Store(usize, Vec<u8>),
    Compare(usize),
    Clock(i64),
    Restart,
    CloseAll,
    DeleteIndex,
    FlipByte(usize, usize),
    DeleteFile(usize),
    RemoveAll,
    Compact,
    CleanLog,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, prop::collection::vec(any::<u8>(), 1..30)).prop_map(|(s, ids)| Step::Store(s, ids)),
        5 => (0..2_usize).prop_map(Step::Compare),
        3 => (-40..80_i64).prop_map(|hours| Step::Clock(hours * HOUR_MS)),
        1 => (-9..9_i64).prop_map(|days| Step::Clock(days * DAY_MS)),
        1 => Just(Step::Restart),
        2 => Just(Step::CloseAll),
        1 => Just(Step::DeleteIndex),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(file, byte)| Step::FlipByte(file, byte)),
        1 => any::<usize>().prop_map(Step::DeleteFile),
        1 => Just(Step::RemoveAll),
        1 => Just(Step::Compact),
        1 => Just(Step::CleanLog),
    ]
}

async fn run(steps: Vec<Step>) {
    let mut world = World::new().await;
    for step in steps {
        match step {
            Step::Store(source, ids) => world.store(source, &ids).await,
            Step::Compare(source) => world.compare(source),
            Step::Clock(by_ms) => world.now_ms += by_ms,
            // As a kill does it: what is in memory is lost.
            Step::Restart => world.indexes = indexes(&world.lake),
            Step::CloseAll => {
                world.indexes.close_all(world.now_ms);
                assert_eq!(world.indexes.open(), (0, 0));
            }
            Step::DeleteIndex => drop(std::fs::remove_dir_all(world.folder())),
            Step::FlipByte(file, byte) => {
                let files = files(&world.folder());
                if let Some(path) = files.get(file.checked_rem(files.len()).unwrap_or(0)) {
                    let mut content = std::fs::read(path).unwrap();
                    let at = byte.checked_rem(content.len()).unwrap_or(0);
                    content[at] ^= 0x10;
                    std::fs::write(path, content).unwrap();
                    // A disk that changes below an open index is another matter.
                    world.indexes = indexes(&world.lake);
                }
            }
            Step::DeleteFile(file) => {
                let files = files(&world.folder());
                if let Some(path) = files.get(file.checked_rem(files.len()).unwrap_or(0)) {
                    std::fs::remove_file(path).unwrap();
                }
            }
            Step::RemoveAll => world.remove_all().await,
            Step::Compact => world.compact().await,
            Step::CleanLog => world.clean_log(),
        }
    }
    world.compare(0);
    world.compare(1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn an_index_knows_what_the_table_holds_whatever_happens_to_it(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Runtime::new().unwrap().block_on(run(steps));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_days_end_to_the_millisecond_and_count_from_the_last_storing() {
    let mut world = World::new().await;
    world.store(0, &[1, 2]).await;
    world.now_ms += WINDOW_MS - 1;
    world.compare(0);
    world.store(0, &[2]).await;
    world.now_ms += 1;
    world.compare(0);
    let ask = |id: &str| {
        let gate = world.indexes.gate(tenant(), SOURCES[0]);
        gate.are_stored(&world.table, &[IdHash::of(id)], world.now_ms).unwrap().0[0]
    };
    assert_eq!((ask("1"), ask("2")), (false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_goes_on_where_it_was_closed_and_reads_no_file_twice() {
    let mut world = World::new().await;
    world.store(0, &[1, 2]).await;
    world.compare(0);
    world.indexes.close_all(world.now_ms);
    // If the index were made anew, it would need this file.
    for (file, _) in crate::lake::check::parquet_files(&world.lake.tenant_folder(tenant()).join(ACTIVITIES)).unwrap() {
        std::fs::remove_file(world.lake.tenant_folder(tenant()).join(ACTIVITIES).join(file)).unwrap();
    }
    world.store(0, &[3]).await;
    world.compare(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_history_of_the_table_is_not_taken_for_this_one() {
    let mut world = World::new().await;
    world.store(0, &[1, 2]).await;
    world.compare(0);
    world.indexes.close_all(world.now_ms);
    let kept = std::fs::read_dir(world.folder().join(SOURCES[0])).unwrap();
    let kept: Vec<_> = kept.map(|file| file.unwrap().path()).map(|p| (p.clone(), std::fs::read(p).unwrap())).collect();
    let mut other = World::new().await;
    other.store(0, &[7]).await;
    std::fs::create_dir_all(other.folder().join(SOURCES[0])).unwrap();
    for (path, content) in kept {
        std::fs::write(other.folder().join(SOURCES[0]).join(path.file_name().unwrap()), content).unwrap();
    }
    assert_eq!(other.table.version(), world.table.version());
    other.compare(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_in_the_folder_is_deleted() {
    let mut world = World::new().await;
    world.store(0, &(0..20).collect::<Vec<_>>()).await;
    world.compare(0);
    let folder = world.folder().join(SOURCES[0]);
    let before = files(&world.folder());
    std::fs::write(folder.join("0123.run"), "half").unwrap();
    world.indexes = indexes(&world.lake);
    world.compare(0);
    assert_eq!(files(&world.folder()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_use_stays_open_and_the_others_are_closed() {
    let mut world = World::new().await;
    world.store(0, &[1]).await;
    let used = world.indexes.gate(tenant(), SOURCES[0]);
    world.compare(0);
    world.compare(1);
    assert_eq!(world.indexes.open().0, 2);
    world.indexes.close_all(world.now_ms);
    assert_eq!(world.indexes.open().0, 1);
    drop(used);
    world.indexes.dropped(tenant());
    assert_eq!(world.indexes.open(), (0, 0));
}

#[test]
fn a_claim_waits_for_another_with_one_of_its_ids_and_for_no_other() {
    let indexes = SeenIndexes::new(PathBuf::new());
    let gate = indexes.gate(tenant(), SOURCES[0]);
    let claim = |ids: &[u8]| {
        let mut set = SeenSet::new(PathBuf::new(), 10);
        for id in ids {
            set.insert(IdHash::of(&id.to_string()), 0);
        }
        Claim::new(Arc::new(set))
    };
    let held = |claim: &mut Claim| match gate.claim(claim).unwrap() {
        Claimed::Held(guard) => guard,
        Claimed::Wait(_) => panic!("it has to wait"),
    };
    let first = held(&mut claim(&[1, 2]));
    let second = held(&mut claim(&[3]));
    let mut third = claim(&[2, 3]);
    let Claimed::Wait(ended) = gate.claim(&mut third).unwrap() else { panic!("the first has an id of it") };
    assert!(!ended.is_cancelled());
    drop(first);
    assert!(ended.is_cancelled());
    let Claimed::Wait(ended) = gate.claim(&mut third).unwrap() else { panic!("the second has an id of it") };
    drop(second);
    assert!(ended.is_cancelled());
    let third = held(&mut third);
    let Claimed::Wait(_) = gate.claim(&mut claim(&[3])).unwrap() else { panic!("the third has it now") };
    drop(third);
    drop(held(&mut claim(&[2, 3])));
}
