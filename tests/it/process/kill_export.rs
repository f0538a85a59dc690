//! kill -9 while a saved export is made: afterwards it is made anew, whole, and the same.

use serde_json::{Value, json};

use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::server::walk;
use crate::support::wait::until;
use crate::support::{Api, NOW_MS};

const ROWS: i64 = 20_000;

fn files(dir: &ProcessDir) -> Vec<String> {
    let mut found = Vec::new();
    walk(&dir.data().join("exports"), &mut found);
    let names =
        found.iter().filter(|path| path.is_file()).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    names.collect()
}

async fn show(api: &Api, id: i64) -> Value {
    api.get(&format!("/api/v1/exports/{id}")).await.expect(200).json()
}

#[tokio::test]
async fn an_export_that_a_kill_interrupts_is_ready_after_the_restart() {
    let dir = ProcessDir::new();
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let records: Vec<_> = (0..ROWS).map(|n| activity(NOW_MS + n, "ann", &n.to_string())).collect();
    process.api(&token).ingest(ndjson(&records)).await.expect(200);
    let all = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let anomaly = process.api(&token).post_json("/api/v1/anomalies", &all).await.expect(201).json()["id"].clone();
    let path = format!("/api/v1/anomalies/{anomaly}/activities");
    let wanted = process.api(&token).get(&path).await.expect(200).body;

    let mut seeded = Seeded::new(8);
    let mut interrupted = 0;
    for round in 0..4 {
        let api = process.api(&token);
        let wish = api.post_json("/api/v1/exports", &json!({ "anomaly": anomaly })).await.expect(202).json();
        let id = wish["id"].as_i64().unwrap();
        until("the export to be under way", async || {
            files(&dir).iter().any(|name| name.starts_with(&format!("{id}-")))
        })
        .await;
        for _ in 0..seeded.below(200) {
            tokio::task::yield_now().await;
        }
        process.kill().await;

        process = dir.serve().await;
        let api = process.api(&token);
        until("the export to be ready", async || {
            let shown = show(&api, id).await;
            assert_ne!(shown["state"], "failed", "{shown}");
            shown["state"] == "ready"
        })
        .await;
        let shown = show(&api, id).await;
        interrupted += usize::from(shown["attempts"] != 1);
        assert_eq!(shown["rows"], ROWS, "round {round}");
        let file = api.get(&format!("/api/v1/exports/{id}/content")).await.expect(200);
        assert!(file.body == wanted, "round {round}: other bytes");
        until("what was left to be swept", async || files(&dir).len() == round + 1).await;
    }
    assert!(interrupted > 0, "no round struck in time");
}
