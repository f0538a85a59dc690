//! `?dedup=`: an event that comes again is stored once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use anomalake::services::auth::Actor;

use crate::support::records::{activity, ndjson};
use crate::support::{Answer, DAY_MS, NOW_MS, TestServer, TestTenant};

/// How long an event is known, in ms.
const WINDOW_MS: i64 = 7 * DAY_MS;

fn event(id: &str) -> Value {
    json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": id, "requestParameters": { "key": id } })
}

fn events(ids: &[&str]) -> String {
    ndjson(&ids.iter().map(|id| event(id)).collect::<Vec<_>>())
}

impl TestTenant {
    /// `POST /api/v1/activities` with these parameters.
    async fn send(&self, parameters: &str, body: String) -> Answer {
        self.api.send("POST", &format!("/api/v1/activities?{parameters}"), body).await
    }

    /// Accepted records and repeats of a request.
    async fn counts(&self, parameters: &str, body: String) -> (u64, u64) {
        counts(&self.send(parameters, body).await.expect(200))
    }

    /// The names stored, in order of the alphabet.
    async fn names(&self) -> Vec<String> {
        let mut names = self.stored().await;
        names.sort();
        names
    }
}

fn counts(answer: &Answer) -> (u64, u64) {
    let answer = answer.json();
    (answer["accepted"].as_u64().unwrap(), answer["duplicates"].as_u64().unwrap())
}

const VENDOR: &str = "source=cloudtrail";

#[tokio::test]
async fn an_event_that_came_in_another_request_or_before_in_this_one_is_left_out_and_counted() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    assert_eq!(tenant.counts(VENDOR, events(&["a", "b", "a"])).await, (2, 1));
    let again = tenant.send(VENDOR, events(&["b", "c", "b"])).await.expect(200);
    assert_eq!(
        again.json(),
        json!({ "accepted": 1, "rejected": 0, "duplicates": 2, "unknownKeys": {}, "tenantIdReplaced": 0, "days": ["2026-11-20"] })
    );
    assert_eq!(tenant.names().await, ["a", "b", "c"]);
    assert_eq!(server.metric("anomalake_records_duplicate_total").await, 3);
    assert_eq!(server.metric("anomalake_activities_stored_total").await, 3);
    assert!(server.metric("anomalake_seen_memory_bytes").await > 0);
}

#[tokio::test]
async fn a_request_of_repeats_alone_writes_nothing_and_keeps_its_key() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.counts(VENDOR, events(&["a"])).await;
    let files = server.stored_files();
    let repeat = tenant.send(VENDOR, events(&["a", "a"])).await.expect(200);
    assert_eq!((counts(&repeat), repeat.header("anomalake-files")), ((0, 2), Some("0")));
    assert_eq!(repeat.json()["days"], json!([]));
    let keyed = TestTenant { api: tenant.api.with("idempotency-key", "k"), ..tenant.clone() };
    let first = keyed.send(VENDOR, events(&["a"])).await.expect(200);
    let second = keyed.send(VENDOR, events(&["a"])).await.expect(200);
    assert_eq!((counts(&first), second.header("idempotent-replayed")), ((0, 1), Some("true")));
    assert_eq!((second.body, server.stored_files()), (first.body, files));
    keyed.send(VENDOR, events(&["b"])).await.expect(409);
}

#[tokio::test]
async fn it_is_off_for_the_lakes_own_records_and_can_be_chosen() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let own = || ndjson(&[activity(NOW_MS, "ann", "a")]);
    for (parameters, stored) in [
        ("", (1, 0)),
        ("source=activities", (1, 0)),
        ("dedup=off", (1, 0)),
        ("dedup=none", (1, 0)),
        // Known however it was stored.
        ("dedup=activityId", (0, 1)),
    ] {
        assert_eq!(tenant.counts(parameters, own()).await, stored, "{parameters}");
    }
    // An id says something only among those of its source.
    assert_eq!(tenant.counts(VENDOR, events(&["a"])).await, (1, 0));
    assert_eq!(tenant.counts("source=cloudtrail&dedup=off", events(&["a", "a"])).await, (2, 0));
    assert_eq!(tenant.counts("source=cloudtrail&dedup=activityId", events(&["a"])).await, (0, 1));
    assert_eq!(tenant.names().await, ["a"; 7]);
}

#[tokio::test]
async fn another_value_is_refused_with_those_that_are_known() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let refused = tenant.send("source=cloudtrail&dedup=eventID", events(&["a"])).await.expect(400).json();
    let message = refused["message"].as_str().unwrap();
    for known in ["`activityId`", "`off`", "`none`"] {
        assert!(message.contains(known), "{message}");
    }
    assert!(tenant.stored().await.is_empty());
}

#[tokio::test]
async fn tenants_know_nothing_of_each_other_and_a_new_one_nothing_of_a_dropped_one() {
    let server = TestServer::start().await;
    let (one, other) = (server.tenant(1).await, server.tenant(2).await);
    assert_eq!(one.counts(VENDOR, events(&["a"])).await, (1, 0));
    assert_eq!(other.counts(VENDOR, events(&["a"])).await, (1, 0));
    server.owner.services.drop_tenant(&Actor::command_line(), one.id).await.unwrap();
    let one = server.tenant(1).await;
    assert_eq!(one.counts(VENDOR, events(&["a"])).await, (1, 0));
    assert_eq!(other.counts(VENDOR, events(&["a"])).await, (0, 1));
}

#[tokio::test]
async fn a_refused_request_makes_nothing_known() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let bad = format!("{}{{\"eventID\":\"x\"}}\n", events(&["a", "b"]));
    tenant.send(VENDOR, bad.clone()).await.expect(400);
    assert_eq!(tenant.counts(VENDOR, events(&["a"])).await, (1, 0));
    let skipped = tenant.send("source=cloudtrail&on_error=skip", bad).await.expect(200);
    assert_eq!((counts(&skipped), &skipped.json()["rejected"]), ((1, 1), &json!(1)));
    assert_eq!(tenant.names().await, ["a", "b"]);
}

#[tokio::test]
async fn seven_days_after_it_was_stored_an_event_is_stored_again() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    assert_eq!(tenant.counts(VENDOR, events(&["a"])).await, (1, 0));
    server.clock.advance(WINDOW_MS - 1);
    assert_eq!(tenant.counts(VENDOR, events(&["a", "b"])).await, (1, 1));
    server.clock.advance(1);
    assert_eq!(tenant.counts(VENDOR, events(&["a", "b"])).await, (1, 1), "the repeat did not prolong it");
    server.clock.advance(-3 * WINDOW_MS);
    assert_eq!(tenant.counts(VENDOR, events(&["a", "b"])).await, (0, 2), "a clock that is set back");
    assert_eq!(tenant.names().await, ["a", "a", "b"]);
}

#[tokio::test]
async fn it_is_known_after_a_restart_and_without_the_index() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.counts(VENDOR, events(&["a", "b"])).await;
    assert_eq!(tenant.counts(VENDOR, events(&["a"])).await, (0, 1));
    let folder = server.lake().join("tenant=5618-1/seen/cloudtrail");
    assert!(!folder.exists(), "few ids wait in memory");
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "a run and what names it");
    assert_eq!(tenant.counts(VENDOR, events(&["a", "c"])).await, (1, 1));
    // Under an index that is open.
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(tenant.counts(VENDOR, events(&["a", "b", "c"])).await, (0, 3));
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    // Before it is opened.
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    assert_eq!(tenant.counts(VENDOR, events(&["c", "b", "a", "d"])).await, (1, 3));
    assert_eq!(tenant.names().await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn rows_without_an_id_are_always_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/samples/dropbox.json");
    let sample = std::fs::read_to_string(sample).unwrap();
    let first = tenant.counts("source=dropbox&on_error=skip", sample.clone()).await;
    assert_eq!((first.0 >= 3, first.1), (true, 0));
    assert_eq!(tenant.counts("source=dropbox&on_error=skip", sample).await, first);
    let mixed =
        format!("{}{}", events(&["a"]), "{\"eventTime\":\"2026-11-20T10:11:12Z\",\"eventID\":\"\"}\n".repeat(2));
    assert_eq!(tenant.counts(VENDOR, mixed.clone()).await, (3, 0));
    assert_eq!(tenant.counts(VENDOR, mixed).await, (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_at_the_same_time_store_each_event_once() {
    // Long enough that the requests of a round meet while the first waits for its commit.
    let server = TestServer::start_with(|settings| settings.commit_interval = Duration::from_millis(60)).await;
    let tenant = server.tenant(5618).await;
    let mut expected = BTreeMap::new();
    for round in 0..6 {
        let names: Vec<String> = (0..40).map(|n| format!("{round}-{n}")).collect();
        let forth: Vec<&str> = names.iter().map(String::as_str).collect();
        let back: Vec<&str> = forth.iter().rev().copied().collect();
        let requests = (0..8).map(|n| tenant.counts(VENDOR, events(if n % 2 == 0 { &forth } else { &back })));
        let answers = join_all(requests).await;
        let sums = answers.iter().fold((0, 0), |sums, answer| (sums.0 + answer.0, sums.1 + answer.1));
        assert_eq!(sums, (40, 280), "round {round}: {answers:?}");
        expected.extend(names.into_iter().map(|name| (name, 1)));
    }
    let mut stored = BTreeMap::new();
    for name in tenant.stored().await {
        *stored.entry(name).or_default() += 1;
    }
    assert_eq!(stored, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_overlap_store_each_event_once() {
    let server = TestServer::start_with(|settings| settings.commit_interval = Duration::from_millis(20)).await;
    let tenant = server.tenant(5618).await;
    let names: Vec<String> = (0..120).map(|n| format!("{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Each shares a half with the one before and one with the next.
    let requests = (0..12).map(|n| tenant.counts(VENDOR, events(&names[n * 9..n * 9 + 18])));
    let answers = join_all(requests).await;
    assert_eq!(answers.iter().map(|answer| answer.0).sum::<u64>(), 117, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.0 + answer.1 == 18), "{answers:?}");
    assert_eq!(tenant.names().await, names[..117]);
}
