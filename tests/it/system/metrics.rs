//! `GET /metrics`.

use anomalake::domain::principal::Role;

use crate::support::records::activity;
use crate::support::{DELAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn the_series_count_requests_by_route_and_name_nobody() {
    let server = TestServer::start().await;
    let tenant = server.tenant(987_654_321).await;
    server.user(tenant.id, "secretive@example.com", "a long password", Role::Reader).await;
    tenant.ingest(&[activity(NOW_MS, "monitored@example.com", "a")]).await;
    let id = tenant.of_user("monitored@example.com").await;
    server.clock.advance(DELAY_MS);
    server.anyone().basic("secretive@example.com", "a long password").query(id).await.expect(200);
    tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200);
    tenant.api.get("/nowhere/monitored").await.expect(404);
    tenant.api.send("BREW", "/api/v1/anomalies", "").await.expect(405);

    let answer = server.anyone().get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"));
    for secret in ["987654321", "secretive", "monitored", "example.com", "a long password", &tenant.token, "BREW"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for line in [
        "anomalake_requests_total{method=\"POST\",route=\"/api/v1/activities\",status=\"200\"} 1",
        "anomalake_requests_total{method=\"GET\",route=\"/api/v1/anomalies/{id}\",status=\"200\"} 1",
        "anomalake_requests_total{method=\"GET\",route=\"unknown\",status=\"404\"} 1",
        "anomalake_activities_stored_total 1",
        "anomalake_evidence_made_total 1",
        "anomalake_exports_running 0",
        "anomalake_export_tasks 0",
        "anomalake_ingests_running 0",
        "anomalake_open_tables 1",
        "anomalake_live_files 1",
        "anomalake_live_files_of_fullest_day 1",
    ] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}
