//! kill -9 while a folder is watched: in the end every file is loaded once and moved.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::{Child, Command};

use crate::support::NOW_MS;
use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::wait::until;

const ROUNDS: usize = 8;
const FILES_A_ROUND: usize = 12;

fn watch(dir: &ProcessDir, inbox: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(inbox.with_extension("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_anomalake"));
    command.args(["ingest", "--tenant", "5618", "--poll", "1ms", "--watch"]).arg(inbox);
    command.arg("--data-dir").arg(dir.data()).env_remove("ANOMALAKE_DATA_DIR");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap()
}

fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).map(|entries| entries.map(Result::unwrap).collect::<Vec<_>>());
    entries.unwrap_or_default().iter().filter(|entry| entry.file_type().unwrap().is_file()).count()
}

#[tokio::test]
async fn every_file_is_loaded_once_and_moved() {
    let dir = ProcessDir::new();
    let server = dir.serve().await;
    let token = dir.tenant().await;
    let root = tempfile::tempdir().unwrap();
    let inbox = root.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let mut seeded = Seeded::new(7);
    let mut expected = BTreeMap::new();
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        for file in 0..FILES_A_ROUND {
            let name = format!("{round}-{file}.ndjson");
            std::fs::write(inbox.join(&name), ndjson(&[activity(NOW_MS, "ann", &name)])).unwrap();
            expected.insert(name, 1);
        }
        let mut watching = watch(&dir, &inbox);
        let enough = files(&inbox.join("done")) + usize::try_from(1 + seeded.below(FILES_A_ROUND as u64 / 2)).unwrap();
        until("files to be moved", async || files(&inbox.join("done")) >= enough).await;
        for _ in 0..seeded.below(300) {
            tokio::task::yield_now().await;
        }
        watching.kill().await.unwrap();
        interrupted += usize::from(files(&inbox) > 0);
    }
    assert!(interrupted > ROUNDS / 2, "a watch was killed in the middle in {interrupted} rounds only");
    let mut watching = watch(&dir, &inbox);
    until("the rest to be moved", async || files(&inbox) == 0).await;
    watching.kill().await.unwrap();
    assert_eq!((files(&inbox.join("done")), files(&inbox.join("failed"))), (expected.len(), 0));
    let api = server.api(&token);
    let all = json!({ "from": 0, "to": "2200-01-01T00:00:00Z", "where": "true" });
    let anomaly = api.post_json("/api/v1/anomalies", &all).await.expect(201).json()["id"].as_i64().unwrap();
    let answer = api.get(&format!("/api/v1/anomalies/{anomaly}/activities")).await.expect(200);
    let mut counts = BTreeMap::new();
    for name in answer.column("fileName") {
        *counts.entry(name).or_default() += 1;
    }
    assert_eq!(counts, expected);
}
