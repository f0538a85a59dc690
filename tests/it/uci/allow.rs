//! `POST …/anomalies/{anomalyId}/allow`.

use serde_json::json;

use super::{ANOMALIES, RESET, SEARCH, told};
use crate::support::{HOUR_MS, NOW_MS, TestServer};

#[tokio::test]
async fn the_points_come_back_the_flag_is_set_and_the_alert_stays() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.impact("ann", 400, NOW_MS).await;
    tenant.impact("ann", 100, NOW_MS).await;
    let alerts = tenant.alert_names().await;
    let allow = format!("{ANOMALIES}/{id}/allow");
    let first = tenant.api.post_json(&allow, &json!({ "reason": "a test" })).await.expect(200).json();
    assert_eq!((&first["markAsAllowed"], &first["reasonForAllowed"]), (&json!(true), &json!("a test")));
    assert_eq!(tenant.score("ann").await, Some(900));
    server.clock.advance(HOUR_MS);
    for repeat in [json!({ "reason": "another" }), json!({}), json!({ "reason": null })] {
        assert_eq!(tenant.api.post_json(&allow, &repeat).await.expect(200).json(), first);
    }
    let shown = tenant.api.get(&format!("{ANOMALIES}/{id}")).await.expect(200).json();
    assert_eq!((&shown["markAsAllowed"], &shown["reasonForAllowed"]), (&json!(true), &json!("a test")));
    let found = tenant.api.send("POST", SEARCH, "").await.expect(200).json();
    assert_eq!(found["results"][0], shown);
    assert_eq!(tenant.score("ann").await, Some(900));
    assert!(tenant.alert_names().await.starts_with(&alerts));
    let audited: Vec<_> = server.audit(&tenant).await.into_iter().map(|entry| entry.action).collect();
    assert!(audited.iter().any(|action| action.contains("allow")), "{audited:?}");
}

#[tokio::test]
async fn an_empty_body_is_tolerated_and_a_wrong_one_is_not() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    for body in ["", " ", "{}", "null", r#"{"reason":""}"#, r#"{"other":1}"#] {
        let id = tenant.impact("ann", 10, NOW_MS).await;
        let answer = tenant.api.send("POST", &format!("{ANOMALIES}/{id}/allow"), body).await.expect(200).json();
        assert_eq!(answer["reasonForAllowed"], "", "{body}");
        let shown = tenant.api.get(&format!("{ANOMALIES}/{id}")).await.expect(200).json();
        assert!(shown.get("reasonForAllowed").is_none(), "{shown}");
    }
    let id = tenant.impact("ann", 10, NOW_MS).await;
    let allow = format!("{ANOMALIES}/{id}/allow");
    for body in ["[]", "5", "{", r#"{"reason":5}"#, r#"{"reason":["x"]}"#] {
        tenant.api.send("POST", &allow, body).await.expect(400);
    }
    assert_eq!(tenant.score("ann").await, Some(990));
    other.api.send("POST", &allow, "").await.expect(404);
    for unknown in ["xxxxx", "99999", "%FF"] {
        tenant.api.send("POST", &format!("{ANOMALIES}/{unknown}/allow"), "").await.expect(404);
    }
    let reader = tenant.api.bearer(server.token(tenant.id, "uci:read", None).await.token.expose());
    assert!(told(&reader.send("POST", &allow, "").await.expect(403)).contains("uci:write"));
    assert_eq!(tenant.score("ann").await, Some(990));
    tenant.api.post_json(RESET, &json!({ "users": ["ann"] })).await.expect(200);
    let resets = tenant.api.send("POST", &format!("{SEARCH}?activity=UciReset"), "").await.expect(200).json();
    let reset = resets["results"][0]["anomalyId"].as_str().unwrap();
    tenant.api.send("POST", &format!("{ANOMALIES}/{reset}/allow"), "").await.expect(409);
}
