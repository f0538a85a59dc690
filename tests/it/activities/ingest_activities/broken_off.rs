//! A body that does not arrive whole stores nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::records::{activity, ndjson};
use crate::support::wait::until;
use crate::support::{NOW_MS, TestServer, TestTenant};

/// Opens a request whose head promises a body by `framing`.
async fn begin(server: &TestServer, tenant: &TestTenant, framing: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/activities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\nidempotency-key: k\r\n{framing}\r\n\r\n",
        tenant.token
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn assert_nothing_stored(server: &TestServer, tenant: &TestTenant) {
    until("the ingest to end", async || server.metric("anomalake_ingests_running").await == 0).await;
    assert!(tenant.stored().await.is_empty());
    assert_eq!(server.stored_files(), Vec::<std::path::PathBuf>::new());
    // The key is free: nothing was acknowledged under it.
    let whole = ndjson(&[activity(NOW_MS, "ann@example.com", "whole")]);
    let answer = tenant.api.with("idempotency-key", "k").ingest(whole).await.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(tenant.stored().await, ["whole"]);
}

#[tokio::test]
async fn cut_off_between_records() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let records = ndjson(&[activity(NOW_MS, "ann@example.com", "cut")]).repeat(100);
    for framing in [format!("content-length: {}", records.len() * 2), "transfer-encoding: chunked".to_owned()] {
        let mut stream = begin(&server, &tenant, &framing).await;
        if framing.starts_with("transfer") {
            stream.write_all(format!("{:x}\r\n", records.len()).as_bytes()).await.unwrap();
        }
        stream.write_all(records.as_bytes()).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
        until("the ingest to begin", async || server.metric("anomalake_ingests_running").await == 1).await;
        drop(stream);
        until("the ingest to end", async || server.metric("anomalake_ingests_running").await == 0).await;
    }
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn a_half_closed_connection_is_told_so() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let mut stream = begin(&server, &tenant, "content-length: 1000").await;
    stream.write_all(ndjson(&[activity(NOW_MS, "x", "cut")]).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    // The server may also just close; it may not claim success.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_nothing_stored(&server, &tenant).await;
}
