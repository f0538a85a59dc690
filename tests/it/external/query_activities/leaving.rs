//! A client that leaves in mid-export frees its permit and stops the work.

use std::time::Duration;

use anomalake::services::settings::ServerSettings;
use serde_json::json;

use crate::support::api::{QUERY, Streaming};
use crate::support::records::{activity, ndjson};
use crate::support::wait::until;
use crate::support::{DELAY_MS, NOW_MS, TestServer, TestTenant};

/// Far more than the buffers between server and client hold: 24 MB of CSV.
async fn with_a_large_anomaly(server: &TestServer) -> (TestTenant, i64) {
    let tenant = server.tenant(5618).await;
    let long = "x".repeat(8_000);
    for part in 0..3 {
        let records: Vec<_> =
            (0..1_000).map(|n| activity(NOW_MS + part * 1_000 + n, "ann@example.com", &long)).collect();
        tenant.api.ingest(ndjson(&records)).await.expect(200);
    }
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    (tenant, id)
}

fn one_export_at_a_time(settings: &mut ServerSettings) {
    settings.max_exports = 1;
    settings.queue_timeout = Duration::from_millis(200);
}

async fn gauges(server: &TestServer) -> (i64, i64) {
    (server.metric("anomalake_exports_running").await, server.metric("anomalake_export_tasks").await)
}

async fn leave_in_mid_export(server: &TestServer, mut export: Streaming) {
    assert_eq!(export.response.status(), 200);
    let first = export.chunk().await.expect("a first chunk");
    assert!(first.starts_with(b"timeStamp,"));
    assert_eq!(gauges(server).await, (1, 1));
    drop(export);
    until("the gauges to return to zero", async || gauges(server).await == (0, 0)).await;
}

#[tokio::test]
async fn from_an_export_of_evidence() {
    let server = TestServer::start_with(one_export_at_a_time).await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let body = json!({ "incident_id": id }).to_string();
    let export = tenant.api.open("POST", QUERY, body.clone()).await.unwrap();
    // While it runs the only permit is taken.
    let refused = tenant.api.query(id).await.expect(429);
    assert!(refused.header("retry-after").is_some());
    leave_in_mid_export(&server, export).await;
    assert_eq!(tenant.query(id).await.rows().len(), 3_000);
    assert_eq!(gauges(&server).await, (0, 0));
}

#[tokio::test]
async fn from_a_live_export() {
    let server = TestServer::start_with(one_export_at_a_time).await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    let export = tenant.api.open("GET", &path, "").await.unwrap();
    tenant.api.get(&path).await.expect(429);
    leave_in_mid_export(&server, export).await;
    assert_eq!(tenant.api.get(&path).await.expect(200).rows().len(), 3_000);
}

#[tokio::test]
async fn an_export_that_takes_too_long_breaks_off_without_its_last_chunk() {
    let server = TestServer::start_with(|settings| settings.export_timeout = Duration::from_millis(300)).await;
    let (tenant, id) = with_a_large_anomaly(&server).await;
    let export = tenant.api.open("POST", QUERY, json!({ "incident_id": id }).to_string()).await.unwrap();
    assert_eq!(export.response.status(), 200);
    until("the encoding to end", async || server.metric("anomalake_export_tasks").await == 0).await;
    assert!(export.rest().await.is_err(), "a cut-off export looks complete");
    until("the gauges to return to zero", async || gauges(&server).await == (0, 0)).await;
}
