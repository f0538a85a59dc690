//! The format is the caller's choice by `Accept`.

use serde_json::{Value, json};

use crate::support::records::activity;
use crate::support::{DELAY_MS, NOW_MS, TestServer};

const CSV: &str = "text/csv;charset=utf-8";
const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn accept_chooses_the_format() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann@example.com", "a")]).await;
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    let csv = tenant.query(id).await;
    assert_eq!(csv.header("content-type"), Some(CSV));
    for (accept, wanted) in [
        ("*/*", CSV),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("", CSV),
        ("application/x-ndjson", NDJSON),
        ("application/ndjson", NDJSON),
        ("text/csv;q=0.1, application/x-ndjson", NDJSON),
        ("application/x-ndjson;q=0.2, */*;q=0.5", CSV),
        ("application/pdf, text/csv;q=0.5", CSV),
    ] {
        let answer = tenant.api.with("accept", accept).query(id).await.expect(200);
        assert_eq!(answer.header("content-type"), Some(wanted), "{accept}");
        if wanted == CSV {
            assert_eq!(answer.body, csv.body);
        } else {
            let record: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((&record["timeStamp"], &record["fileName"]), (&json!(NOW_MS), &json!("a")));
            // Nulls are left out.
            assert_eq!((record["tenantId"].as_i64(), record.get("city")), (Some(5618), None));
        }
    }
    for accept in ["application/pdf", "text/html, image/*", "text/csv;q=0"] {
        let answer = tenant.api.with("accept", accept).query(id).await.expect(406).json();
        assert_eq!((&answer["code"], &answer["target"]), (&json!(406), &json!("Accept")), "{accept}");
    }
}

#[tokio::test]
async fn nothing_to_give_is_zero_bytes_in_every_format() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.api.with("accept", NDJSON).query(77).await.expect(200);
    assert_eq!((answer.header("content-type"), answer.body.len()), (Some(NDJSON), 0));
}
