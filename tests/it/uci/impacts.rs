//! `POST /api/v2/incidents/user/uciimpact`.

use serde_json::{Value, json};

use super::{IMPACT, impact, told};
use crate::support::{DAY_MS, NOW_MS, TestServer};

/// An impact with one field changed, or without it.
fn with(name: &str, value: Value) -> Value {
    let mut body = impact("ann", 5, NOW_MS);
    if value == "absent" {
        body.as_object_mut().unwrap().remove(name);
    } else {
        body[name] = value;
    }
    body
}

#[tokio::test]
async fn every_field_is_checked_and_named() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let long = "x".repeat(4097);
    let mut wrong = Vec::new();
    for name in ["user", "source", "reason"] {
        for value in [json!("absent"), json!(null), json!(""), json!(" \t"), json!(7), json!(["ann"]), json!(long)] {
            wrong.push((name, value));
        }
    }
    for value in [json!("absent"), json!(0), json!(-1), json!(1001), json!(5.5), json!("5"), json!(null), json!(1e300)]
    {
        wrong.push(("score", value));
    }
    for value in [
        json!("absent"),
        json!("now"),
        json!(-1),
        json!(null),
        json!(NOW_MS / 1000),
        json!(NOW_MS + 300_001),
        json!(1e300),
        json!(i64::MAX),
        json!(u64::MAX),
    ] {
        wrong.push(("timestamp", value));
    }
    for (name, value) in wrong {
        let refused = tenant.api.post_json(IMPACT, &with(name, value.clone())).await.expect(400);
        assert!(told(&refused).contains(&format!("`{name}`")), "{name} {value}: {}", told(&refused));
    }
    for body in ["", "null", "[]", "[1,2,3,4,5]", "5", "{", "{\"user\":", "\u{feff}{}", "{} {}"] {
        tenant.api.send("POST", IMPACT, body).await.expect(400);
    }
    tenant.api.send("POST", IMPACT, vec![b'['; 100_000]).await.expect(400);
    tenant.api.send("POST", IMPACT, vec![b' '; (1 << 20) + 1]).await.expect(413);
    assert_eq!(tenant.score("ann").await, None, "something was stored");

    for value in [json!(NOW_MS + 300_000), json!(NOW_MS - 400 * DAY_MS), json!(0), json!(NOW_MS), json!(0.75)] {
        tenant.api.post_json(IMPACT, &with("timestamp", value)).await.expect(200);
    }
    let float = tenant.api.post_json(IMPACT, &with("timestamp", json!(1_654_823_213_000.9))).await.expect(200);
    assert_eq!(float.json()["time"], 1_654_823_213_000_i64);
    for score in [json!(1), json!(1000), json!(50.0)] {
        let mut body = with("score", score.clone());
        body["unknown"] = json!({ "keys": ["are", "ignored"] });
        let answer = tenant.api.post_json(IMPACT, &body).await.expect(200);
        assert_eq!(answer.json()["score"].as_f64(), score.as_f64());
    }
}

#[tokio::test]
async fn users_are_one_whatever_their_case_and_the_first_spelling_stays() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (spelling, score) in [("Änn@Example.com", 100), (" änn@example.COM\t", 50), ("ÄNN@EXAMPLE.COM", 25)] {
        let answer = tenant.api.post_json(IMPACT, &impact(spelling, score, NOW_MS)).await.expect(200).json();
        assert_eq!(answer["user"], "Änn@Example.com");
    }
    assert_eq!(tenant.score("änn@example.com").await, Some(825));
    let explained = tenant.api.get("/api/v1/users/%C3%84NN@example.com/uci").await.expect(200).json();
    assert_eq!((&explained["user"], &explained["score"]), (&json!("Änn@Example.com"), &json!(825)));
    let points: Vec<_> =
        explained["impacts"].as_array().unwrap().iter().map(|i| i["score"].as_i64().unwrap()).collect();
    assert_eq!((points, &explained["band"]), (vec![100, 50, 25], &json!("good")));
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer_for_24_hours() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let body = impact("ann", 50, NOW_MS);
    let keyed = tenant.api.with("Idempotency-Key", "k-1");
    let first = keyed.post_json(IMPACT, &body).await.expect(200);
    assert!(first.header("idempotent-replayed").is_none());
    for repeat in [body.clone(), with_order_changed()] {
        let again = keyed.send("POST", IMPACT, repeat.to_string()).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), first.json()));
    }
    assert_eq!(tenant.score("ann").await, Some(950));
    let refused = keyed.post_json(IMPACT, &impact("ann", 51, NOW_MS)).await.expect(409);
    assert!(told(&refused).contains("`k-1`"), "{}", told(&refused));
    // Keys are a tenant's own.
    let answer = other.api.with("Idempotency-Key", "k-1").post_json(IMPACT, &body).await.expect(200);
    assert!(answer.header("idempotent-replayed").is_none());
    for wrong in ["", " ", &"k".repeat(256)] {
        tenant.api.with("Idempotency-Key", wrong).post_json(IMPACT, &body).await.expect(400);
    }
    server.clock.advance(DAY_MS - 1);
    assert_eq!(keyed.post_json(IMPACT, &body).await.expect(200).header("idempotent-replayed"), Some("true"));
    server.clock.advance(2);
    assert!(keyed.post_json(IMPACT, &body).await.expect(200).header("idempotent-replayed").is_none());
    assert_eq!(tenant.score("ann").await, Some(900));
}

/// The impact of [`impact`] with its keys in another order and one that nobody knows.
fn with_order_changed() -> Value {
    json!({ "reason": "login failed", "source": "OKTA", "more": 1, "timestamp": NOW_MS, "score": 50, "user": "ann" })
}

#[tokio::test]
async fn an_impact_counts_for_the_window_from_its_time_on() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.impact("ann", 100, NOW_MS - 30 * DAY_MS).await;
    assert_eq!(tenant.score("ann").await, Some(1000), "its window is over");
    tenant.impact("ann", 100, NOW_MS - 30 * DAY_MS + 1).await;
    assert_eq!(tenant.score("ann").await, Some(900));
    tenant.impact("ann", 200, NOW_MS + 300_000).await;
    assert_eq!(tenant.score("ann").await, Some(900), "it has not begun");
    server.clock.advance(1);
    assert_eq!(tenant.score("ann").await, Some(1000));
    server.clock.advance(299_999);
    assert_eq!(tenant.score("ann").await, Some(800));
    for _ in 0..3 {
        tenant.impact("ann", 1000, server.clock_ms()).await;
    }
    assert_eq!(tenant.score("ann").await, Some(0));
}
