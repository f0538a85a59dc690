//! Uploads that stall or trickle.

use std::time::{Duration, Instant};

use super::{MS, Raw, statuses};
use crate::support::records::{activity, ndjson};
use crate::support::wait::{PATIENCE, until};
use crate::support::{NOW_MS, TestServer, TestTenant};

/// The head of an ingest that promises a body.
pub(super) fn head(tenant: &TestTenant, bytes: usize) -> String {
    format!(
        "POST /api/v1/activities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: {bytes}\r\n\r\n",
        tenant.token
    )
}

pub(super) fn records(n: i64) -> String {
    ndjson(&(0..n).map(|n| activity(NOW_MS + n, "ann", &format!("f{n}"))).collect::<Vec<_>>())
}

async fn impatient() -> (TestServer, TestTenant) {
    let server = TestServer::start_with(|settings| settings.upload_stall_timeout = MS(300)).await;
    let tenant = server.tenant(5618).await;
    (server, tenant)
}

async fn assert_refused(server: &TestServer, raw: &mut Raw) {
    let answer = raw.hear_until("upload_stalled").await;
    assert_eq!(statuses(&answer), ["408"], "{answer}");
    until("the ingest to end", async || server.metric("anomalake_ingests_running").await == 0).await;
    assert!(server.stored_files().is_empty());
}

#[tokio::test]
async fn a_silent_upload_is_refused_and_stores_nothing() {
    let (server, tenant) = impatient().await;
    let body = records(100);
    let mut raw = Raw::say_to(server.address(), head(&tenant, body.len() * 2) + &body).await;
    assert_refused(&server, &mut raw).await;
}

#[tokio::test]
async fn a_large_upload_that_trickles_is_refused_and_stores_nothing() {
    let (server, tenant) = impatient().await;
    let body = records(10_000);
    assert!(body.len() > 512 * 1024, "{}", body.len());
    let (fast, slow) = body.split_at(300 * 1024);
    let mut raw = Raw::say_to(server.address(), head(&tenant, body.len()) + fast).await;
    // Never silent for long, and far below the pace.
    let begun = Instant::now();
    for byte in slow.as_bytes().chunks(1) {
        if raw.say(byte).await.is_err() || !raw.is_quiet(MS(20)).await {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it is still listened to");
    }
    until("the ingest to end", async || server.metric("anomalake_ingests_running").await == 0).await;
    assert!(server.stored_files().is_empty());
    assert!(tenant.stored().await.is_empty());
}

#[tokio::test]
async fn an_upload_with_breaks_arrives() {
    let (server, tenant) = impatient().await;
    let body = records(3);
    let mut raw = Raw::say_to(server.address(), head(&tenant, body.len())).await;
    for part in body.as_bytes().chunks(body.len().div_ceil(6)) {
        assert!(raw.is_quiet(MS(100)).await);
        raw.say(part).await.unwrap();
    }
    let answer = raw.hear_until("\"days\"").await;
    assert_eq!(statuses(&answer), ["200"]);
    assert_eq!(tenant.stored().await, ["f0", "f1", "f2"]);
}

#[tokio::test]
async fn slow_small_uploads_leave_the_decoders_to_others() {
    let server = TestServer::start_with(|settings| {
        settings.max_ingests = 1;
        settings.queue_timeout = MS(100);
    })
    .await;
    let tenant = server.tenant(5618).await;
    let body = records(50);
    let mut slow = Vec::new();
    for _ in 0..8 {
        slow.push(Raw::say_to(server.address(), head(&tenant, body.len()) + &body[..1_000]).await);
    }
    until("the slow ones to begin", async || server.metric("anomalake_ingests_running").await == 8).await;
    tenant.ingest(&[activity(NOW_MS, "zoe", "normal")]).await;
    assert_eq!(tenant.stored().await, ["normal"]);
    // One of them makes it after all.
    slow[0].say(&body[1_000..]).await.unwrap();
    assert_eq!(statuses(&slow[0].hear_until("\"days\"").await), ["200"]);
    assert_eq!(tenant.stored().await.len(), 51);
}

#[tokio::test]
async fn a_json_body_that_is_slow_holds_nobody_up() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let head = format!(
        "POST /api/v1/anomalies HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        tenant.token
    );
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(Raw::say_to(server.address(), &head).await);
    }
    let id = tokio::time::timeout(Duration::from_secs(5), tenant.of_user("ann")).await.unwrap();
    assert_eq!(id, 1);
}
