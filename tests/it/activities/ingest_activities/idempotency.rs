//! A request with an `Idempotency-Key` is stored once, however often it is sent.

use crate::support::records::{activity, ndjson};
use crate::support::{Answer, DAY_MS, NOW_MS, TestServer, TestTenant};

fn body(name: &str) -> String {
    ndjson(&[activity(NOW_MS, "ann@example.com", name)])
}

async fn send(tenant: &TestTenant, key: &str, body: String) -> Answer {
    tenant.api.with("idempotency-key", key).ingest(body).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_stores_nothing() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let first = send(&tenant, "k", body("a")).await.expect(200);
    assert!(!is_replayed(&first));
    for _ in 0..2 {
        let again = send(&tenant, "k", body("a")).await.expect(200);
        assert_eq!(again.body, first.body);
        assert!(is_replayed(&again));
    }
    // Without a key, and with another one, the same body is another request.
    tenant.api.ingest(body("a")).await.expect(200);
    assert!(!is_replayed(&send(&tenant, "l", body("a")).await.expect(200)));
    assert_eq!(tenant.stored().await, ["a", "a", "a"]);
}

#[tokio::test]
async fn the_key_with_another_body_is_a_conflict() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    send(&tenant, "k", body("a")).await.expect(200);
    let conflict = send(&tenant, "k", body("b")).await.expect(409).json();
    assert_eq!(
        (conflict["code"].as_str(), conflict["target"].as_str()),
        (Some("idempotency_conflict"), Some("Idempotency-Key"))
    );
    assert_eq!(tenant.stored().await, ["a"]);
}

#[tokio::test]
async fn keys_belong_to_their_tenant() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(1).await, server.tenant(2).await);
    send(&tenant, "k", body("a")).await.expect(200);
    assert!(!is_replayed(&send(&other, "k", body("b")).await.expect(200)));
    assert_eq!((tenant.stored().await, other.stored().await), (vec!["a".to_owned()], vec!["b".to_owned()]));
}

#[tokio::test]
async fn a_refused_request_does_not_use_its_key_up() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    send(&tenant, "k", "{}".to_owned()).await.expect(400);
    let mended = send(&tenant, "k", body("a")).await.expect(200);
    assert!(!is_replayed(&mended));
    assert_eq!(tenant.stored().await, ["a"]);
}

#[tokio::test]
async fn requests_with_one_key_at_the_same_time_store_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answers = futures::future::join_all((0..8).map(|_| send(&tenant, "k", body("a")))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert_eq!(tenant.stored().await, ["a"]);
}

#[tokio::test]
async fn a_key_is_known_after_a_restart_and_forgotten_after_7_days() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let first = send(&tenant, "k", body("a")).await.expect(200);
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    let again = send(&tenant, "k", body("a")).await.expect(200);
    assert!(is_replayed(&again) && again.body == first.body);
    send(&tenant, "k", body("b")).await.expect(409);
    server.clock.advance(7 * DAY_MS + 1);
    assert!(!is_replayed(&send(&tenant, "k", body("b")).await.expect(200)));
    assert_eq!(tenant.stored().await, ["a", "b"]);
}
