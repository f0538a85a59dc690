//! Evidence is a cache of the anomaly's activities: never behind the lake, never an empty success.

use std::time::Duration;

use serde_json::json;

use crate::support::records::activity;
use crate::support::{DAY_MS, DELAY_MS, HOUR_MS, NOW_MS, TestServer};

const ANN: &str = "ann@example.com";

#[tokio::test]
async fn activities_that_arrive_later_are_in_the_next_export() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS - 2, ANN, "first")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("fileName"), ["first"]);

    tenant.ingest(&[activity(NOW_MS - 3, " ANN@Example.com", "before")]).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["before", "first"]);

    // After a restart too, when what the lake gained is read from its log.
    tenant.ingest(&[activity(NOW_MS - 1, ANN, "after")]).await;
    let server = server.restart().await;
    assert_eq!(tenant.at(&server).query(id).await.column("fileName"), ["before", "first", "after"]);
}

#[tokio::test]
async fn evidence_is_made_once_while_nothing_arrives_that_could_belong() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    let first = tenant.query(id).await;
    tenant.ingest(&[activity(NOW_MS - 20 * DAY_MS, ANN, "another day")]).await;
    tenant.ingest(&[activity(NOW_MS, "zoe@example.com", "another user")]).await;
    assert_eq!(tenant.query(id).await.body, first.body);
    assert_eq!(server.metric("anomalake_evidence_made_total").await, 1);
    tenant.ingest(&[activity(NOW_MS, ANN, "b")]).await;
    assert_eq!(tenant.query(id).await.rows().len(), 2);
    assert_eq!(server.metric("anomalake_evidence_made_total").await, 2);
}

#[tokio::test]
async fn requests_at_the_same_time_share_the_work() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    let answers = futures::future::join_all((0..8).map(|_| tenant.query(id))).await;
    assert!(answers.iter().all(|answer| answer.body == answers[0].body && answer.rows().len() == 1));
    assert_eq!(server.metric("anomalake_evidence_made_total").await, 1);
}

#[tokio::test]
async fn a_window_that_ends_in_the_future_goes_on_filling() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let (from, to) = (NOW_MS - HOUR_MS, NOW_MS + 2 * DAY_MS);
    let id = tenant.anomaly(json!({ "user": ANN, "from": from, "to": to })).await;
    server.clock.advance(DELAY_MS);
    assert!(tenant.query(id).await.body.is_empty());
    tenant.ingest(&[activity(from, ANN, "at its start"), activity(from - 1, ANN, "before it")]).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["at its start"]);
    server.clock.advance(2 * DAY_MS);
    tenant.ingest(&[activity(to - 1, ANN, "its last"), activity(to, ANN, "after it")]).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["at its start", "its last"]);
}

#[tokio::test]
async fn the_background_job_makes_what_is_due_and_only_that() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    let services = &server.owner.services;
    assert_eq!(services.make_due_evidence(100).await.unwrap(), 0);
    server.clock.advance(DELAY_MS);
    assert_eq!(services.make_due_evidence(100).await.unwrap(), 1);
    assert_eq!(services.make_due_evidence(100).await.unwrap(), 0);
    let shown = tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json();
    assert_eq!((&shown["evidence"]["state"], &shown["evidence"]["rows"]), (&json!("ready"), &json!(1)));
    assert_eq!(tenant.query(id).await.rows().len(), 1);
    assert_eq!(server.metric("anomalake_evidence_made_total").await, 1);
}

#[tokio::test]
async fn evidence_that_cannot_be_made_is_an_error_with_its_reason_and_no_empty_success() {
    let server = TestServer::start_with(|settings| settings.evidence_timeout = Duration::ZERO).await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    for _ in 0..3 {
        let answer = tenant.api.query(id).await.expect(500);
        assert!(answer.json()["message"].as_str().unwrap().contains("took longer than"), "{}", answer.text());
    }
    let given_up = tenant.api.query(id).await.expect(500);
    insta::assert_snapshot!(given_up.shown(), @r#"
    500 application/json
    {
      "code": 500,
      "message": "the evidence could not be made: making the evidence took longer than 0s"
    }
    "#);
    let shown = tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json();
    assert_eq!(shown["evidence"]["state"], "failed");
    assert_eq!(server.metric("anomalake_evidence_failed_total").await, 3);
    assert_eq!(server.metric("anomalake_exports_running").await, 0);
    server.anyone().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn every_query_leaves_an_entry_in_the_audit_trail() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    tenant.query(id).await;
    server.clock.advance(DELAY_MS);
    tenant.query(id).await;
    tenant.api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200);
    let audit = server.audit(&tenant).await;
    let shown: Vec<_> = audit.iter().map(|e| (e.action.as_str(), e.target.as_deref().unwrap(), e.rows)).collect();
    let target = id.to_string();
    assert!(shown.contains(&("anomaly.create", &target, None)), "{shown:?}");
    let exports: Vec<_> = shown.iter().filter(|(action, ..)| action.starts_with("activities.")).collect();
    let expected = [
        ("activities.query", &*target, Some(0)),
        ("activities.query", &target, Some(1)),
        ("activities.export", &target, None),
    ];
    assert_eq!(exports, expected.iter().collect::<Vec<_>>());
    let last = audit.last().unwrap();
    assert_eq!((last.principal.as_str(), last.address.as_deref()), ("token 1", Some("127.0.0.1")));
    assert_eq!(last.at_ms, NOW_MS + DELAY_MS);
}
