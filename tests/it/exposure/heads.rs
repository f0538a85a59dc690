//! Heads of requests: too large, too many, too slow.

use std::fmt::Write as _;
use std::time::Instant;

use super::{MS, Raw, statuses};
use crate::support::TestServer;

fn get(headers: &str) -> String {
    format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
}

#[tokio::test]
async fn more_than_64_kib_of_headers_are_refused() {
    let server = TestServer::start().await;
    let large = |bytes: usize| get(&format!("x: {}\r\n", "y".repeat(bytes)));
    let fits = Raw::say_to(server.address(), large(60 * 1024)).await.hear_all().await;
    assert_eq!(statuses(&fits), ["200"]);
    for bytes in [64 * 1024, 1024 * 1024] {
        let mut raw = Raw::connect(server.address()).await.unwrap();
        // The server may close before it has answer all.
        drop(raw.say(large(bytes)).await);
        let answer = raw.hear_all().await;
        assert!(answer.is_empty() || statuses(&answer) == ["431"], "{answer}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(70_000));
    let mut raw = Raw::connect(server.address()).await.unwrap();
    drop(raw.say(endless).await);
    let answer = raw.hear_all().await;
    assert!(answer.is_empty() || ["414", "431"].contains(&statuses(&answer)[0]), "{answer}");
    server.anyone().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn more_than_a_hundred_headers_are_refused() {
    let server = TestServer::start().await;
    let many = |headers: usize| {
        // Two more are in every request.
        get(&(2..headers).fold(String::new(), |mut text, n| {
            write!(text, "x{n}: y\r\n").unwrap();
            text
        }))
    };
    let fits = Raw::say_to(server.address(), many(100)).await.hear_all().await;
    assert_eq!(statuses(&fits), ["200"]);
    let refused = Raw::say_to(server.address(), many(101)).await.hear_all().await;
    assert_eq!(statuses(&refused), ["431"]);
}

#[tokio::test]
async fn a_head_that_does_not_come_closes_the_connection() {
    let server = TestServer::start_with(|settings| settings.header_timeout = MS(300)).await;
    for begun in ["", "G", "GET /healthz HTTP/1.1\r\nhost: loc", "PRI * HTTP/2.0\r\n"] {
        let start = Instant::now();
        let answer = Raw::say_to(server.address(), begun).await.hear_all().await;
        assert_eq!(answer, "", "{begun}");
        assert!(start.elapsed() >= MS(250), "{begun}: closed after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_trickling_head_has_no_more_time_than_a_silent_one() {
    let server = TestServer::start_with(|settings| settings.header_timeout = MS(500)).await;
    let start = Instant::now();
    let mut raw = Raw::say_to(server.address(), "GET /healthz HTTP/1.1\r\nx: ").await;
    // Each byte would give a timeout that starts over another half second.
    while raw.is_quiet(MS(50)).await && raw.say("y").await.is_ok() {
        assert!(start.elapsed() < crate::support::wait::PATIENCE);
    }
    assert!(start.elapsed() >= MS(450), "closed after {:?}", start.elapsed());
}
