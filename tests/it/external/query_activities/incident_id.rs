//! Spellings of `incident_id`, and bodies that name none.

use serde_json::json;

use crate::support::api::QUERY;
use crate::support::records::activity;
use crate::support::{DELAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn every_spelling_gives_the_same_bytes() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann@example.com", "a")]).await;
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    let expected = tenant.query(id).await;
    assert_eq!(expected.rows().len(), 1);
    for spelling in [json!(id.to_string()), json!(format!("ANO-{id}")), json!(format!("a1{id:022x}"))] {
        assert_eq!(tenant.api.query(spelling).await.expect(200).body, expected.body);
    }
    // Whatever the content type says, or without one.
    let body = format!(" {{\"incident_id\":\"ANO-{id}\",\"limit\":null}} ");
    for api in
        [tenant.api.clone(), tenant.api.with("content-type", "text/plain"), tenant.api.with("content-type", "a/b;c")]
    {
        assert_eq!(api.send("POST", QUERY, body.clone()).await.expect(200).body, expected.body);
    }
}

#[tokio::test]
async fn anything_else_is_refused_naming_the_field() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for bad in [
        json!(null),
        json!(-1),
        json!(1.5),
        json!(9_007_199_254_740_992_i64),
        json!(u64::MAX),
        json!(1e300),
        json!(true),
        json!([1]),
        json!({ "id": 1 }),
        json!(""),
        json!("eleven"),
        json!("-1"),
        json!("ANO-"),
        json!("ANO--1"),
        json!("9007199254740992"),
        json!("1".repeat(100_000)),
    ] {
        let answer = tenant.api.query(bad.clone()).await.expect(400).json();
        assert_eq!((&answer["code"], &answer["target"]), (&json!(400), &json!("incident_id")), "{bad}");
    }
    let missing = tenant.api.post_json(QUERY, &json!({ "incident": 1 })).await;
    insta::assert_snapshot!(missing.shown(), @r#"
    400 application/json
    {
      "code": 400,
      "message": "incident_id is missing; send {\"incident_id\": 1111}",
      "target": "incident_id"
    }
    "#);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused_and_the_server_lives() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let nested = format!("{{\"incident_id\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "{", "[]", "null", "7", "{\"incident_id\":1}}", "incident_id=1", "\u{0}", &nested] {
        tenant.api.send("POST", QUERY, body.to_owned()).await.expect(400);
    }
    let large = format!("{{\"incident_id\":1,\"x\":\"{}\"}}", "x".repeat(2 << 20));
    tenant.api.send("POST", QUERY, large).await.expect(413);
    server.anyone().get("/healthz").await.expect(200);
}
