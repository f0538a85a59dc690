//! Requests that two servers in a row could read differently. Each is refused, or read in the one way
//! that RFC 9112 allows and its connection closed, so that nothing hidden in it is ever answered.

use super::{Raw, statuses};
use crate::support::TestServer;

/// A request that must never be seen as one.
const HIDDEN: &str = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Heads of requests with bodies, and the one status that they get.
const FRAMINGS: [(&str, &str); 16] = [
    ("content-length: 0\r\ncontent-length: 5\r\n", "400"),
    ("content-length: 5, 0\r\n", "400"),
    ("content-length: +5\r\n", "400"),
    ("content-length: -1\r\n", "400"),
    ("content-length: 0x5\r\n", "400"),
    ("content-length: 99999999999999999999\r\n", "400"),
    ("content-length : 5\r\n", "400"),
    ("transfer-encoding: xchunked\r\n", "400"),
    ("transfer-encoding: chunked, identity\r\n", "400"),
    ("transfer-encoding: identity\r\n", "400"),
    ("transfer-encoding:\x0bchunked\r\n", "400"),
    ("x: 1\r\n transfer-encoding: chunked\r\n", "400"),
    ("x: 1\r\n\tfolded\r\n", "400"),
    ("x: a\rb\r\n", "400"),
    ("x: a\0b\r\n", "400"),
    ("x y: 1\r\n", "400"),
];

#[tokio::test]
async fn ambiguous_heads_are_refused_and_the_connection_is_closed() {
    let server = TestServer::start().await;
    for (headers, status) in FRAMINGS {
        let request = format!("POST /api/v1/anomalies HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{HIDDEN}{HIDDEN}");
        let answer = Raw::say_to(server.address(), request).await.hear_all().await;
        assert_eq!(statuses(&answer), [status], "{headers:?}: {answer}");
    }
    server.anyone().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn both_lengths_at_once_are_read_as_chunks_and_the_connection_is_closed() {
    let server = TestServer::start().await;
    let both =
        ["content-length: 5\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"];
    for headers in both {
        // By its length the body ends before the hidden request; by its chunks it ends there too.
        let request = format!("POST /api/v1/anomalies HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n0\r\n\r\n{HIDDEN}");
        let answer = Raw::say_to(server.address(), request).await.hear_all().await;
        assert_eq!(statuses(&answer), ["401"], "{headers:?}: {answer}");
    }
}

#[tokio::test]
async fn http_1_0_has_no_chunks() {
    let server = TestServer::start().await;
    let request = format!("POST /api/v1/anomalies HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}");
    let answer = Raw::say_to(server.address(), request).await.hear_all().await;
    assert_eq!(statuses(&answer), ["400"], "{answer}");
}

#[tokio::test]
async fn malformed_chunks_are_no_body() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for chunks in [
        "5;\nxx\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n",
        "-1\r\n",
        "fffffffffffffffff\r\n",
        "5\r\nhelloXX0\r\n\r\n",
    ] {
        let head = format!(
            "POST /api/v1/activities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
            tenant.token
        );
        let answer = Raw::say_to(server.address(), format!("{head}{chunks}{HIDDEN}")).await.hear_all().await;
        assert!(answer.is_empty() || statuses(&answer) == ["400"], "{chunks:?}: {answer}");
    }
    assert!(server.stored_files().is_empty());
    server.anyone().get("/healthz").await.expect(200);
}

/// RFC 9112, section 2.2, lets a server take a lone LF for the end of a line; nothing else in front of this
/// one can hide a header behind it, since both read it as one.
#[tokio::test]
async fn lone_line_feeds_end_lines_and_nothing_more() {
    let server = TestServer::start().await;
    let answer = Raw::say_to(server.address(), "GET /healthz HTTP/1.1\nhost: localhost\nconnection: close\n\n")
        .await
        .hear_all()
        .await;
    assert_eq!(statuses(&answer), ["200"]);
    let request =
        format!("POST /api/v1/anomalies HTTP/1.1\nhost: x\ncontent-length: 0\ncontent-length: 50\n\n{HIDDEN}");
    let answer = Raw::say_to(server.address(), request).await.hear_all().await;
    assert_eq!(statuses(&answer), ["400"], "{answer}");
}
