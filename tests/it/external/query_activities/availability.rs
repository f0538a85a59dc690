//! When an anomaly's activities are given: feature, delay, recency. All else is `200` with zero bytes.

use anomalake::registry::settings::Overrides;
use serde_json::{Value, json};

use crate::support::records::activity;
use crate::support::{Answer, DAY_MS, DELAY_MS, HOUR_MS, NOW_MS, TestServer, TestTenant};

/// A tenant with one activity of ann's.
async fn with_an_activity(server: &TestServer) -> TestTenant {
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS - HOUR_MS, "ann@example.com", "a")]).await;
    tenant
}

async fn created_at(tenant: &TestTenant, created_at_ms: i64) -> i64 {
    let window = (NOW_MS - DAY_MS, NOW_MS + DAY_MS);
    let user = "ann@example.com";
    tenant.anomaly(json!({ "user": user, "from": window.0, "to": window.1, "createdAt": created_at_ms })).await
}

#[track_caller]
fn assert_zero_bytes(answer: &Answer) {
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/csv;charset=utf-8"));
    assert_eq!(answer.header("anomalake-rows"), Some("0"));
}

#[tokio::test]
async fn available_from_the_delay_on_and_until_the_recency_ends_with_both_edges() {
    let server = TestServer::start().await;
    let tenant = with_an_activity(&server).await;
    let id = created_at(&tenant, NOW_MS).await;
    for (after_ms, rows) in
        [(0, 0), (DELAY_MS - 1, 0), (DELAY_MS, 1), (15 * DAY_MS, 1), (15 * DAY_MS + 1, 0), (400 * DAY_MS, 0)]
    {
        server.clock.set(NOW_MS + after_ms);
        let answer = tenant.query(id).await;
        if rows == 0 {
            assert_zero_bytes(&answer);
        } else {
            assert_eq!(answer.column("fileName"), ["a"], "{after_ms} ms after its creation");
            assert_eq!(answer.header("anomalake-rows"), Some("1"));
        }
    }
}

#[tokio::test]
async fn the_recency_counts_from_the_creation_and_not_from_the_activities() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS - 99 * DAY_MS, "ann@example.com", "old")]).await;
    let window = (NOW_MS - 100 * DAY_MS, NOW_MS);
    let id = tenant.anomaly(json!({ "user": "ann@example.com", "from": window.0, "to": window.1 })).await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("fileName"), ["old"]);
}

#[tokio::test]
async fn delay_and_recency_are_the_tenants_own_when_set() {
    let server = TestServer::start().await;
    let tenant = with_an_activity(&server).await;
    let id = created_at(&tenant, NOW_MS).await;
    assert_zero_bytes(&tenant.query(id).await);
    let at_once = Overrides { availability_delay_ms: Some(0), recency_ms: Some(HOUR_MS), ..Overrides::default() };
    server.limit(&tenant, at_once).await;
    assert_eq!(tenant.query(id).await.rows().len(), 1);
    server.clock.advance(HOUR_MS + 1);
    assert_zero_bytes(&tenant.query(id).await);
}

#[tokio::test]
async fn nothing_to_give_is_zero_bytes() {
    let server = TestServer::start().await;
    let (tenant, other) = (with_an_activity(&server).await, server.tenant(99).await);
    other.ingest(&[activity(NOW_MS - HOUR_MS, "ann@example.com", "b")]).await;
    let without_rows = tenant.of_user("nobody@example.com").await;
    let of_another_tenant = created_at(&other, NOW_MS).await;
    server.clock.advance(DELAY_MS);
    assert_zero_bytes(&tenant.query(without_rows).await);
    assert_zero_bytes(&tenant.query(of_another_tenant).await);
    assert_zero_bytes(&tenant.query(123_456_789).await);
    assert_zero_bytes(&tenant.query(0).await);
    assert_eq!(other.query(of_another_tenant).await.column("fileName"), ["b"]);
}

#[tokio::test]
async fn the_tenant_comes_from_the_credentials_and_never_from_the_body() {
    let server = TestServer::start().await;
    let (tenant, other) = (with_an_activity(&server).await, server.tenant(99).await);
    let id = created_at(&tenant, NOW_MS).await;
    server.clock.advance(DELAY_MS);
    let body: Value = json!({ "incident_id": id, "tenantId": 5618, "tenant_id": 5618, "something": [1] });
    assert_zero_bytes(&other.api.post_json(crate::support::api::QUERY, &body).await);
    assert_eq!(tenant.api.post_json(crate::support::api::QUERY, &body).await.rows().len(), 1);
}

#[tokio::test]
async fn without_the_feature_the_answer_is_the_contracts_own() {
    let server = TestServer::start().await;
    let tenant = server.tenant_without_feature(5618).await;
    for body in [json!({ "incident_id": 1 }), json!({})] {
        let answer = tenant.api.post_json(crate::support::api::QUERY, &body).await.expect(401);
        assert_eq!(answer.text(), r#"{"code":401,"message":"Feature is not enabled for this tenant"}"#);
    }
}

#[tokio::test]
async fn only_anomalies_created_since_the_feature_was_switched_on() {
    let server = TestServer::start().await;
    let tenant = server.tenant_without_feature(5618).await;
    tenant.ingest(&[activity(NOW_MS - HOUR_MS, "ann@example.com", "a")]).await;
    server.clock.set(NOW_MS + HOUR_MS);
    server.feature(&tenant, true).await;
    let (before, at) = (created_at(&tenant, NOW_MS + HOUR_MS - 1).await, created_at(&tenant, NOW_MS + HOUR_MS).await);
    server.clock.advance(DELAY_MS);
    assert_zero_bytes(&tenant.query(before).await);
    assert_eq!(tenant.query(at).await.rows().len(), 1);

    // On while on changes nothing.
    server.feature(&tenant, true).await;
    assert_eq!(tenant.query(at).await.rows().len(), 1);

    // Off and on again starts anew.
    server.feature(&tenant, false).await;
    tenant.api.query(at).await.expect(401);
    server.feature(&tenant, true).await;
    assert_zero_bytes(&tenant.query(at).await);
    let after = created_at(&tenant, NOW_MS + HOUR_MS + DELAY_MS).await;
    server.clock.advance(DELAY_MS);
    assert_zero_bytes(&tenant.query(at).await);
    assert_eq!(tenant.query(after).await.rows().len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_available_early() {
    let server = TestServer::start().await;
    let tenant = with_an_activity(&server).await;
    let id = created_at(&tenant, NOW_MS).await;
    server.clock.set(NOW_MS + DELAY_MS);
    assert_eq!(tenant.query(id).await.rows().len(), 1);
    server.clock.set(NOW_MS - DAY_MS);
    assert_zero_bytes(&tenant.query(id).await);
}
