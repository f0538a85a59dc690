//! A clock that steps back, within a process and across a restart.

use anomalake::domain::principal::Role;
use serde_json::json;

use crate::support::records::{activity, ndjson};
use crate::support::{DELAY_MS, HOUR_MS, NOW_MS, TestServer, TestTenant};

/// What was true before the step is true after it.
async fn assert_all_there(tenant: &TestTenant, id: i64, names: &[&str]) {
    let all = ndjson(&[activity(NOW_MS, "ann@example.com", "a")]);
    let repeated = tenant.api.with("idempotency-key", "first").ingest(all).await.expect(200);
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
    let live = tenant.api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200);
    assert_eq!(live.column("fileName"), names);
}

#[tokio::test]
async fn nothing_is_forgotten_and_nothing_runs_backwards() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    server.user(tenant.id, "ann@example.com", "correct horse battery", Role::Reader).await;
    let lasting = server.token(tenant.id, "activities:read", Some(std::time::Duration::from_hours(1))).await;
    let body = ndjson(&[activity(NOW_MS, "ann@example.com", "a")]);
    tenant.api.with("idempotency-key", "first").ingest(body).await.expect(200);
    let first = tenant.of_user("ann@example.com").await;
    let modified = |server: &TestServer| {
        let api = tenant.at(server).api;
        async move {
            let anomalies = api.get("/api/v1/anomalies").await.expect(200).json();
            let times = anomalies["anomalies"].as_array().unwrap().iter().rev();
            times.map(|anomaly| anomaly["modifiedAt"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };

    // Five hours back: also before the tenant and its token were made.
    server.clock.advance(-5 * HOUR_MS);
    assert_all_there(&tenant, first, &["a"]).await;
    tenant.ingest(&[activity(NOW_MS + 1, "ann@example.com", "b")]).await;
    assert_all_there(&tenant, first, &["a", "b"]).await;
    let caller = server.anyone().bearer(lasting.token.expose());
    caller.get(&format!("/api/v1/anomalies/{first}/activities")).await.expect(200);
    server.anyone().basic("ann@example.com", "correct horse battery").query(first).await.expect(200);
    let second = tenant.of_user("ann@example.com").await;

    let server = server.restart().await;
    let tenant = tenant.at(&server);
    assert_all_there(&tenant, first, &["a", "b"]).await;
    tenant.ingest(&[activity(NOW_MS + 2, "ann@example.com", "c")]).await;
    let third = tenant.of_user("ann@example.com").await;
    let times = modified(&server).await;
    assert!(times.len() == 3 && times.is_sorted(), "{times:?}");

    // The clock is right again.
    server.clock.set(NOW_MS + DELAY_MS);
    for id in [first, second, third] {
        assert_eq!(tenant.query(id).await.column("fileName"), ["a", "b", "c"], "anomaly {id}");
    }
    let late = server.anyone().bearer(lasting.token.expose());
    late.get(&format!("/api/v1/anomalies/{first}/activities")).await.expect(401);
}

#[tokio::test]
async fn an_anomaly_of_a_stepped_back_clock_does_not_precede_the_feature() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann@example.com", "a")]).await;
    server.clock.advance(-HOUR_MS);
    let anomaly = json!({ "user": "ann@example.com", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let made = tenant.api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json();
    assert_eq!(made["createdAt"], "2026-11-22T00:00:00.000Z", "when the feature was switched on");
    server.clock.set(NOW_MS + DELAY_MS);
    assert_eq!(tenant.query(made["id"].as_i64().unwrap()).await.column("fileName"), ["a"]);
}
