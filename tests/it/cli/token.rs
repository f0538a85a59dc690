//! `anomalake token`.

use serde_json::{Value, json};

use anomalake::domain::time_text::parse_time;

use super::lake::Lake;
use crate::support::DAY_MS;

async fn listed(lake: &Lake) -> Value {
    let ran = lake.run(&["token", "list", "--tenant", "5618", "--format", "json"]).await;
    serde_json::from_str(&ran.said()).unwrap()
}

#[tokio::test]
async fn a_token_works_at_the_next_request_until_it_is_revoked() {
    for lake in Lake::both().await {
        let token = lake.token().await;
        assert!(token.starts_with("anomalake_api_") && !token.contains(char::is_whitespace), "{token}");
        let status = async || lake.http(async |api| api.bearer(&token).get("/api/v1/anomalies").await.status).await;
        assert_eq!(status().await, 200);
        assert_eq!(
            lake.run(&["token", "revoke", "--tenant", "5618", "1"]).await.said(),
            "revoked token 1 of tenant 5618\n"
        );
        assert_eq!(status().await, 401);
        assert!(listed(&lake).await[0]["revokedAt"].is_string());
        let told = lake.run(&["token", "revoke", "--tenant", "5618", "2"]).await.failed();
        assert!(told.contains("has no token 2"), "{told}");
    }
}

#[tokio::test]
async fn tokens_are_listed_without_their_secrets() {
    for lake in Lake::both().await {
        let create = ["token", "create", "--tenant", "5618", "--scope", "activities:read", "--expires", "90d"];
        let token = lake.run(&[&create[..], &["--name", "nightly"]].concat()).await.said();
        let found = listed(&lake).await;
        assert_eq!((&found[0]["id"], &found[0]["name"]), (&json!(1), &json!("nightly")));
        assert_eq!(found[0]["scopes"], "activities:read");
        let ms = |name: &str| parse_time(found[0][name].as_str().unwrap(), 0).unwrap();
        assert_eq!(ms("expiresAt") - ms("createdAt"), 90 * DAY_MS);
        let table = lake.run(&["token", "list", "--tenant", "5618"]).await.said();
        assert!(table.lines().nth(1).unwrap().starts_with("1       nightly  activities:read"), "{table}");
        let secret = token.trim_end().strip_prefix("anomalake_api_").unwrap();
        assert!(!table.contains(secret) && !found.to_string().contains(secret));
    }
}

#[tokio::test]
async fn wrong_tokens_are_refused() {
    let lake = Lake::alone().await;
    let create = async |scope, expires, tenant| {
        lake.run(&["token", "create", "--tenant", tenant, "--scope", scope, "--expires", expires]).await
    };
    let told = create("everything", "1d", "5618").await.refused(2);
    assert!(told.contains("activities:read"), "{told}");
    create("activities:read", "soon", "5618").await.refused(2);
    create("activities:read", "0s", "5618").await.refused(1);
    create("activities:read", "1d", "7").await.failed();
    assert_eq!(listed(&lake).await, json!([]));
}
