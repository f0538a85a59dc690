//! An impact is an anomaly with evidence: the user's activities of the 24 hours before it.

use serde_json::json;

use crate::support::records::activity;
use crate::support::{DAY_MS, DELAY_MS, HOUR_MS, NOW_MS, TestServer};

#[tokio::test]
async fn both_routes_export_the_24_hours_before_an_impact() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let time = NOW_MS - HOUR_MS;
    tenant
        .ingest(&[
            activity(time - DAY_MS - 1, "ann", "too early"),
            activity(time - DAY_MS, "ann", "first"),
            activity(time - 1, "ANN", "last"),
            activity(time, "ann", "too late"),
            activity(time - 5, "bob", "another's"),
        ])
        .await;
    let id = tenant.impact(" Ann ", 100, time).await;
    let live = format!("/api/v1/anomalies/{id}/activities");
    assert_eq!(tenant.api.get(&live).await.expect(200).column("fileName"), ["first", "last"]);
    assert!(tenant.api.query(&*id).await.expect(200).body.is_empty(), "before its delay");
    server.clock.advance(DELAY_MS);
    for spelling in [json!(id), json!("ANO-1"), json!(1)] {
        assert_eq!(tenant.api.query(spelling).await.expect(200).column("fileName"), ["first", "last"]);
    }
    tenant.ingest(&[activity(time - 7, "ann", "back-filled")]).await;
    let wanted = ["first", "back-filled", "last"];
    assert_eq!(tenant.api.query(&*id).await.expect(200).column("fileName"), wanted);
    assert_eq!(tenant.api.get(&live).await.expect(200).column("fileName"), wanted);
    let shown = tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json();
    assert_eq!((&shown["source"], &shown["activity"]), (&json!("OKTA"), &json!("ActivityForUciImpactAPI")));
    let other = server.tenant(99).await;
    assert!(other.api.query(&*id).await.expect(200).body.is_empty());
}

#[tokio::test]
async fn an_impact_makes_no_evidence_by_itself() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS - 5, "ann", "a")]).await;
    let id = tenant.impact("ann", 100, NOW_MS).await;
    server.clock.advance(DELAY_MS);
    server.owner.services.make_due_evidence(100).await.unwrap();
    assert_eq!(server.evidence_files(), 0, "made on request only");
    assert_eq!(tenant.api.query(&*id).await.expect(200).column("fileName"), ["a"]);
    assert_eq!(server.evidence_files(), 1);
}
