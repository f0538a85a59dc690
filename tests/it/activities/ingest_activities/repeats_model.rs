//! Repeats against a naive model: requests at the same time, some refused, restarts, clocks that step, lost indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::support::records::{Seeded, ndjson};
use crate::support::{DAY_MS, HOUR_MS, TestServer, TestTenant};

const ROUNDS: usize = 60;

/// Distinct ids.
const POOL: u64 = 50;

/// How long an event is known, in ms.
const WINDOW_MS: i64 = 7 * DAY_MS;

/// What the model knows of an id.
#[derive(Debug, Default)]
struct Known {
    /// How often it is stored.
    times: usize,
    /// When it was stored last, ms since epoch.
    newest_ms: i64,
}

#[derive(Debug)]
struct Request {
    ids: Vec<u64>,
    /// A record without a time is among them.
    is_bad: bool,
    skips: bool,
}

impl Request {
    fn draw(seeded: &mut Seeded) -> Self {
        let ids = (0..=seeded.below(12)).map(|_| seeded.below(POOL)).collect();
        Self { ids, is_bad: seeded.below(4) == 0, skips: seeded.below(2) == 0 }
    }

    fn is_refused(&self) -> bool {
        self.is_bad && !self.skips
    }

    /// Accepted records and repeats; none if it was refused.
    async fn send(&self, tenant: &TestTenant) -> Option<(usize, usize)> {
        let event = |id: &u64| {
            let id = id.to_string();
            json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": id, "requestParameters": { "key": id } })
        };
        let mut body = ndjson(&self.ids.iter().map(event).collect::<Vec<_>>());
        if self.is_bad {
            body.push_str("{\"eventID\":\"bad\"}\n");
        }
        let on_error = if self.skips { "skip" } else { "reject" };
        let path = format!("/api/v1/activities?source=cloudtrail&on_error={on_error}");
        let answer = tenant.api.send("POST", &path, body).await;
        if self.is_refused() {
            answer.expect(400);
            return None;
        }
        let answer = answer.expect(200).json();
        let count = |name: &str| usize::try_from(answer[name].as_u64().unwrap()).unwrap();
        Some((count("accepted"), count("duplicates")))
    }
}

async fn stored(tenant: &TestTenant) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for name in tenant.stored().await {
        *counts.entry(name.parse().unwrap()).or_default() += 1;
    }
    counts
}

async fn run(seed: u64) {
    let mut seeded = Seeded::new(seed);
    let mut server = TestServer::start_with(|settings| settings.commit_interval = Duration::from_millis(5)).await;
    let mut tenant = server.tenant(5618).await;
    let mut model: BTreeMap<u64, Known> = BTreeMap::new();
    for round in 0..ROUNDS {
        match seeded.below(12) {
            0 => {
                server = server.restart().await;
                tenant = tenant.at(&server);
            }
            1 => drop(std::fs::remove_dir_all(server.lake().join("tenant=5618-1/seen"))),
            2..5 => server.clock.advance(HOUR_MS * i64::try_from(seeded.below(96)).unwrap()),
            5 => server.clock.advance(-DAY_MS * i64::try_from(seeded.below(4)).unwrap()),
            _ => {}
        }
        let now_ms = server.clock_ms();
        let requests: Vec<Request> = (0..=seeded.below(5)).map(|_| Request::draw(&mut seeded)).collect();
        let answers = join_all(requests.iter().map(|request| request.send(&tenant))).await;

        let taken = requests.iter().filter(|request| !request.is_refused());
        let sent: BTreeSet<u64> = taken.clone().flat_map(|request| request.ids.iter().copied()).collect();
        let is_new = |id: &u64| model.get(id).is_none_or(|known| known.newest_ms <= now_ms - WINDOW_MS);
        let new: Vec<u64> = sent.into_iter().filter(is_new).collect();
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let context = || format!("seed {seed}, round {round}: {requests:?} {answers:?}");
        assert_eq!(answers.iter().map(|answer| answer.0).sum::<usize>(), new.len(), "{}", context());
        for ((accepted, duplicates), request) in answers.iter().zip(taken) {
            assert_eq!(accepted + duplicates, request.ids.len(), "{}", context());
        }
        for id in new {
            let known = model.entry(id).or_default();
            *known = Known { times: known.times + 1, newest_ms: now_ms };
        }
    }
    let expected: BTreeMap<u64, usize> = model.into_iter().map(|(id, known)| (id, known.times)).collect();
    assert_eq!(stored(&tenant).await, expected, "seed {seed}");
    assert!(expected.values().any(|times| *times > 1), "seed {seed}: no event outlived the window");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_stored_once_in_seven_days_whatever_happens() {
    for seed in [1, 2, 3] {
        run(seed).await;
    }
}
