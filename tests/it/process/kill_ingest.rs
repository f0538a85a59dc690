//! kill -9 during ingest: after a restart every acknowledged record is there once, and repeats make all of them so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::wait::until;
use crate::support::{Answer, DAY_MS, NOW_MS};

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 4;

/// One request as its client knows it.
#[derive(Debug, Clone)]
struct Sent {
    key: String,
    names: Vec<String>,
    body: String,
    answer: Option<Answer>,
}

type Ledger = Arc<Mutex<Vec<Sent>>>;

fn acked(ledger: &Ledger) -> usize {
    ledger.lock().unwrap().iter().filter(|sent| sent.answer.is_some()).count()
}

async fn send(api: &Api, sent: &Sent) -> std::io::Result<Answer> {
    let api = api.with("idempotency-key", &*sent.key).with("content-type", "application/x-ndjson");
    let answer = api.try_send("POST", "/api/v1/activities", sent.body.clone()).await?;
    Ok(answer.expect(200))
}

/// Sends request after request until the server is gone.
async fn client(api: Api, ledger: Ledger, round: u64, number: u64) {
    let mut seeded = Seeded::new(round * 100 + number);
    for n in 0_i64.. {
        let key = format!("{round}-{number}-{n}");
        let names: Vec<String> = (0..=seeded.below(4)).map(|record| format!("{key}-{record}")).collect();
        let record = |name: &String| activity(NOW_MS - n % 3 * DAY_MS, "ann", name);
        let body = ndjson(&names.iter().map(record).collect::<Vec<_>>());
        let sent = Sent { key, names, body, answer: None };
        let place = {
            let mut ledger = ledger.lock().unwrap();
            ledger.push(sent.clone());
            ledger.len() - 1
        };
        let Ok(answer) = send(&api, &sent).await else { return };
        ledger.lock().unwrap()[place].answer = Some(answer);
    }
}

/// How often each name is stored.
async fn stored(api: &Api, anomaly: i64) -> BTreeMap<String, usize> {
    let answer = api.get(&format!("/api/v1/anomalies/{anomaly}/activities")).await.expect(200);
    let mut counts = BTreeMap::new();
    for name in answer.column("fileName") {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn every_acknowledged_record_is_there_once() {
    let dir = ProcessDir::new();
    let ledger = Ledger::default();
    let mut seeded = Seeded::new(20_261_122);
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let all: Value = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let answer = process.api(&token).post_json("/api/v1/anomalies", &all).await.expect(201);
    let anomaly = answer.json()["id"].as_i64().unwrap();
    for round in 0..ROUNDS {
        let clients =
            (0..CLIENTS).map(|number| tokio::spawn(client(process.api(&token), Arc::clone(&ledger), round, number)));
        let clients: Vec<_> = clients.collect();
        let enough = acked(&ledger) + usize::try_from(2 + seeded.below(25)).unwrap();
        until("enough requests to be acknowledged", async || acked(&ledger) >= enough).await;
        for _ in 0..seeded.below(400) {
            tokio::task::yield_now().await;
        }
        process.kill().await;
        for client in clients {
            client.await.unwrap();
        }
        process = dir.serve().await;
        let counts = stored(&process.api(&token), anomaly).await;
        for sent in ledger.lock().unwrap().iter() {
            let found: Vec<usize> = sent.names.iter().map(|name| counts.get(name).copied().unwrap_or(0)).collect();
            let whole = found.iter().all(|count| *count == 1);
            let absent = found.iter().all(|count| *count == 0);
            assert!(whole || (absent && sent.answer.is_none()), "round {round}: {found:?} of {sent:?}");
        }
    }
    let sent = ledger.lock().unwrap().clone();
    assert!(sent.iter().any(|sent| sent.answer.is_none()), "no request was interrupted");
    let api = process.api(&token);
    for sent in &sent {
        let answer = send(&api, sent).await.unwrap();
        if let Some(first) = &sent.answer {
            assert_eq!(answer.header("idempotent-replayed"), Some("true"), "{}", sent.key);
            assert_eq!(answer.body, first.body, "{}", sent.key);
        }
    }
    let expected: BTreeMap<String, usize> =
        sent.iter().flat_map(|sent| &sent.names).map(|name| (name.clone(), 1)).collect();
    assert_eq!(stored(&api, anomaly).await, expected);
}
