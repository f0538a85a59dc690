//! The limit of requests.

use std::time::Duration;

use serde_json::json;

use super::{DATA, GET_UCI, IMPACT, impact};
use crate::support::{Answer, Api, NOW_MS, TestServer, TestTenant};

fn left(answer: &Answer) -> [Option<u32>; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
        .map(|name| answer.header(name).map(|n| n.parse().unwrap()))
}

async fn limited() -> (TestServer, TestTenant) {
    let server = TestServer::start_with(|settings| settings.tenant.api_rate = "4".parse().unwrap()).await;
    let tenant = server.tenant(5618).await;
    (server, tenant)
}

async fn scores(api: &Api) -> Answer {
    api.post_json(GET_UCI, &json!({ "users": ["ann"] })).await
}

#[tokio::test]
async fn a_burst_of_four_then_four_a_second_per_token_and_route() {
    let (server, tenant) = limited().await;
    for remaining in [3, 2, 1, 0] {
        assert_eq!(left(&scores(&tenant.api).await.expect(200)), [Some(4), Some(remaining), Some(1)]);
    }
    let refused = scores(&tenant.api).await.expect(429);
    assert_eq!(refused.json(), json!({ "message": "API rate limit exceeded" }));
    assert_eq!((refused.header("retry-after"), left(&refused)), (Some("1"), [Some(4), Some(0), Some(1)]));
    assert!(refused.header("x-request-id").is_some());
    // Other routes, other tokens and other families are counted apart or not at all.
    tenant.api.get(DATA).await.expect(200);
    let other = tenant.api.bearer(server.token(tenant.id, "uci:read", None).await.token.expose());
    assert_eq!(left(&scores(&other).await.expect(200))[1], Some(3));
    for _ in 0..10 {
        let own = tenant.api.get("/api/v1/users/nobody/uci").await.expect(404);
        assert_eq!(left(&own), [None, None, None]);
    }
    server.clock.advance(249);
    scores(&tenant.api).await.expect(429);
    server.clock.advance(1);
    scores(&tenant.api).await.expect(200);
    scores(&tenant.api).await.expect(429);
    server.clock.advance(60_000);
    assert_eq!(left(&scores(&tenant.api).await.expect(200)), [Some(4), Some(3), Some(1)]);
}

#[tokio::test]
async fn refusals_count_and_say_what_is_left_and_ids_share_a_template() {
    let (_server, tenant) = limited().await;
    for id in 0..4 {
        let answer = tenant.api.get(&format!("{}/{id}", super::ANOMALIES)).await.expect(404);
        assert_eq!(left(&answer)[1], Some(3 - id));
    }
    tenant.api.get(&format!("{}/5", super::ANOMALIES)).await.expect(429);
    for remaining in [3, 2, 1, 0] {
        assert_eq!(left(&tenant.api.send("POST", IMPACT, "{").await.expect(400))[1], Some(remaining));
    }
    tenant.api.post_json(IMPACT, &impact("ann", 1, NOW_MS)).await.expect(429);
    for _ in 0..5 {
        let nothing = tenant.api.get("/api/v2/nothing").await.expect(404);
        assert_eq!(left(&nothing), [None, None, None]);
    }
    for _ in 0..5 {
        let nobody = tenant.api.bearer("wrong").get(DATA).await.expect(401);
        assert_eq!(left(&nobody), [None, None, None]);
    }
}

#[tokio::test]
async fn a_tenant_has_a_limit_of_its_own_or_none() {
    let (server, tenant) = limited().await;
    let set = async |rate: &str| {
        let body = json!({ "apiRate": rate }).to_string();
        server.control().send("PATCH", "/control/tenants/5618", body).await.expect(200);
    };
    set("1").await;
    assert_eq!(left(&scores(&tenant.api).await.expect(200)), [Some(1), Some(0), Some(1)]);
    scores(&tenant.api).await.expect(429);
    set("off").await;
    for _ in 0..20 {
        assert_eq!(left(&scores(&tenant.api).await.expect(200)), [None, None, None]);
    }
    set("1000").await;
    assert_eq!(left(&scores(&tenant.api).await.expect(200))[0], Some(1000));
    // The owner of the machine has no limit.
    set("1").await;
    let owner = server.control().with("anomalake-tenant", "5618");
    for _ in 0..5 {
        scores(&owner).await.expect(200);
    }
    server.clock.advance(i64::try_from(Duration::from_secs(1).as_millis()).unwrap());
    scores(&tenant.api).await.expect(200);
}
