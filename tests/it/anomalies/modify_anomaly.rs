//! `PATCH /api/v1/anomalies/{id}`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::records::activity;
use crate::support::{Answer, DELAY_MS, NOW_MS, TestServer, TestTenant};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

async fn patch(tenant: &TestTenant, id: i64, change: &Value) -> Answer {
    tenant.api.send("PATCH", &format!("/api/v1/anomalies/{id}"), change.to_string()).await
}

#[tokio::test]
async fn what_is_given_changes_and_null_removes() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant
        .anomaly(json!({ "user": ANN, "from": 0, "to": 1, "score": 7.5, "reason": "because", "serviceNames": ["Box"] }))
        .await;
    server.clock.advance(1000);
    let change = json!({
        "status": "Opened", "user": null, "from": "-1h", "to": "2026-11-22T00:00:00Z", "where": "downloadBytes > 10",
        "score": 9, "category": "Data Access", "source": "test", "reason": null, "activity": "reads", "value": 1.5,
        "serviceNames": null, "instanceId": 7, "instanceName": "main",
    });
    let answer = patch(&tenant, id, &change).await;
    insta::assert_snapshot!(answer.shown(), @r#"
    200 application/json
    {
      "activity": "reads",
      "anomalyId": "a10000000000000000000001",
      "availability": "not yet available, from 2026-11-22T12:00:00.000Z",
      "category": "Data Access",
      "createdAt": "2026-11-22T00:00:00.000Z",
      "evidence": {
        "state": "pending"
      },
      "from": "2026-11-21T23:00:01.000Z",
      "history": [
        {
          "at": "2026-11-22T00:00:01.000Z",
          "by": "token 1",
          "from": "new",
          "to": "opened"
        }
      ],
      "id": 1,
      "incidentId": "ANO-1",
      "instanceId": 7,
      "instanceName": "main",
      "modifiedAt": "2026-11-22T00:00:01.000Z",
      "score": 9.0,
      "source": "test",
      "status": "opened",
      "to": "2026-11-22T00:00:00.000Z",
      "value": 1.5,
      "where": "downloadBytes > 10"
    }
    "#);
    let entry = server.audit(&tenant).await.pop().unwrap();
    assert_eq!((entry.action.as_str(), entry.target.as_deref()), ("anomaly.modify", Some("1")));
    assert_eq!(entry.detail["fields"].as_array().unwrap().len(), 14);

    // The same again, and nothing at all, change nothing.
    server.clock.advance(1000);
    let mut again = change;
    again["from"] = answer.json()["from"].clone();
    for change in [again, json!({})] {
        assert_eq!(patch(&tenant, id, &change).await.expect(200).json(), answer.json());
    }
    assert_eq!(server.audit(&tenant).await.last(), Some(&entry));
}

#[tokio::test]
async fn what_is_wrong_is_named_and_nothing_changes() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let id = tenant.anomaly(json!({ "user": ANN, "from": 10, "to": 20 })).await;
    let before = tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.json();
    for (change, target) in [
        (json!({ "status": "done" }), "status"),
        (json!({ "status": null }), "status"),
        (json!({ "from": null }), "from"),
        (json!({ "from": 20 }), "from"),
        (json!({ "to": "tomorrow" }), "to"),
        (json!({ "user": null }), "user"),
        (json!({ "user": " " }), "user"),
        (json!({ "where": "timeStamp" }), "where"),
        (json!({ "reason": "x".repeat(5000) }), "reason"),
        (json!({ "serviceNames": ["Box", ""] }), "serviceNames"),
        (json!({ "serviceNames": vec!["Box"; 65] }), "serviceNames"),
    ] {
        assert_eq!(patch(&tenant, id, &change).await.expect(400).json()["target"], target, "{change}");
    }
    for body in ["", "[]", "{\"id\": 5}", "{\"createdAt\": 5}", "{\"score\": \"high\"}"] {
        tenant.api.send("PATCH", &format!("/api/v1/anomalies/{id}"), body).await.expect(400);
    }
    patch(&other, id, &json!({ "status": "opened" })).await.expect(404);
    patch(&tenant, 77, &json!({ "status": "opened" })).await.expect(404);
    assert_eq!(tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.json(), before);
}

#[tokio::test]
async fn evidence_follows_what_belongs_to_the_anomaly() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let rows = [(NOW_MS - 20, ANN, "old"), (NOW_MS - 10, ANN, "new"), (NOW_MS - 10, BOB, "bob's")];
    tenant.ingest(&rows.map(|(at, user, name)| activity(at, user, name))).await;
    let id = tenant.anomaly(json!({ "user": ANN, "from": NOW_MS - 30, "to": NOW_MS })).await;
    server.clock.advance(DELAY_MS);
    let state = async || {
        let shown = tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json();
        shown["evidence"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(tenant.query(id).await.column("fileName"), ["old", "new"]);
    for (change, expected) in [
        (json!({ "user": "BOB@example.com" }), vec!["bob's"]),
        (json!({ "user": null, "where": "fileName <> 'old'" }), vec!["bob's", "new"]),
        (json!({ "where": null, "user": ANN, "from": NOW_MS - 15 }), vec!["new"]),
        (json!({ "to": NOW_MS - 10, "from": NOW_MS - 30 }), vec!["old"]),
    ] {
        assert_eq!(patch(&tenant, id, &change).await.expect(200).json()["evidence"], json!({ "state": "pending" }));
        assert_eq!(tenant.query(id).await.column("fileName"), expected, "{change}");
        assert_eq!(server.evidence_files(), 1, "the file of the old definition is gone");
    }
    patch(&tenant, id, &json!({ "category": "Insider Threats" })).await.expect(200);
    assert_eq!(state().await, "pending");
    assert_eq!(tenant.query(id).await.column("threatCategory"), ["Insider Threats"]);
    // What does not matter to it leaves it alone.
    patch(&tenant, id, &json!({ "status": "opened", "score": 5, "reason": "x", "user": " ANN@example.com" }))
        .await
        .expect(200);
    assert_eq!(state().await, "ready");
}

#[tokio::test]
async fn a_failed_state_ends_with_the_definition_that_failed() {
    let server = TestServer::start_with(|settings| settings.evidence_timeout = Duration::ZERO).await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "a")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    for _ in 0..3 {
        tenant.api.query(id).await.expect(500);
    }
    let change = json!({ "status": "opened" });
    assert_eq!(patch(&tenant, id, &change).await.expect(200).json()["evidence"]["state"], "failed");
    let change = json!({ "to": NOW_MS + 7 });
    assert_eq!(patch(&tenant, id, &change).await.expect(200).json()["evidence"], json!({ "state": "pending" }));
    let attempts = server.metric("anomalake_evidence_failed_total").await;
    tenant.api.query(id).await.expect(500);
    assert_eq!(server.metric("anomalake_evidence_failed_total").await, attempts + 1, "it is tried again at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_beside_changes_give_one_definition_or_the_other() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, ANN, "ann's"), activity(NOW_MS, BOB, "bob's")]).await;
    let id = tenant.of_user(ANN).await;
    server.clock.advance(DELAY_MS);
    let reading = {
        let tenant = tenant.clone();
        tokio::spawn(async move {
            for _ in 0..60 {
                let answer = tenant.api.query(id).await;
                // Changed three times while it was being made.
                if answer.status != 503 {
                    let names = answer.expect(200).column("fileName");
                    assert!(names == ["ann's"] || names == ["bob's"], "{names:?}");
                }
            }
        })
    };
    for round in 0..40 {
        let (user, name) = [(BOB, "bob's"), (ANN, "ann's")][round % 2];
        patch(&tenant, id, &json!({ "user": user })).await.expect(200);
        if round % 4 == 0 {
            assert_eq!(tenant.query(id).await.column("fileName"), [name], "never the definition before");
        }
    }
    reading.await.unwrap();
    assert_eq!(tenant.query(id).await.column("fileName"), ["ann's"]);
    assert_eq!(server.evidence_files(), 1);
}
