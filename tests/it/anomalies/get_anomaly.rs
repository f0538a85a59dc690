//! `GET /api/v1/anomalies/{id}`.

use crate::support::TestServer;

#[tokio::test]
async fn every_spelling_finds_it_and_nobody_elses() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let id = tenant.of_user("ann@example.com").await;
    for spelling in [id.to_string(), format!("ANO-{id}"), format!("a1{id:022x}")] {
        let path = format!("/api/v1/anomalies/{spelling}");
        let shown = tenant.api.get(&path).await.expect(200).json();
        assert_eq!((shown["id"].as_i64(), shown["incidentId"].as_str()), (Some(id), Some(&*format!("ANO-{id}"))));
        // As if it did not exist.
        let (refused, unknown) = (other.api.get(&path).await.expect(404), tenant.api.get("/api/v1/anomalies/77").await);
        assert_eq!(refused.shown(), unknown.expect(404).shown());
    }
    for unknown in ["0", "-1", "x", "ANO-", "9007199254740992", "%00", "%2e%2e", "1%27"] {
        tenant.api.get(&format!("/api/v1/anomalies/{unknown}")).await.expect(404);
        tenant.api.get(&format!("/api/v1/anomalies/{unknown}/activities")).await.expect(404);
    }
}

#[tokio::test]
async fn it_tells_whether_its_activities_are_available() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.of_user("ann@example.com").await;
    let path = format!("/api/v1/anomalies/{id}");
    let mut told = Vec::new();
    for hours in [0, 12, 15 * 24 + 1] {
        server.clock.set(crate::support::NOW_MS + hours * crate::support::HOUR_MS);
        told.push(tenant.api.get(&path).await.expect(200).json()["availability"].as_str().unwrap().to_owned());
    }
    server.feature(&tenant, false).await;
    told.push(tenant.api.get(&path).await.expect(200).json()["availability"].as_str().unwrap().to_owned());
    insta::assert_snapshot!(told.join("\n"), @r#"
    not yet available, from 2026-11-22T12:00:00.000Z
    available
    no more available: the anomaly is older than the tenant's recency
    not available: the feature is off for this tenant
    "#);
}
