//! `anomalake lake check`: damage that is planted on the disk is found and named, without a server and beside one.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde_json::Value;
use sqlx::{ConnectOptions, Connection};

use super::lake::{Lake, Ran};
use crate::support::records::{activity, ndjson};
use crate::support::server::walk;
use crate::support::{DAY_MS, NOW_MS};

/// A lake with two days of activities, and evidence of one anomaly.
async fn filled(lake: &Lake) {
    let records: Vec<_> = (0..500).map(|n| activity(NOW_MS - n % 2 * DAY_MS + n, "ann", &n.to_string())).collect();
    let file = lake.file("activities.ndjson", ndjson(&records));
    lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
    let settings = ["--anomalous-activity", "on", "--availability-delay", "0s"];
    lake.run(&[&["tenant", "set", "5618"][..], &settings].concat()).await.said();
    let (token, id) = (lake.token().await, lake.everything().await);
    let rows = lake.http(async |api| api.bearer(&token).query(&*id).await.expect(200).rows().len()).await;
    assert_eq!(rows, 500);
}

/// The first file below the data directory whose path holds and ends in these.
fn find(lake: &Lake, part: &str, end: &str) -> PathBuf {
    let mut found = Vec::new();
    walk(&lake.dir.data().join("lake"), &mut found);
    found.sort();
    let wanted = |path: &PathBuf| path.to_string_lossy().contains(part) && path.to_string_lossy().ends_with(end);
    found.into_iter().find(wanted).unwrap_or_else(|| panic!("no {part}…{end}"))
}

fn flip(path: &PathBuf) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (middle, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

/// Kinds of the damage in a report as JSON, sorted.
fn kinds(ran: &Ran) -> Vec<String> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let findings = report["tenants"].as_array().unwrap().iter().flat_map(|t| t["findings"].as_array().unwrap());
    let findings = findings.chain(report["registry"].as_array().unwrap());
    let notes = ["garbage", "pending-keys", "dropped", "old-log-gap"];
    let mut kinds: Vec<_> = findings.map(|finding| finding["kind"].as_str().unwrap().to_owned()).collect();
    kinds.retain(|kind| !notes.contains(&kind.as_str()));
    assert_eq!(report["damage"], kinds.len(), "{ran:?}");
    assert_eq!(ran.code, Some(i32::from(!kinds.is_empty())), "{ran:?}");
    kinds.sort();
    kinds
}

async fn check(lake: &Lake, more: &[&str]) -> Vec<String> {
    kinds(&lake.run(&[&["lake", "check", "--tenant", "5618", "--format", "json"][..], more].concat()).await)
}

#[tokio::test]
async fn a_sound_lake_is_clean() {
    for lake in Lake::both().await {
        filled(&lake).await;
        let said = lake.run(&["lake", "check"]).await.said();
        assert!(said.starts_with("tenant 5618: version 1, 500 rows, 2 files, "), "{said}");
        assert!(said.ends_with("no damage\n"), "{said}");
        let said = lake.run(&["lake", "check", "--tenant", "5618", "--deep"]).await.said();
        assert!(said.ends_with("no damage, to the last byte\n"), "{said}");
        assert!(check(&lake, &["--deep"]).await.is_empty());
    }
}

#[tokio::test]
async fn planted_damage_is_named_with_its_file() {
    for lake in Lake::both().await {
        filled(&lake).await;
        let data = find(&lake, "/activities/day=", ".parquet");
        flip(&data);
        let ran = lake.run(&["lake", "check", "--deep"]).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let name = data.file_name().unwrap().to_str().unwrap();
        let told = ran.stdout.lines().find(|line| line.contains("file-checksum")).unwrap_or_else(|| panic!("{ran:?}"));
        assert!(told.contains("tenant 5618") && told.contains(name), "{told}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
        flip(&data);

        let evidence = find(&lake, "/evidence/", ".parquet");
        flip(&evidence);
        assert!(check(&lake, &[]).await.contains(&"evidence-checksum".to_owned()));
        std::fs::remove_file(&evidence).unwrap();
        assert_eq!(check(&lake, &[]).await, ["evidence-missing"]);
        std::fs::remove_file(&data).unwrap();
        assert_eq!(check(&lake, &[]).await, ["evidence-missing", "file-missing"]);
        std::fs::remove_file(find(&lake, "/_delta_log/", "01.json")).unwrap();
        // What the registry knows of, and beside a server what it has published, is not in the log any more.
        let found = check(&lake, &[]).await;
        assert!(found.contains(&"log-behind".to_owned()) && !found.contains(&"file-missing".to_owned()), "{found:?}");
    }
}

#[tokio::test]
async fn a_changed_row_of_the_registry_is_found() {
    for lake in Lake::both().await {
        filled(&lake).await;
        let file = lake.dir.data().join("registry.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).foreign_keys(false);
        let mut registry = options.connect().await.unwrap();
        for (change, back, kind) in [
            ("UPDATE evidence SET rows = rows + 1", "UPDATE evidence SET rows = rows - 1", "evidence-rows"),
            (
                "UPDATE evidence_usage SET bytes = 1",
                "UPDATE evidence_usage SET bytes = (SELECT SUM(bytes) FROM evidence)",
                "evidence-sum",
            ),
            ("UPDATE evidence SET lake_version = 99", "UPDATE evidence SET lake_version = 1", "log-behind"),
            ("UPDATE tokens SET tenant_id = 9", "UPDATE tokens SET tenant_id = 5618", "registry-reference"),
            (
                "UPDATE idempotency SET group_number = 99, state = 'done'",
                "UPDATE idempotency SET group_number = 1",
                "log-behind",
            ),
        ] {
            sqlx::query(change).execute(&mut registry).await.unwrap();
            assert!(check(&lake, &[]).await.contains(&kind.to_owned()), "{change}");
            sqlx::query(back).execute(&mut registry).await.unwrap();
            assert!(check(&lake, &[]).await.is_empty(), "{back}");
        }
        registry.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_checked_exits_3() {
    let lake = Lake::served().await;
    let told = lake.run(&["lake", "check", "--tenant", "9"]).await.refused(3);
    assert!(told.contains("there is no tenant 9"), "{told}");
    let mut elsewhere = super::lake::anomalake(&["lake", "check", "--data-dir"]);
    elsewhere.arg(lake.place("nowhere"));
    super::lake::run(elsewhere, "").await.refused(3);
    lake.run(&["lake", "check", "--tenant", "nine"]).await.refused(2);
}
