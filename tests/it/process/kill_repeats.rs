//! kill -9 while overlapping requests of a vendor's events are stored: in the end each event is there once.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::json;

use crate::support::Api;
use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, ndjson};

const ROUNDS: u64 = 8;
const EVENTS_A_ROUND: u64 = 60;

fn events(ids: impl Iterator<Item = u64>) -> String {
    let event = |id: u64| {
        let id = id.to_string();
        json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": id, "requestParameters": { "key": id } })
    };
    ndjson(&ids.map(event).collect::<Vec<_>>())
}

/// Ten requests, each with half of the events of the one before.
fn bodies(round: u64) -> Vec<String> {
    let first = round * EVENTS_A_ROUND;
    (0..10).map(|n| events(first + n * 5..first + n * 5 + 15)).collect()
}

/// Accepted events of a request that was answered.
async fn send(api: &Api, body: String) -> Option<u64> {
    let answer = api.try_send("POST", "/api/v1/activities?source=cloudtrail", body).await.ok()?;
    (answer.status == 200).then(|| answer.json()["accepted"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_stored_once_though_its_request_was_interrupted_and_sent_again() {
    let dir = ProcessDir::new();
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let mut seeded = Seeded::new(11);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let api = process.api(&token);
        let sending =
            tokio::spawn(async move { join_all(bodies(round).into_iter().map(|body| send(&api, body))).await });
        for _ in 0..seeded.below(3_000) {
            tokio::task::yield_now().await;
        }
        process.kill().await;
        interrupted += usize::from(sending.await.unwrap().iter().any(Option::is_none));
        process = dir.serve().await;
        let api = process.api(&token);
        for body in bodies(round) {
            send(&api, body).await.expect("it is answered");
        }
        for body in bodies(round) {
            assert_eq!(send(&api, body).await, Some(0), "round {round}");
        }
    }
    assert!(interrupted > 0, "no round struck in time");
    let api = process.api(&token);
    let all = json!({ "from": 0, "to": "2200-01-01T00:00:00Z", "where": "true" });
    let anomaly = api.post_json("/api/v1/anomalies", &all).await.expect(201).json()["id"].as_i64().unwrap();
    let answer = api.get(&format!("/api/v1/anomalies/{anomaly}/activities")).await.expect(200);
    let mut counts = BTreeMap::new();
    for name in answer.column("fileName") {
        *counts.entry(name.parse::<u64>().unwrap()).or_default() += 1;
    }
    assert_eq!(counts, (0..ROUNDS * EVENTS_A_ROUND).map(|id| (id, 1)).collect());
}
