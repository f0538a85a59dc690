//! `POST modifyIncidents`: all or nothing, with history and an entry in the audit trail.

use serde_json::{Value, json};

use super::{FAMILY, all, query, set_status};
use crate::support::{Answer, TestServer, TestTenant};

async fn modify(tenant: &TestTenant, body: Value) -> Answer {
    tenant.api.post_json(&format!("{FAMILY}/modifyIncidents"), &body).await
}

fn change(id: impl Into<Value>, status: &str) -> Value {
    json!({ "incidentId": id.into(), "changeRequests": { "WORKFLOW_STATUS": status } })
}

async fn shown(tenant: &TestTenant, id: i64) -> Value {
    tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json()
}

#[tokio::test]
async fn a_status_changes_with_history_and_audit() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let (ann, bob) = (tenant.of_user("ann@example.com").await, tenant.of_user("bob@example.com").await);
    server.clock.advance(1000);
    let body = json!([change("ANO-1", "RESOLVED"), change("ANO-2", "new"), change(1, "False_Positive")]);
    let mut answer = modify(&tenant, body).await.expect(200).json();
    answer["body"]["responseInfo"]["apiElapsedMillis"] = json!("[ms]");
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r#"
    {
      "body": {
        "responseInfo": {
          "actualLimit": 3,
          "apiElapsedMillis": "[ms]",
          "error": null,
          "nextOffset": null,
          "nextStartTime": "2026-11-22T00:00:01.001Z"
        },
        "results": [
          {
            "changed": true,
            "incidentId": "ANO-1",
            "status": "resolved",
            "timeModified": "2026-11-22T00:00:01.000Z"
          },
          {
            "changed": false,
            "incidentId": "ANO-2",
            "status": "new",
            "timeModified": "2026-11-22T00:00:00.000Z"
          },
          {
            "changed": true,
            "incidentId": "ANO-1",
            "status": "false positive",
            "timeModified": "2026-11-22T00:00:01.000Z"
          }
        ]
      },
      "headers": {},
      "statusCode": "OK",
      "statusCodeValue": 200
    }
    "#);

    let anomaly = shown(&tenant, ann).await;
    assert_eq!(
        (&anomaly["status"], &anomaly["modifiedAt"]),
        (&json!("false positive"), &json!("2026-11-22T00:00:01.000Z"))
    );
    let at = "2026-11-22T00:00:01.000Z";
    let history = json!([
        { "at": at, "by": "token 1", "from": "new", "to": "resolved" },
        { "at": at, "by": "token 1", "from": "resolved", "to": "false positive" },
    ]);
    assert_eq!(anomaly["history"], history);
    assert_eq!(shown(&tenant, bob).await["history"], json!([]));
    let audit = server.audit(&tenant).await;
    let entry = audit.last().unwrap();
    assert_eq!((entry.action.as_str(), entry.principal.as_str(), entry.rows), ("incidents.modify", "token 1", Some(2)));
    assert_eq!(entry.detail, json!({ "incidents": ["ANO-1", "ANO-1"] }));

    let listed = async |status: &str| {
        let page = tenant.api.get(&format!("/api/v1/anomalies?status={status}")).await.expect(200).json();
        page["anomalies"].as_array().unwrap().iter().map(|a| a["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        (listed("FALSE%20POSITIVE").await, listed("new").await, listed("archived").await),
        (vec![ann], vec![bob], vec![])
    );
    assert_eq!(tenant.api.get("/api/v1/anomalies?status=open").await.expect(400).json()["target"], "status");
}

#[tokio::test]
async fn every_status_is_reached_from_every_other_and_survives_a_restart() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.of_user("ann@example.com").await;
    for status in ["OPENED", "FALSE POSITIVE", "RESOLVED", "SUPPRESSED", "ARCHIVED", "NEW", "archived"] {
        server.clock.advance(1);
        let answer = set_status(&tenant, &[id], status).await;
        assert_eq!(answer["body"]["results"][0]["changed"], true);
        assert_eq!(shown(&tenant, id).await["status"], status.to_lowercase());
    }
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    let anomaly = shown(&tenant, id).await;
    assert_eq!((&anomaly["status"], anomaly["history"].as_array().unwrap().len()), (&json!("archived"), 7));
}

#[tokio::test]
async fn one_wrong_item_refuses_all_and_each_is_named() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let (ann, foreign) = (tenant.of_user("ann@example.com").await, other.of_user("ann@example.com").await);
    server.clock.advance(1000);
    let before = server.audit(&tenant).await;
    let unknown =
        json!([change(ann, "RESOLVED"), change(foreign, "RESOLVED"), change("ANO-77", "NEW"), change("x", "NEW")]);
    let unknown = modify(&tenant, unknown).await.expect(404);
    insta::assert_snapshot!(unknown.text(), @r#"{"code":404,"message":"item 1 (from 0): there is no such incident; nothing was changed","target":"incidentId","details":[{"incidentId":2,"message":"there is no such incident","position":1,"target":"incidentId"},{"incidentId":"ANO-77","message":"there is no such incident","position":2,"target":"incidentId"},{"incidentId":"x","message":"there is no such incident","position":3,"target":"incidentId"}]}"#);
    let wrong = json!([change(ann, "RESOLVED"), change(ann, "DONE"), { "changeRequests": {} }]);
    let wrong = modify(&tenant, wrong).await.expect(400);
    insta::assert_snapshot!(wrong.text(), @r#"{"code":400,"message":"item 1 (from 0): unknown status `DONE`; known are new, opened, false positive, resolved, suppressed, archived; nothing was changed","target":"changeRequests","details":[{"incidentId":1,"message":"unknown status `DONE`; known are new, opened, false positive, resolved, suppressed, archived","position":1,"target":"changeRequests"},{"incidentId":null,"message":"incidentId is missing; send \"ANO-1\"","position":2,"target":"incidentId"}]}"#);
    for body in [json!({}), json!([1]), json!([change(ann, "RESOLVED"), { "incidentId": ann, "changeRequests": 1 }])] {
        modify(&tenant, body).await.expect(400);
    }
    modify(&tenant, json!(vec![change(ann, "RESOLVED"); 1001])).await.expect(400);
    assert_eq!(server.audit(&tenant).await, before);
    assert_eq!(all(&query(&tenant.api, "", &json!({})).await, "status"), ["new"]);
    assert_eq!(shown(&other, foreign).await["status"], "new");

    modify(&tenant, json!([])).await.expect(200);
    let most = modify(&tenant, json!(vec![change(ann, "RESOLVED"); 1000])).await.expect(200).json();
    let changed = most["body"]["results"].as_array().unwrap().iter().filter(|r| r["changed"] == true).count();
    assert_eq!(changed, 1);
}
