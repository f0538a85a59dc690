//! Upkeep in the background of a real server.

use serde_json::json;

use crate::support::NOW_MS;
use crate::support::process::ProcessDir;
use crate::support::records::{activity, ndjson};
use crate::support::wait::until;

#[tokio::test]
async fn small_files_are_merged_while_ingests_and_queries_go_on() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let api = process.api(&token);
    for n in 0..48 {
        api.ingest(ndjson(&[activity(NOW_MS + n, "ann", &format!("{n:02}"))])).await.expect(200);
    }
    let files = async || {
        let status = dir.control().get("/control/tenants/5618/lake").await.expect(200).json();
        status["table"]["files"].as_u64().unwrap()
    };
    until("the small files to be merged", async || files().await <= 32).await;
    let anomaly = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let id = api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json()["id"].as_i64().unwrap();
    let expected: Vec<String> = (0..48).map(|n| format!("{n:02}")).collect();
    assert_eq!(api.query(id).await.expect(200).column("fileName"), expected);
    assert!(!dir.log().contains("upkeep of a tenant failed"), "{}", dir.log());
}
