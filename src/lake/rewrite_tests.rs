//! Replacing files: what is refused, what stays readable, what a rewrite does to sizes and evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake::kernel::Add;

use super::data_files::Rows;
use super::error::LakeError;
use super::file_ranges::Wanted;
use super::rewrite::Rewrite;
use super::table::ActivityTable;
use super::testing::{lake, rows, tenant};

/// Rows by path of the newest snapshot.
fn live(table: &ActivityTable) -> BTreeMap<String, usize> {
    let (snapshot, _) = table.snapshot();
    let state = snapshot.snapshot().unwrap();
    state.log_data().iter().map(|file| (file.path().into_owned(), file.num_records().unwrap())).collect()
}

async fn append(table: &ActivityTable, ids: &[&str]) {
    let batch = rows(&ids.iter().map(|id| (1, "ann", *id)).collect::<Vec<_>>());
    table.append(Rows::Batches(vec![batch]), None).await.unwrap();
}

async fn written(table: &ActivityTable, ids: &[&str]) -> Vec<Add> {
    let batch = rows(&ids.iter().map(|id| (1, "ann", *id)).collect::<Vec<_>>());
    table.data_folder().write_sorted(vec![batch]).await.unwrap()
}

fn on_disk(dir: &tempfile::TempDir, path: &str) -> bool {
    dir.path().join("lake/tenant=5618-1/activities").join(path).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_replaced_once_and_only_while_they_are_live() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    append(&table, &["a"]).await;
    append(&table, &["b"]).await;
    let old: Vec<String> = live(&table).into_keys().collect();
    let (first, second) = (written(&table, &["a", "b"]).await, written(&table, &["a", "b"]).await);
    let size = u64::try_from(first[0].size).unwrap();
    let before = table.live_bytes();
    let done = table.replace_files(old.clone(), first.clone(), Rewrite::SameRows).await.unwrap();
    assert_eq!((done.version, done.rows_removed, done.bytes_removed, done.bytes_added), (3, 0, before, size));
    assert_eq!((table.live_bytes(), table.version(), table.last_group()), (size, 3, 2));
    // The library would commit this one too, and every row would be there twice.
    let again = table.replace_files(old.clone(), second.clone(), Rewrite::SameRows).await;
    assert!(matches!(again, Err(LakeError::Superseded { .. })), "{again:?}");
    assert_eq!(live(&table), BTreeMap::from([(first[0].path.clone(), 2)]));
    assert!(old.iter().all(|path| on_disk(&dir, path)), "a query that runs still reads them");
    assert!(!on_disk(&dir, &second[0].path), "what was refused is deleted");
    append(&table, &["c"]).await;
    drop((table, lake));
    let (lake, _) = self::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    assert_eq!(live(&table).values().sum::<usize>(), 3);
    assert_eq!((table.last_group(), table.version()), (3, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_can_neither_be_added_nor_lost_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    append(&table, &["a", "b"]).await;
    let old: Vec<String> = live(&table).into_keys().collect();
    for (rewrite, ids) in
        [(Rewrite::SameRows, &["a"][..]), (Rewrite::SameRows, &["a", "b", "c"]), (Rewrite::LessRows, &["a", "b", "c"])]
    {
        let added = written(&table, ids).await;
        let refused = table.replace_files(old.clone(), added.clone(), rewrite).await;
        assert!(matches!(refused, Err(LakeError::Inconsistent(_))), "{rewrite:?} {ids:?}: {refused:?}");
        assert!(!on_disk(&dir, &added[0].path));
    }
    for nonsense in [vec![], vec![old[0].clone(), old[0].clone()]] {
        let refused = table.replace_files(nonsense, Vec::new(), Rewrite::LessRows).await;
        assert!(matches!(refused, Err(LakeError::Inconsistent(_))), "{refused:?}");
    }
    assert_eq!(table.version(), 1);
    let less = table.replace_files(old, written(&table, &["b"]).await, Rewrite::LessRows).await.unwrap();
    assert_eq!((less.rows_removed, live(&table).into_values().collect::<Vec<_>>()), (1, vec![1]));
    let rest: Vec<String> = live(&table).into_keys().collect();
    assert_eq!(table.replace_files(rest, Vec::new(), Rewrite::LessRows).await.unwrap().rows_removed, 1);
    assert_eq!((live(&table).len(), table.live_bytes()), (0, 0));
    append(&table, &["c"]).await;
    assert_eq!(live(&table).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_stays_complete_over_a_rewrite_of_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let wanted = Wanted { from_ms: 0, to_ms: 10, user_key: Some("ann") };
    let table = lake.table(tenant()).await.unwrap();
    append(&table, &["a"]).await;
    append(&table, &["b"]).await;
    let old: Vec<String> = live(&table).into_keys().collect();
    table.replace_files(old, written(&table, &["a", "b"]).await, Rewrite::SameRows).await.unwrap();
    assert!(!table.gained_since(2, 3, &wanted).await.unwrap());
    let old: Vec<String> = live(&table).into_keys().collect();
    table.replace_files(old, written(&table, &["a"]).await, Rewrite::LessRows).await.unwrap();
    assert!(table.gained_since(3, 4, &wanted).await.unwrap(), "in doubt it is made anew");
    // The log tells the same as memory does.
    drop((table, lake));
    let (lake, _) = self::lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    assert!(!table.gained_since(2, 3, &wanted).await.unwrap());
    assert!(table.gained_since(3, 4, &wanted).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_and_rewrites_at_once_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, _) = lake(&dir);
    let table = lake.table(tenant()).await.unwrap();
    let appends = {
        let table = Arc::clone(&table);
        tokio::spawn(async move {
            for i in 0..30 {
                append(&table, &[&format!("id-{i}")]).await;
            }
        })
    };
    // Two that rewrite whatever is live; often they meet.
    let rewriters = [0, 1].map(|_| {
        let table = Arc::clone(&table);
        tokio::spawn(async move {
            let mut met = 0;
            for _ in 0..15 {
                let old = live(&table);
                if old.is_empty() {
                    continue;
                }
                let ids: Vec<String> = (0..old.values().sum::<usize>()).map(|i| format!("any-{i}")).collect();
                let added = written(&table, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
                match table.replace_files(old.into_keys().collect(), added, Rewrite::SameRows).await {
                    Ok(_) => {}
                    Err(LakeError::Superseded { .. }) => met += 1,
                    Err(error) => panic!("{error}"),
                }
            }
            met
        })
    });
    appends.await.unwrap();
    for rewriter in rewriters {
        rewriter.await.unwrap();
    }
    assert_eq!(live(&table).values().sum::<usize>(), 30);
}
