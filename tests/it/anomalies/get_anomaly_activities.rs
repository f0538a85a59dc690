//! `GET /api/v1/anomalies/{id}/activities`: as of now, without flag, delay, recency or cap.

use anomalake::registry::settings::Overrides;
use serde_json::{Value, json};

use crate::support::records::{activity, header};
use crate::support::{DAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn no_limit_of_the_wire_contract_applies() {
    let server = TestServer::start().await;
    let tenant = server.tenant_without_feature(5618).await;
    server.limit(&tenant, Overrides { max_activities: Some(1), ..Overrides::default() }).await;
    for name in ["c", "a", "b"] {
        tenant.ingest(&[activity(NOW_MS, "ann@example.com", name)]).await;
    }
    tenant.ingest(&[activity(NOW_MS - 1, "ann@example.com", "first")]).await;
    let id = tenant.of_user("ann@example.com").await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    for days in [0, 30] {
        server.clock.set(NOW_MS + days * DAY_MS);
        assert_eq!(tenant.api.get(&path).await.expect(200).column("fileName"), ["first", "a", "b", "c"]);
    }
    assert_eq!(tenant.api.get(&format!("{path}?limit=2")).await.expect(200).column("fileName"), ["first", "a"]);
    tenant.ingest(&[activity(NOW_MS + 1, "ann@example.com", "last")]).await;
    assert_eq!(tenant.api.get(&path).await.expect(200).column("fileName").last().unwrap(), "last");
    tenant.api.get(&format!("{path}?limit=-1")).await.expect(400);
    tenant.api.get(&format!("{path}?limits=1")).await.expect(400);
    tenant.api.with("accept", "image/png").get(&path).await.expect(406);
}

#[tokio::test]
async fn the_header_line_comes_without_rows_too() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.of_user("ann@example.com").await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    assert_eq!(tenant.api.get(&path).await.expect(200).text(), format!("{}\n", header().join(",")));
    let ndjson = tenant.api.with("accept", "application/x-ndjson").get(&path).await.expect(200);
    assert_eq!((ndjson.header("content-type"), ndjson.body.len()), (Some("application/x-ndjson"), 0));
}

#[tokio::test]
async fn the_row_count_is_a_trailer_for_those_who_take_one() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann@example.com", "a"), activity(NOW_MS + 1, "ann@example.com", "b")]).await;
    let id = tenant.of_user("ann@example.com").await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    let plain = tenant.api.get(&path).await.expect(200);
    assert!(plain.trailers.is_empty() && plain.header("trailer").is_none());
    let told = tenant.api.with("te", "trailers").get(&path).await.expect(200);
    assert_eq!(told.header("trailer"), Some("anomalake-rows"));
    assert_eq!(told.trailers.get("anomalake-rows").map(|rows| rows.to_str().unwrap()), Some("2"));
    assert_eq!(told.body, plain.body);
}

#[tokio::test]
async fn ndjson_reads_back_what_was_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let record = json!({ "timeStamp": NOW_MS, "user": "é\u{2028}\"\\\n", "noOfObjects": 12.5, "deviceManaged": true, "city": "" });
    tenant.ingest(std::slice::from_ref(&record)).await;
    let id = tenant.everything().await;
    let api = tenant.api.with("accept", "application/x-ndjson");
    let answer = api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200);
    let read: Value = serde_json::from_str(answer.text()).unwrap();
    for (key, value) in record.as_object().unwrap() {
        assert_eq!(&read[key], value, "{key}");
    }
}
