//! Slow clients beside a normal one.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use super::uploads::head;
use super::{MS, Raw};
use crate::support::api::QUERY;
use crate::support::records::{activity, ndjson};
use crate::support::wait::until;
use crate::support::{DELAY_MS, NOW_MS, TestServer, TestTenant};

/// Slow clients of each kind; more than there are turns for decoding, fewer than those for exports.
const EACH: usize = 12;

/// What a slow client sends or reads at a time; with the pause, 1 KiB/s.
const BITE: usize = 128;
const PAUSE: Duration = Duration::from_millis(125);

/// An anomaly whose export is 16 MB, far more than all buffers on the way hold.
async fn with_a_large_anomaly(server: &TestServer) -> (TestTenant, i64) {
    let tenant = server.tenant(5618).await;
    let long = "x".repeat(8_000);
    let records: Vec<_> = (0..2_000).map(|n| activity(NOW_MS + n, "ann", &long)).collect();
    for part in records.chunks(500) {
        tenant.api.ingest(ndjson(part)).await.expect(200);
    }
    let id = tenant.of_user("ann").await;
    server.clock.advance(DELAY_MS);
    tenant.query(id).await;
    (tenant, id)
}

fn trickle(mut raw: Raw, bytes: Vec<u8>) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        for bite in bytes.chunks(BITE) {
            raw.say(bite).await.unwrap();
            tokio::time::sleep(PAUSE).await;
        }
    }))
}

fn sip(mut raw: Raw) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        while !raw.hear(BITE).await.unwrap().is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }))
}

#[tokio::test]
async fn at_one_kib_a_second_they_hold_up_nobody_and_little_memory() {
    let server = TestServer::start().await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let whole = server.metric("anomalake_export_bytes_total").await;
    let query = json!({ "incident_id": id }).to_string();
    let query = format!(
        "POST {QUERY} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{query}",
        tenant.token,
        query.len()
    );
    let body = "{\"timeStamp\":1}\n".repeat(10_000);
    let mut slow = Vec::new();
    for _ in 0..EACH {
        let address = server.address();
        slow.push(trickle(Raw::say_to(address, head(&tenant, body.len())).await, body.clone().into_bytes()));
        slow.push(trickle(Raw::connect(address).await.unwrap(), query.clone().into_bytes()));
        slow.push(sip(Raw::say_to(address, &query).await));
    }
    let each = i64::try_from(EACH).unwrap();
    until("the slow exports to begin", async || server.metric("anomalake_exports_running").await >= each).await;
    until("the slow uploads to begin", async || server.metric("anomalake_ingests_running").await >= each).await;

    for n in 0..5 {
        let begun = Instant::now();
        tenant.api.ingest(ndjson(&[activity(NOW_MS, "zoe", &format!("z{n}"))])).await.expect(200);
        server.anyone().get("/healthz").await.expect(200);
        assert_eq!(tenant.query(id).await.rows().len(), 2_000);
        assert!(begun.elapsed() < MS(10_000), "a normal client waited {:?}", begun.elapsed());
    }
    // What was handed to the network for the slow readers is what its buffers hold, which a system lets grow by some
    // MiB when it is busy; the rest is not even encoded yet.
    let handed = server.metric("anomalake_export_bytes_total").await - whole * 6;
    assert!(handed < each * (11 << 20), "{handed} bytes for {each} readers of {whole} bytes");
    drop(slow);
    until("the exports to end", async || server.metric("anomalake_exports_running").await == 0).await;
    until("the uploads to end", async || server.metric("anomalake_ingests_running").await == 0).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_loses_its_connection() {
    let server = TestServer::start_with(|settings| settings.download_stall_timeout = MS(500)).await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let export = tenant.api.open("POST", QUERY, json!({ "incident_id": id }).to_string()).await.unwrap();
    assert_eq!(export.response.status(), 200);
    until("the export to be cut off", async || server.metric("anomalake_exports_running").await == 0).await;
    assert!(export.rest().await.is_err(), "a cut-off export looks complete");
}

#[tokio::test]
async fn an_export_beyond_its_time_frees_its_turn_though_its_reader_sleeps() {
    let server = TestServer::start_with(|settings| {
        settings.export_timeout = MS(300);
        settings.max_exports = 1;
        settings.queue_timeout = MS(10_000);
    })
    .await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let asleep = tenant.api.open("POST", QUERY, json!({ "incident_id": id }).to_string()).await.unwrap();
    let small = tenant.of_user("nobody").await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(small).await.text(), "");
    assert!(asleep.rest().await.is_err(), "a cut-off export looks complete");
}
