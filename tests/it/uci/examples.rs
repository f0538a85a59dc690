//! The documented `curl` requests with nothing changed but host, token and ids.

use serde_json::json;

use super::{ANOMALIES, IMPACT, SEARCH, each};
use crate::support::{Api, TestServer, TestTenant};

/// The documented headers.
fn curl(tenant: &TestTenant, server: &TestServer) -> Api {
    server.anyone().with("Netskope-Api-Token", &tenant.token).with("Content-Type", "application/json")
}

#[tokio::test]
async fn every_documented_request_gets_the_documented_answer() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let api = curl(&tenant, &server);
    let body = r#"{ "user": "name@netskope.com", "score": 50, "timestamp": 1654823213000, "source": "Dropbox", "reason": "login failed too many times" }"#;
    let pushed = api.send("POST", IMPACT, body).await.expect(200);
    insta::assert_snapshot!(pushed.shown(), @r#"
    200 application/json
    {
      "activity": "ActivityForUciImpactAPI",
      "anomalyCreatedTime": "2026-11-22T00:00:00Z",
      "anomalyId": "a10000000000000000000001",
      "reason": "login failed too many times",
      "score": 50,
      "source": "Dropbox",
      "time": 1654823213000,
      "user": "name@netskope.com"
    }
    "#);
    let id = pushed.json()["anomalyId"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(api.get(&format!("{ANOMALIES}/{id}")).await.expect(200).shown(), @r#"
    200 application/json
    {
      "activity": "ActivityForUciImpactAPI",
      "anomalyCreatedTime": "2026-11-22T00:00:00Z",
      "anomalyId": "a10000000000000000000001",
      "eventId": "e10000000000000000000001",
      "markAsAllowed": false,
      "reason": "login failed too many times",
      "score": 50,
      "source": "Dropbox",
      "time": 1654823213000,
      "user": "name@netskope.com"
    }
    "#);

    // The shell's own variables stand in single quotes there, so they arrive as they are.
    let search = format!(
        "{SEARCH}?activity=ActivityForUciImpactAPI&offset=$offset&limit=$limit&fields=anomalyId,user,source,reason,score"
    );
    let by_filters = r#"{ "filters" :{ "user" : { "equals": ["user1", "user3"] }, "source" : { "equals": ["OKTA", "OKTA2"] }, "startTime": { "equals": 1654823213000 }, "endTime": { "equals": 1654833213000 } } }"#;
    let none = api.send("POST", &search, by_filters).await.expect(200);
    assert_eq!(none.json(), json!({ "totalCount": 0, "results": [] }));
    let recent = tenant.impact("user1", 20, server.clock_ms()).await;
    let by_ids = format!(r#"{{ "filters" :{{ "anomalyId" : {{ "equals": ["{recent}", "xxxxx"] }} }} }}"#);
    let found = api.send("POST", &search, by_ids).await.expect(200);
    let wanted =
        json!({ "anomalyId": recent, "user": "user1", "source": "OKTA", "reason": "login failed", "score": 20 });
    assert_eq!(found.json(), json!({ "totalCount": 1, "results": [wanted] }));
    let whole = api.send("POST", &format!("{SEARCH}?offset=0&limit=1000"), "").await.expect(200);
    assert_eq!(each(&whole, "anomalyCreatedTime"), ["2026-11-22T00:00:00Z"]);

    let allow = format!("{ANOMALIES}/{id}/allow");
    let allowed = api.send("POST", &allow, r#"{"reason": "not an anomaly"}"#).await.expect(200);
    insta::assert_snapshot!(allowed.shown(), @r#"
    200 application/json
    {
      "anomalyCreatedTime": "2026-11-22T00:00:00Z",
      "anomalyId": "a10000000000000000000001",
      "markAsAllowed": true,
      "reasonForAllowed": "not an anomaly",
      "user": "name@netskope.com"
    }
    "#);
}

#[tokio::test]
async fn the_content_type_and_the_kind_of_header_do_not_matter() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let body = super::impact("ann", 5, server.clock_ms()).to_string();
    for api in [
        server.anyone().with("netskope-api-token", &tenant.token),
        server.anyone().with("NETSKOPE-API-TOKEN", &tenant.token).with("content-type", "text/plain"),
        server.anyone().bearer(&tenant.token).with("content-type", "application/x-www-form-urlencoded"),
    ] {
        api.send("POST", IMPACT, body.clone()).await.expect(200);
    }
    assert_eq!(tenant.score("ann").await, Some(985));
}
