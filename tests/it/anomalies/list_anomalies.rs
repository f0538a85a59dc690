//! `GET /api/v1/anomalies`.

use serde_json::{Value, json};

use crate::support::TestServer;

fn ids(page: &Value) -> Vec<i64> {
    page["anomalies"].as_array().unwrap().iter().map(|anomaly| anomaly["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_from_the_highest_number_down() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let mut created = Vec::new();
    for _ in 0..5 {
        created.insert(0, tenant.of_user("ann@example.com").await);
        other.of_user("ann@example.com").await;
    }
    let mut listed = Vec::new();
    let mut path = "/api/v1/anomalies?limit=2".to_owned();
    loop {
        let page = tenant.api.get(&path).await.expect(200).json();
        listed.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/anomalies?limit=2&before={next}");
    }
    assert_eq!(listed, created);
    assert_eq!(ids(&tenant.api.get("/api/v1/anomalies").await.expect(200).json()), created);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (query, target) in [
        ("limit=0", json!("limit")),
        ("limit=1001", json!("limit")),
        ("before=x", json!("before")),
        ("limit=x", Value::Null),
        ("page=1", Value::Null),
    ] {
        let answer = tenant.api.get(&format!("/api/v1/anomalies?{query}")).await.expect(400).json();
        assert_eq!(answer["target"], target, "{query}");
    }
}
