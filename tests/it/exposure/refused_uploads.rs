//! A client that is refused while it sends gets to read why.

use super::{Raw, statuses};
use crate::support::TestServer;

/// More than the buffers between client and server hold.
const LARGE: usize = 32 << 20;

#[tokio::test]
async fn the_answer_arrives_though_the_body_is_not_wanted() {
    let server = TestServer::start().await;
    for path in ["/api/v1/activities", "/shnapi/rest/external/api/v1/queryActivities", "/nowhere"] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {LARGE}\r\n\r\n");
        let mut raw = Raw::say_to(server.address(), head).await;
        // A client that sends all before it reads, as many do.
        raw.say(vec![b'x'; LARGE]).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer = raw.hear_until("\r\n\r\n").await;
        let status = if path == "/nowhere" { "404" } else { "401" };
        assert_eq!(statuses(&answer), [status], "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_asks_first_need_not_send() {
    let server = TestServer::start().await;
    let head = format!(
        "POST /api/v1/activities HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {LARGE}\r\n\r\n"
    );
    let answer = Raw::say_to(server.address(), head).await.hear_all().await;
    assert_eq!(statuses(&answer), ["401"], "{answer}");
}
