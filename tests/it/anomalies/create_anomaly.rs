//! `POST /api/v1/anomalies`.

use serde_json::json;

use crate::support::{DAY_MS, HOUR_MS, NOW_MS, TestServer};

const PATH: &str = "/api/v1/anomalies";

#[tokio::test]
async fn it_is_answered_as_it_is_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let anomaly = json!({
        "user": "Ann@Example.com", "from": "2026-11-21T00:00:00Z", "to": "+1h", "where": "downloadBytes > 10",
        "score": 7.5, "category": "Insider Threats", "source": "test", "reason": "because", "activity": "downloads",
    });
    let answer = tenant.api.post_json(PATH, &anomaly).await;
    insta::assert_snapshot!(answer.shown(), @r#"
    201 application/json
    {
      "activity": "downloads",
      "anomalyId": "a10000000000000000000001",
      "availability": "not yet available, from 2026-11-22T12:00:00.000Z",
      "category": "Insider Threats",
      "createdAt": "2026-11-22T00:00:00.000Z",
      "evidence": {
        "state": "pending"
      },
      "from": "2026-11-21T00:00:00.000Z",
      "id": 1,
      "incidentId": "ANO-1",
      "modifiedAt": "2026-11-22T00:00:00.000Z",
      "reason": "because",
      "score": 7.5,
      "source": "test",
      "status": "new",
      "to": "2026-11-22T01:00:00.000Z",
      "user": "Ann@Example.com",
      "where": "downloadBytes > 10"
    }
    "#);
}

#[tokio::test]
async fn times_are_rfc_3339_or_ms_or_relative() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let (from, to) = ("2026-11-21T00:00:00.000Z", "2026-11-22T00:00:00.000Z");
    for (given_from, given_to) in [
        (json!(from), json!("2026-11-22T01:00:00+01:00")),
        (json!(NOW_MS - DAY_MS), json!(NOW_MS)),
        (json!((NOW_MS - DAY_MS).to_string()), json!(NOW_MS.to_string())),
        (json!("-24h"), json!("now")),
        (json!("-1d"), json!("+0s")),
    ] {
        let anomaly = json!({ "user": "x", "from": given_from, "to": given_to });
        let answer = tenant.api.post_json(PATH, &anomaly).await.expect(201).json();
        assert_eq!((answer["from"].as_str(), answer["to"].as_str()), (Some(from), Some(to)), "{anomaly}");
    }
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (anomaly, target) in [
        (json!({ "from": 1, "to": 2 }), Some("user")),
        (json!({ "user": " ", "from": 1, "to": 2 }), Some("user")),
        (json!({ "user": "x".repeat(5_000), "from": 1, "to": 2 }), Some("user")),
        (json!({ "user": "x", "from": 2, "to": 2 }), Some("from")),
        (json!({ "user": "x", "from": 3, "to": 2 }), Some("from")),
        (json!({ "user": "x", "from": "yesterday", "to": 2 }), Some("from")),
        (json!({ "user": "x", "from": 1, "to": "" }), Some("to")),
        (json!({ "user": "x", "from": 1, "to": 2, "createdAt": NOW_MS + HOUR_MS }), Some("createdAt")),
        (json!({ "user": "x", "from": 1, "to": 2, "where": "" }), Some("where")),
        (json!({ "user": "x", "from": 1 }), None),
        (json!({ "user": "x", "from": 1, "to": 2, "wher": "true" }), None),
        (json!({ "user": 7, "from": 1, "to": 2 }), None),
        (json!([]), None),
    ] {
        let answer = tenant.api.post_json(PATH, &anomaly).await.expect(400).json();
        assert_eq!(answer["target"].as_str(), target, "{anomaly}: {answer}");
    }
    assert_eq!(tenant.api.get(PATH).await.expect(200).json()["anomalies"], json!([]));
}
