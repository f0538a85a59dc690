//! `POST queryIncidents`: the fields, the criteria, the limit, who may.

use serde_json::{Value, json};

use anomalake::domain::principal::Role;

use super::{FAMILY, all, anomaly_then_tick, incidents, query, set_status};
use crate::support::{DELAY_MS, NOW_MS, TestServer, records::activity};

const PATH: &str = "/shnapi/rest/external/api/v1/queryIncidents";

#[tokio::test]
async fn an_incident_has_every_field_of_the_contract() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS - 5, "ann@example.com", "a"), activity(NOW_MS - 4, "ann@example.com", "b")]).await;
    let id = tenant
        .anomaly(json!({
            "user": "Ann@Example.com", "from": NOW_MS - 10, "to": NOW_MS, "score": 160.5, "category": "Insider Threats",
            "source": "test", "reason": "because", "activity": "downloads", "value": 12.5,
            "serviceNames": ["Box", "Drive"], "instanceId": 7, "instanceName": "main",
        }))
        .await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.rows().len(), 2);
    set_status(&tenant, &[id], "FALSE_POSITIVE").await;
    server.clock.advance(5);
    let reason = json!({ "reason": "because of this" }).to_string();
    tenant.api.send("PATCH", &format!("/api/v1/anomalies/{id}"), reason).await.expect(200);
    server.clock.advance(1);
    let answer = tenant.api.post_json(PATH, &json!({})).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut answer = answer.json();
    answer["body"]["responseInfo"]["apiElapsedMillis"] = json!("[ms]");
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r#"
    {
      "body": {
        "incidents": [
          {
            "activityNames": [
              "downloads"
            ],
            "actorId": "Ann@Example.com",
            "actorIdType": "USER",
            "incidentGroup": "Alert.Data.InsiderThreats",
            "incidentGroupId": 309,
            "incidentId": "ANO-1",
            "incidentRiskScore": 160.5,
            "incidentRiskSeverity": "high",
            "incidentRiskSeverityId": 2,
            "information": {
              "activityCount": 2,
              "anomalyCategory": "Insider Threats",
              "anomalyCause": "because of this",
              "anomalyCount": 1,
              "anomalyValue": 12.5,
              "isPartOfThreat": true,
              "reason": "because of this",
              "source": "test"
            },
            "instanceId": 7,
            "instanceName": "main",
            "responses": [],
            "serviceNames": [
              "Box",
              "Drive"
            ],
            "significantlyUpdatedAt": "2026-11-22T12:00:00.000Z",
            "status": "false positive",
            "timeCreated": "2026-11-22T00:00:00.000Z",
            "timeModified": "2026-11-22T12:00:00.005Z"
          }
        ],
        "responseInfo": {
          "actualLimit": 100,
          "apiElapsedMillis": "[ms]",
          "error": null,
          "nextOffset": null,
          "nextStartTime": "2026-11-22T12:00:00.006Z"
        }
      },
      "headers": {},
      "statusCode": "OK",
      "statusCodeValue": 200
    }
    "#);
}

#[tokio::test]
async fn an_anomaly_that_says_little_has_every_key_all_the_same() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.anomaly(json!({ "from": 0, "to": 1, "where": "downloadBytes > 10" })).await;
    server.clock.advance(1);
    let body = query(&tenant.api, "", &json!({})).await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&body["incidents"]).unwrap(), @r#"
    [
      {
        "activityNames": [],
        "actorId": null,
        "actorIdType": "USER",
        "incidentGroup": "Alert.Access.Other",
        "incidentGroupId": 100,
        "incidentId": "ANO-1",
        "incidentRiskScore": 0.0,
        "incidentRiskSeverity": "low",
        "incidentRiskSeverityId": 0,
        "information": {
          "activityCount": null,
          "anomalyCategory": null,
          "anomalyCause": null,
          "anomalyCount": 1,
          "anomalyValue": null,
          "isPartOfThreat": false,
          "reason": null,
          "source": null
        },
        "instanceId": null,
        "instanceName": null,
        "responses": [],
        "serviceNames": [],
        "significantlyUpdatedAt": "2026-11-22T00:00:00.000Z",
        "status": "new",
        "timeCreated": "2026-11-22T00:00:00.000Z",
        "timeModified": "2026-11-22T00:00:00.000Z"
      }
    ]
    "#);
}

#[tokio::test]
async fn criteria_choose_and_absent_ones_do_not() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let more = json!({ "category": "Data Download", "serviceNames": ["Box"], "createdAt": NOW_MS - 900 });
    anomaly_then_tick(&server, &tenant, "ann@example.com", more).await;
    anomaly_then_tick(&server, &tenant, "Bob@example.com", json!({ "category": "login failure" })).await;
    anomaly_then_tick(&server, &tenant, "cid@example.com", json!({ "serviceNames": ["Drive", "Box"] })).await;
    anomaly_then_tick(&server, &other, "dee@example.com", json!({})).await;
    let [ann, bob, cid] = ["ann@example.com", "Bob@example.com", "cid@example.com"];
    for (criteria, expected) in [
        (json!({}), vec![ann, bob, cid]),
        (
            json!({ "actorIds": [], "serviceNames": null, "incidentCriteria": { "categories": [] }, "x": 1 }),
            vec![ann, bob, cid],
        ),
        (json!({ "actorIds": [" BOB@example.com ", "nobody"] }), vec![bob]),
        (json!({ "serviceNames": ["Box"] }), vec![ann, cid]),
        (json!({ "serviceNames": ["box"] }), vec![]),
        (json!({ "incidentCriteria": { "categories": [{ "incidentType": "Alert.Access" }] } }), vec![bob, cid]),
        (json!({ "incidentCriteria": { "categories": [{ "incidentType": "Alert", "category": "Data" }] } }), vec![ann]),
        (json!({ "incidentCriteria": { "categories": [{ "incidentType": "alert" }] } }), vec![]),
        (json!({ "incidentCriteria": { "categories": [{ "incidentType": "Alert.Da" }] } }), vec![]),
        (json!({ "startTime": "2026-11-22T00:00:00.001" }), vec![bob, cid]),
        (json!({ "startTime": "2026-11-22T01:00:00.001+01:00", "endTime": "2026-11-22T00:00:00.002000Z" }), vec![bob]),
        (json!({ "startTime": "2026-11-22T00:00:00.000001" }), vec![bob, cid]),
        (json!({ "endTime": "2026-11-22T00:00:00.000", "timesSelection": "LAST_MODIFIED_AT" }), vec![]),
        (json!({ "endTime": "2026-11-22T00:00:00.000", "timesSelection": "CREATED_AT" }), vec![ann]),
    ] {
        assert_eq!(all(&query(&tenant.api, "", &criteria).await, "actorId"), expected, "{criteria}");
    }
    // A body is not needed, and its type does not matter.
    let answer = tenant.api.with("content-type", "text/plain").send("POST", PATH, "").await.expect(200).json();
    assert_eq!(incidents(&answer["body"]).len(), 3);
}

#[tokio::test]
async fn the_current_ms_is_left_out_and_the_cursor_stays_before_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let empty = query(&tenant.api, "", &json!({})).await;
    assert_eq!(empty["responseInfo"]["nextStartTime"], "1970-01-01T00:00:00.000Z");
    let first = tenant.of_user("ann@example.com").await;
    let page = query(&tenant.api, "", &json!({})).await;
    assert_eq!(
        (incidents(&page).len(), &page["responseInfo"]["nextStartTime"]),
        (0, &json!("2026-11-22T00:00:00.000Z"))
    );
    tenant.of_user("bob@example.com").await;
    server.clock.advance(1);
    let page = query(&tenant.api, "", &json!({})).await;
    assert_eq!(all(&page, "actorId"), ["ann@example.com", "bob@example.com"]);
    let next = &page["responseInfo"]["nextStartTime"];
    assert_eq!(next, "2026-11-22T00:00:00.001Z");
    // The machine's clock steps back by an hour: later changes still come after the cursor, and at once.
    server.clock.advance(-crate::support::HOUR_MS);
    set_status(&tenant, &[first], "opened").await;
    let page = query(&tenant.api, "", &json!({ "startTime": next })).await;
    assert_eq!(all(&page, "timeModified"), ["2026-11-22T00:00:00.001Z"]);
    let next = &page["responseInfo"]["nextStartTime"];
    let page = query(&tenant.api, "", &json!({ "startTime": next })).await;
    assert_eq!((incidents(&page).len(), &page["responseInfo"]["nextStartTime"]), (0, next));
}

#[tokio::test]
async fn pages_by_creation_go_on_by_creation() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for back_ms in [5, 900, 5, 30, 30, 30] {
        anomaly_then_tick(&server, &tenant, "ann@example.com", json!({ "createdAt": NOW_MS - back_ms })).await;
    }
    let (mut criteria, mut pages) = (json!({ "timesSelection": "CREATED_AT" }), Vec::new());
    loop {
        let page = query(&tenant.api, "?limit=2", &criteria).await;
        if incidents(&page).is_empty() {
            break;
        }
        pages.push(all(&page, "incidentId").join(" "));
        criteria["startTime"] = page["responseInfo"]["nextStartTime"].clone();
    }
    assert_eq!(pages, ["ANO-2 ANO-4 ANO-5 ANO-6", "ANO-1 ANO-3"]);
}

#[tokio::test]
async fn limits_are_told_and_wrong_requests_are_named() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (given, actual) in [("", 100), ("?limit=7", 7), ("?limit=10000", 10_000), ("?limit=99999999999", 10_000)] {
        assert_eq!(query(&tenant.api, given, &json!({})).await["responseInfo"]["actualLimit"], actual);
    }
    for given in ["?limit=0", "?limit=-1", "?limit=x", "?limit="] {
        let answer = tenant.api.post_json(&format!("{PATH}{given}"), &json!({})).await.expect(400).json();
        assert_eq!(answer["target"], "limit", "{given}");
    }
    for (criteria, target) in [
        (json!({ "startTime": "yesterday" }), "startTime"),
        (json!({ "startTime": "2026-11-22T00:00:00", "endTime": "2026-11-21T00:00:00" }), "startTime"),
        (json!({ "timesSelection": "SOMETIMES" }), "timesSelection"),
        (json!({ "incidentCriteria": { "categories": [{}] } }), "incidentCriteria.categories"),
    ] {
        for route in ["queryIncidents", "queryIncidentGroups", "queryIncidentInformationKeys"] {
            let answer = tenant.api.post_json(&format!("{FAMILY}/{route}"), &criteria).await.expect(400).json();
            assert_eq!((&answer["code"], &answer["target"]), (&json!(400), &json!(target)), "{route} {criteria}");
        }
    }
    for body in ["{", "[]", "7", r#"{"actorIds": "ann"}"#, r#"{"startTime": 5}"#] {
        tenant.api.send("POST", PATH, body).await.expect(400);
    }
}

#[tokio::test]
async fn a_reader_may_read_and_not_modify() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.of_user("ann@example.com").await;
    server.user(tenant.id, "reader@example.com", "a long password", Role::Reader).await;
    let reader = server.anyone().basic("reader@example.com", "a long password");
    let modify = json!([{ "incidentId": format!("ANO-{id}"), "changeRequests": { "WORKFLOW_STATUS": "OPENED" } }]);
    let without = server.token(tenant.id, "activities:write", None).await.token.expose().to_owned();
    let without = server.anyone().bearer(&without);
    for route in ["queryIncidents", "queryIncidentGroups", "queryIncidentInformationKeys"] {
        let path = format!("{FAMILY}/{route}");
        reader.post_json(&path, &Value::Null).await.expect(400);
        reader.post_json(&path, &json!({})).await.expect(200);
        assert_eq!(without.post_json(&path, &json!({})).await.expect(403).json()["target"], "anomalies:read");
        let anyone = server.anyone().post_json(&path, &json!({})).await.expect(401);
        assert!(anyone.header("www-authenticate").unwrap().starts_with("Basic"));
    }
    reader.get(&format!("{FAMILY}/groups")).await.expect(200);
    without.get(&format!("{FAMILY}/groups")).await.expect(403);
    let refused = reader.post_json(&format!("{FAMILY}/modifyIncidents"), &modify).await.expect(403).json();
    assert_eq!(refused["target"], "anomalies:write");
    let patch = json!({ "status": "opened" }).to_string();
    reader.send("PATCH", &format!("/api/v1/anomalies/{id}"), patch).await.expect(403);
}
