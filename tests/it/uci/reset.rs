//! `POST …/users/uci/reset`.

use serde_json::{Value, json};

use super::{RESET, SEARCH, each, told};
use crate::support::{DAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn all_are_reset_or_nobody_is() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    for user in ["Ann", "bob"] {
        tenant.impact(user, 400, NOW_MS).await;
    }
    other.impact("cid", 400, NOW_MS).await;
    let refused = tenant.api.post_json(RESET, &json!({ "users": ["ann", "cid", "Dan", "bob"] })).await.expect(400);
    assert!(told(&refused).contains("cid") && told(&refused).contains("Dan"), "{}", told(&refused));
    assert!(!told(&refused).contains("bob"), "{}", told(&refused));
    assert_eq!((tenant.score("ann").await, tenant.score("bob").await), (Some(600), Some(600)));
    let answer = tenant.api.post_json(RESET, &json!({ "users": [" ANN", "bob", "ann"] })).await.expect(200).json();
    assert_eq!(answer, json!({ "status": "success", "users": ["Ann", "bob"] }));
    assert_eq!((tenant.score("ann").await, tenant.score("bob").await), (Some(1000), Some(1000)));
    assert_eq!(other.score("cid").await, Some(600));
    let resets = tenant.api.send("POST", &format!("{SEARCH}?activity=UciReset"), "").await.expect(200);
    assert_eq!(each(&resets, "user"), ["Ann", "bob"]);
    assert_eq!(tenant.alert_names().await.iter().filter(|name| *name == "UCI reset").count(), 2);
    for wrong in [json!({}), json!({ "users": [] }), json!({ "users": "ann" }), json!({ "users": [""] })] {
        tenant.api.post_json(RESET, &wrong).await.expect(400);
    }
}

#[tokio::test]
async fn what_was_accepted_before_is_void_and_a_back_dated_impact_after_it_counts() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.impact("ann", 300, NOW_MS - DAY_MS).await;
    tenant.api.post_json(RESET, &json!({ "users": ["ann"] })).await.expect(200);
    server.clock.advance(1);
    tenant.impact("ann", 50, NOW_MS - DAY_MS).await;
    assert_eq!(tenant.score("ann").await, Some(950));
    let body = json!({ "users": ["ann"] });
    let history = tenant.api.post_json(super::GET_UCI, &body).await.expect(200).json();
    let scores: Vec<&Value> =
        history["usersUci"][0]["confidences"].as_array().unwrap().iter().map(|c| &c["confidenceScore"]).collect();
    assert_eq!(scores, [&json!(650), &json!(950)], "yesterday knows nothing of today's reset");
}
