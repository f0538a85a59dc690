//! The storage quota of a tenant.

use serde_json::json;

use super::uploads::{head, records};
use super::{Raw, statuses};
use crate::support::records::{activity, ndjson};
use crate::support::{Answer, DELAY_MS, NOW_MS, TestServer, TestTenant};

/// Bytes of all data files on disk, committed or not.
fn on_disk(server: &TestServer) -> i64 {
    server.stored_files().iter().map(|file| i64::try_from(file.metadata().unwrap().len()).unwrap()).sum()
}

#[track_caller]
fn assert_exceeded(answer: Answer, quota: i64) {
    let body = answer.expect(507).json();
    assert_eq!(body["code"], "quota_exceeded");
    assert_eq!(body["details"]["quotaBytes"], quota);
    assert!(body["details"]["wantedBytes"].as_i64().unwrap() >= quota, "{body}");
    assert!(body["message"].as_str().unwrap().contains("nothing was stored"), "{body}");
}

async fn server() -> (TestServer, TestTenant) {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    (server, tenant)
}

#[tokio::test]
async fn a_tenant_that_has_used_it_up_stores_nothing_until_it_is_raised() {
    let (server, tenant) = server().await;
    let other = server.tenant(99).await;
    tenant.ingest(&[activity(NOW_MS, "ann", "a")]).await;
    let used = on_disk(&server);
    server.quota(&tenant, Some(used)).await;
    let key = tenant.api.with("idempotency-key", "k");
    assert_exceeded(key.ingest(ndjson(&[activity(NOW_MS, "ann", "b")])).await, used);
    assert_eq!((on_disk(&server), tenant.stored().await), (used, vec!["a".to_owned()]));
    // It is told before it has sent anything.
    let mut raw = Raw::say_to(server.address(), head(&tenant, 1 << 30)).await;
    assert_eq!(statuses(&raw.hear_until("quota_exceeded").await), ["507"]);
    // The others are not concerned.
    other.ingest(&[activity(NOW_MS, "ann", "o")]).await;

    server.quota(&tenant, None).await;
    // The key was not used up by the refusal.
    assert_eq!(
        key.ingest(ndjson(&[activity(NOW_MS, "ann", "b")])).await.expect(200).header("idempotent-replayed"),
        None
    );
    assert_eq!(tenant.stored().await, ["a", "b"]);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_leaves_nothing() {
    let (server, tenant) = server().await;
    tenant.ingest(&[activity(NOW_MS, "ann", "a")]).await;
    let used = on_disk(&server);
    let quota = used + 20_000;
    server.quota(&tenant, Some(quota)).await;
    // As rows that share files with other requests, and as files of its own.
    for rows in [3_000, 60_000] {
        assert_exceeded(tenant.api.ingest(records(rows)).await, quota);
        assert_eq!(on_disk(&server), used, "{rows} rows");
    }
    assert_eq!(tenant.stored().await, ["a"]);
    // What fits is still welcome.
    tenant.ingest(&[activity(NOW_MS, "ann", "b")]).await;
    assert!(on_disk(&server) <= quota);
}

#[tokio::test]
async fn many_at_once_do_not_get_past_it() {
    let (server, tenant) = server().await;
    let quota = 100_000;
    server.quota(&tenant, Some(quota)).await;
    let requests = (0..40).map(|n| {
        let tenant = tenant.clone();
        async move { tenant.api.ingest(ndjson(&[activity(NOW_MS, "ann", &format!("f{n}"))])).await.status }
    });
    let statuses = futures::future::join_all(requests).await;
    let stored = statuses.iter().filter(|status| **status == 200).count();
    assert!(statuses.iter().all(|status| [200, 507].contains(status)), "{statuses:?}");
    assert!(on_disk(&server) <= quota, "{}", on_disk(&server));
    assert_eq!(tenant.stored().await.len(), stored);
}

#[tokio::test]
async fn evidence_counts_too_and_a_repeat_of_what_is_stored_does_not() {
    let (server, tenant) = server().await;
    let key = tenant.api.with("idempotency-key", "k");
    let first = key.ingest(records(200)).await.expect(200);
    let id = tenant.of_user("ann").await;
    server.clock.advance(DELAY_MS);
    let quota = on_disk(&server) + 1_000;
    server.quota(&tenant, Some(quota)).await;
    assert_eq!(tenant.query(id).await.rows().len(), 200);
    // There were 1,000 bytes left, and the evidence took them.
    assert_exceeded(tenant.api.ingest(ndjson(&[activity(NOW_MS, "zoe", "b")])).await, quota);
    let repeat = key.ingest(records(200)).await.expect(200);
    assert_eq!((repeat.text(), repeat.header("idempotent-replayed")), (first.text(), Some("true")));
    // Exports go on.
    assert_eq!(tenant.query(id).await.rows().len(), 200);
    let server = server.restart().await;
    assert_exceeded(tenant.at(&server).api.ingest(ndjson(&[activity(NOW_MS, "zoe", "b")])).await, quota);
}

#[tokio::test]
async fn the_control_route_sets_shows_and_takes_it_away() {
    let (server, _) = server().await;
    let control = server.control();
    let set = async |quota: serde_json::Value| {
        let body = json!({ "quotaBytes": quota }).to_string();
        control.send("PATCH", "/control/tenants/5618", body).await
    };
    assert_eq!(set(json!(50_i64 << 30)).await.expect(200).json()["quotaBytes"], 50_i64 << 30);
    control.send("PATCH", "/control/tenants/5618", r#"{"maxActivities":5}"#).await.expect(200);
    assert_eq!(control.get("/control/tenants/5618").await.json()["quotaBytes"], 50_i64 << 30);
    assert_eq!(set(json!(-1)).await.expect(400).json()["code"], "out_of_range");
    assert!(set(json!(null)).await.expect(200).json().get("quotaBytes").is_none());
}
