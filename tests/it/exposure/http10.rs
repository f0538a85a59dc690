//! HTTP/1.0: old clients and simple probes.

use serde_json::json;

use super::{Raw, statuses};
use crate::support::api::QUERY;
use crate::support::records::activity;
use crate::support::{DELAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn a_request_without_host_gets_an_answer_and_the_connection_closes() {
    let server = TestServer::start().await;
    let answer = Raw::say_to(server.address(), "GET /healthz HTTP/1.0\r\n\r\n").await.hear_all().await;
    assert_eq!(statuses(&answer), ["200"]);
    assert!(answer.ends_with('}'), "{answer}");
}

#[tokio::test]
async fn an_export_comes_whole_without_chunks() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let records: Vec<_> = (0..2_000).map(|n| activity(NOW_MS + n, "ann", &format!("f{n}"))).collect();
    tenant.ingest(&records).await;
    let id = tenant.of_user("ann").await;
    server.clock.advance(DELAY_MS);
    let body = json!({ "incident_id": id }).to_string();
    let request = format!(
        "POST {QUERY} HTTP/1.0\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        tenant.token,
        body.len()
    );
    let answer = Raw::say_to(server.address(), request).await.hear_all().await;
    let (head, csv) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
    // Such an answer ends with its connection; the header tells whether it is whole.
    assert!(head.contains("anomalake-rows: 2000"), "{head}");
    assert_eq!(csv, tenant.query(id).await.text());
}
