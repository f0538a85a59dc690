//! kill -9 while evidence is made: afterwards the export is complete and right.

use std::path::Path;

use serde_json::json;

use crate::support::NOW_MS;
use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::server::walk;
use crate::support::wait::until;

const ROWS: i64 = 20_000;

fn files(folder: &Path) -> usize {
    let mut found = Vec::new();
    walk(folder, &mut found);
    found.iter().filter(|path| path.is_file()).count()
}

#[tokio::test]
async fn an_export_after_the_restart_is_complete() {
    let dir = ProcessDir::new();
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let records: Vec<_> = (0..ROWS).map(|n| activity(NOW_MS + n, "ann", &n.to_string())).collect();
    process.api(&token).ingest(ndjson(&records)).await.expect(200);
    let expected: Vec<String> = (0..ROWS).map(|n| n.to_string()).collect();
    let (staging, lake) = (dir.data().join("lake/.staging"), dir.data().join("lake"));
    let evidence = lake.read_dir().unwrap().flatten().map(|entry| entry.path().join("evidence"));
    let evidence = evidence.filter(|path| !path.starts_with(&staging)).last().unwrap();

    let mut seeded = Seeded::new(7);
    let mut interrupted = 0;
    for round in 0..6 {
        let api = process.api(&token);
        let anomaly = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
        let id = api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json()["id"].as_i64().unwrap();
        let published = files(&evidence);
        let query = tokio::spawn({
            let api = api.clone();
            async move {
                let body = json!({ "incident_id": id }).to_string();
                api.try_send("POST", crate::support::api::QUERY, body).await
            }
        });
        // Killed in turn while the file is written, and about when it is published and recorded.
        until("the evidence to be under way", async || {
            query.is_finished() || files(&evidence) > published || (round % 2 == 0 && files(&staging) > 0)
        })
        .await;
        for _ in 0..seeded.below(50) {
            tokio::task::yield_now().await;
        }
        process.kill().await;
        interrupted += usize::from(query.await.unwrap().is_err());

        process = dir.serve().await;
        assert_eq!(files(&staging), 0, "what was staged outlived the restart");
        let answer = process.api(&token).query(id).await.expect(200);
        assert_eq!(answer.column("fileName"), expected, "round {round}");
        assert_eq!(answer.header("anomalake-rows"), Some("20000"));
    }
    assert!(interrupted > 0, "no round struck in time");
}
