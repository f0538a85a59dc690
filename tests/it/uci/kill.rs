//! kill -9 of the real executable: nothing is lost, nothing counts twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;

use anomalake::domain::clock::{Clock, SystemClock};

use super::{EXPORT, GET_UCI, IMPACT, SEARCH, each, impact};
use crate::support::Api;
use crate::support::process::{ProcessDir, TestProcess};
use crate::support::records::Seeded;
use crate::support::wait::until;

/// Connections at the same time.
const CONNECTIONS: usize = 32;

const USERS: usize = 20;

/// Distinct keys; the long form is `ANOMALAKE_TEST_IMPACTS=10000`.
fn impacts() -> usize {
    std::env::var("ANOMALAKE_TEST_IMPACTS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

/// What is still to be sent, and how to reach the server that lives now.
#[derive(Debug)]
struct Work {
    queue: Mutex<Vec<usize>>,
    answered: AtomicUsize,
    /// The anomaly that each key was answered with.
    ids: Mutex<BTreeMap<usize, Value>>,
    retries: AtomicUsize,
}

/// Points of the impact of a key; small, so that nobody falls to 0.
const fn points(key: usize) -> i64 {
    if key.is_multiple_of(3) { 2 } else { 1 }
}

/// Sends what is left, each again and again until it is answered.
async fn client(work: Arc<Work>, mut server: watch::Receiver<Option<Api>>, now_ms: i64) {
    loop {
        let Some(key) = work.queue.lock().unwrap().pop() else { return };
        let body = impact(&format!("user{}@example.com", key % USERS), points(key), now_ms).to_string();
        loop {
            let api = server.wait_for(Option::is_some).await.unwrap().clone().unwrap();
            let api = api.with("Idempotency-Key", format!("key-{key}"));
            if let Ok(answer) = api.try_send("POST", IMPACT, body.clone()).await {
                let id = answer.expect(200).json()["anomalyId"].clone();
                let first = work.ids.lock().unwrap().insert(key, id.clone());
                assert!(first.is_none_or(|first| first == id), "key {key} stands for two impacts");
                work.answered.fetch_add(1, Ordering::SeqCst);
                break;
            }
            // It was killed on the way; whether the impact is stored nobody knows.
            work.retries.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn scores_are_what_the_distinct_keys_say() {
    let dir = ProcessDir::new();
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let now_ms = SystemClock.now_ms();
    let keys = impacts();
    // A quarter of the keys comes twice.
    let mut queue: Vec<usize> = (0..keys).chain((0..keys).step_by(4)).collect();
    let mut seeded = Seeded::new(20_261_122);
    for place in (1..queue.len()).rev() {
        queue.swap(place, usize::try_from(seeded.below(place as u64 + 1)).unwrap());
    }
    let all = queue.len();
    let work = Arc::new(Work {
        queue: Mutex::new(queue),
        answered: AtomicUsize::new(0),
        ids: Mutex::default(),
        retries: AtomicUsize::new(0),
    });
    let (alive, server) = watch::channel(Some(process.api(&token)));
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(client(Arc::clone(&work), server.clone(), now_ms))).collect();
    for part in 1..=2 {
        until("a third to be answered", async || work.answered.load(Ordering::SeqCst) >= part * all / 3).await;
        alive.send(None).unwrap();
        process.kill().await;
        process = dir.serve().await;
        alive.send(Some(process.api(&token))).unwrap();
    }
    for client in clients {
        client.await.unwrap();
    }
    assert!(work.retries.load(Ordering::SeqCst) > 0, "no request was interrupted");
    check(&process, &token, keys).await;
    process.kill().await;
    process = dir.serve().await;
    check(&process, &token, keys).await;
}

/// Every user's score, and the number of anomalies, follow from the distinct keys alone.
async fn check(process: &TestProcess, token: &str, keys: usize) {
    let api = process.api(token);
    let users: Vec<_> = (0..USERS).map(|user| format!("user{user}@example.com")).collect();
    let answer = api.post_json(GET_UCI, &json!({ "users": users })).await.expect(200).json();
    for (user, found) in answer["usersUci"].as_array().unwrap().iter().enumerate() {
        let points_taken: i64 = (0..keys).filter(|key| key % USERS == user).map(points).sum();
        let score = found["confidences"].as_array().unwrap().last().unwrap()["confidenceScore"].as_i64().unwrap();
        assert_eq!(score, (1000 - points_taken).max(0), "{found}");
    }
    let found = api.send("POST", &format!("{SEARCH}?limit=1"), "").await.expect(200).json();
    assert_eq!(found["totalCount"], keys);
}

/// A follower that loses some of its answers, as a killed server makes it do.
struct Follower {
    seen: Vec<Value>,
    /// The page that was asked for and may not have arrived.
    lost: bool,
}

impl Follower {
    async fn step(&mut self, api: &Api) -> std::io::Result<usize> {
        let operation = if self.lost { "resend" } else { "next" };
        self.lost = true;
        let answer = api.try_send("GET", &format!("{EXPORT}?index=siem&operation={operation}"), "").await?;
        if answer.status == 400 && operation == "resend" {
            // Not even the first page was given.
            self.lost = false;
            return Ok(0);
        }
        let page = each(&answer.expect(200), "_id");
        let again = each(&api.get(&format!("{EXPORT}?index=siem&operation=resend")).await.expect(200), "_id");
        assert_eq!(again, page, "a resend differs");
        self.lost = false;
        // A page that was asked for again may be the one before: then the move had not happened.
        let new: Vec<_> = page.into_iter().filter(|id| operation == "next" || !self.seen.contains(id)).collect();
        self.seen.extend(new.iter().cloned());
        Ok(new.len())
    }
}

#[tokio::test]
async fn an_export_loses_and_repeats_nothing() {
    let dir = ProcessDir::new();
    let mut process = dir.serve().await;
    let token = dir.tenant().await;
    let now_ms = SystemClock.now_ms();
    let mut follower = Follower { seen: Vec::new(), lost: false };
    let mut seeded = Seeded::new(7);
    for round in 0..5 {
        let pusher = tokio::spawn({
            let api = process.api(&token);
            async move {
                for n in 0.. {
                    let body = impact(&format!("u{round}-{n}"), 1, now_ms).to_string();
                    if api.try_send("POST", IMPACT, body).await.is_err() {
                        return;
                    }
                }
            }
        });
        let enough = follower.seen.len() + 5 + usize::try_from(seeded.below(40)).unwrap();
        let api = process.api(&token);
        while follower.seen.len() < enough {
            follower.step(&api).await.unwrap();
        }
        // Killed with a step under way.
        let step = follower.step(&api);
        let killed = async {
            for _ in 0..seeded.below(300) {
                tokio::task::yield_now().await;
            }
            process.kill().await;
        };
        let (stepped, ()) = tokio::join!(step, killed);
        drop(stepped);
        pusher.await.unwrap();
        process = dir.serve().await;
    }
    let api = process.api(&token);
    while follower.lost || follower.step(&api).await.unwrap() > 0 {
        follower.step(&api).await.unwrap();
    }
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let page = each(&api.get(&format!("{}?limit=5000&offset={offset}", super::DATA)).await.expect(200), "_id");
        offset += page.len();
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    assert_eq!(follower.seen, all, "what was followed is what there is, in order");
}
