//! `GET …/events/dataexport/alerts/uba`: a durable cursor.

use serde_json::{Value, json};

use super::{EXPORT, each, impact, told};
use crate::support::records::ndjson;
use crate::support::{Answer, DAY_MS, NOW_MS, TestServer, TestTenant};

impl TestTenant {
    /// One step of an export.
    pub(super) async fn step(&self, index: &str, operation: &str) -> Answer {
        self.api.get(&format!("{EXPORT}?index={index}&operation={operation}")).await
    }

    async fn users(&self, index: &str, operation: &str) -> Vec<Value> {
        each(&self.step(index, operation).await.expect(200), "user")
    }
}

#[tokio::test]
async fn a_cursor_goes_on_repeats_and_jumps() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for n in 0..4 {
        tenant.impact(&format!("u{n}"), 1, NOW_MS).await;
        server.clock.advance(1500);
    }
    let second = NOW_MS / 1000;
    assert_eq!(tenant.users("a", &(second + 2).to_string()).await, ["u2", "u3"]);
    let answer = tenant.step("a", "resend").await.expect(200);
    assert_eq!(each(&answer, "user"), ["u2", "u3"]);
    let body = answer.json();
    assert_eq!((&body["ok"], &body["timestamp_hwm"]), (&json!(1), &json!(second + 4)));
    assert!(body["wait_time"].as_i64().unwrap() > 0, "all is read");
    assert!(tenant.users("a", "next").await.is_empty());
    assert!(tenant.users("a", "resend").await.is_empty(), "the last page was empty");
    tenant.impact("u4", 1, NOW_MS).await;
    assert_eq!(tenant.users("a", "next").await, ["u4"]);
    assert_eq!(tenant.users("a", "resend").await, ["u4"]);
    assert_eq!(tenant.users("a", "head").await, ["u0", "u1", "u2", "u3", "u4"]);
    assert!(tenant.users("a", "tail").await.is_empty());
    assert!(tenant.users("a", "next").await.is_empty());
    tenant.impact("u5", 1, NOW_MS).await;
    assert_eq!(tenant.users("a", "next").await, ["u5"]);
    assert_eq!(tenant.users("b", "next").await.len(), 6, "an index of its own begins at the head");
    assert_eq!(tenant.users("c", "0").await.len(), 6);
    assert!(tenant.users("d", &(second + 1_000_000).to_string()).await.is_empty());
    let never_read = tenant.step("e", "resend").await.expect(400);
    assert!(told(&never_read).contains("`e`"), "{}", told(&never_read));

    let server = server.restart().await;
    let tenant = tenant.at(&server);
    assert_eq!(tenant.users("a", "resend").await, ["u5"]);
    server.clock.advance(91 * DAY_MS);
    tenant.impact("u6", 1, server.clock_ms()).await;
    assert_eq!(tenant.users("a", "next").await, ["u6"]);
}

#[tokio::test]
async fn wrong_steps_say_why_and_tenants_do_not_share() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    tenant.impact("ann", 1, NOW_MS).await;
    let long = "i".repeat(129);
    for (query, wanted) in [
        ("operation=next".to_owned(), "`index`"),
        ("index=&operation=next".to_owned(), "`index`"),
        (format!("index={long}&operation=next"), "`index`"),
        ("index=a".to_owned(), "`operation`"),
        ("index=a&operation=".to_owned(), "`operation`"),
        ("index=a&operation=previous".to_owned(), "`operation`"),
        ("index=a&operation=-5".to_owned(), "`operation`"),
        (format!("index=a&operation={NOW_MS}"), "looks like milliseconds"),
    ] {
        let refused = tenant.api.get(&format!("{EXPORT}?{query}")).await.expect(400);
        assert!(told(&refused).contains(wanted), "{query}: {}", told(&refused));
    }
    assert!(other.users("a", "next").await.is_empty());
    assert_eq!(tenant.users("a", "next").await, ["ann"]);
    tenant.api.get("/api/v2/events/dataexport/alerts/dlp?index=a&operation=next").await.expect(404);
}

#[tokio::test]
async fn a_page_holds_10_000_and_says_when_there_is_more() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for part in 0..11 {
        let impacts: Vec<_> = (0..1000).map(|n| impact(&format!("u{part}-{n}"), 1, NOW_MS)).collect();
        tenant.api.send("POST", "/api/v1/impacts", ndjson(&impacts)).await.expect(200);
    }
    let first = tenant.step("a", "next").await.expect(200);
    let ids = each(&first, "_id");
    assert_eq!((ids.len(), &first.json()["wait_time"]), (10_000, &json!(0)));
    let again = tenant.step("a", "resend").await.expect(200);
    assert!(again.body == first.body, "a resend differs");
    let rest = each(&tenant.step("a", "next").await.expect(200), "_id");
    assert_eq!(rest.len(), 1000);
    assert!(ids.iter().chain(&rest).is_sorted_by_key(|id| id.as_str()), "an order without repeats");
    let listed = tenant.api.get(&format!("{}?limit=5000&offset=9000", super::DATA)).await.expect(200);
    assert_eq!(each(&listed, "_id")[1000..], rest);
}

#[tokio::test]
async fn two_at_once_on_one_index_are_a_conflict() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.impact("ann", 1, NOW_MS).await;
    // As long as the registry's one writer is busy, the first step cannot end.
    let (free, busy) = tokio::sync::oneshot::channel::<()>();
    let (begun, writing) = tokio::sync::oneshot::channel::<()>();
    let registry = std::sync::Arc::clone(&server.owner.services.registry);
    let blocker = tokio::spawn(async move {
        let write = registry.write(move |_| {
            Box::pin(async move {
                begun.send(()).unwrap();
                drop(busy.await);
                Ok(())
            })
        });
        write.await.unwrap();
    });
    writing.await.unwrap();
    let step = || {
        let tenant = tenant.clone();
        tokio::spawn(async move { tenant.step("a", "next").await })
    };
    // Neither can read before the writer is free, so the one that is answered is the one that came second.
    let (mut first, mut second) = (step(), step());
    let (refused, other) = tokio::select! {
        refused = &mut first => (refused.unwrap(), second),
        refused = &mut second => (refused.unwrap(), first),
    };
    assert!(told(&refused.expect(409)).contains("`a`"));
    free.send(()).unwrap();
    blocker.await.unwrap();
    assert_eq!(each(&other.await.unwrap().expect(200), "user"), ["ann"]);
    assert_eq!(tenant.users("a", "resend").await, ["ann"]);
    assert!(tenant.users("a", "next").await.is_empty());
}
