//! What is stored, and what the answer says about it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::gzip;
use crate::support::records::{activity, ndjson};
use crate::support::{DAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn the_answer_counts_and_names_the_days() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let records = [
        activity(NOW_MS, "ann@example.com", "today"),
        json!({ "timeStamp": NOW_MS - DAY_MS, "colour": "red", "nested": { "a": [1, { "b": 2 }] }, "tenantId": 5618 }),
        json!({ "timeStamp": NOW_MS - 1, "colour": null, "tenantId": 1 }),
    ];
    let answer = tenant.ingest(&records).await;
    insta::assert_snapshot!(answer.shown(), @r#"
    200 application/json
    {
      "accepted": 3,
      "days": [
        "2026-11-21",
        "2026-11-22"
      ],
      "duplicates": 0,
      "rejected": 0,
      "tenantIdReplaced": 1,
      "unknownKeys": {
        "colour": 2,
        "nested": 1
      }
    }
    "#);
    assert_eq!(tenant.stored().await.len(), 3);
}

#[tokio::test]
async fn with_skip_the_good_records_are_stored_and_the_others_reported() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let good = ndjson(&[activity(NOW_MS, "ann@example.com", "good")]);
    let body = format!("{{\"timeStamp\":\"soon\"}}\n{good}\n{{\"user\":\"x\"}}\n{{oops\n");
    let answer = tenant.api.send("POST", "/api/v1/activities?on_error=skip", body).await;
    insta::assert_snapshot!(answer.shown(), @r#"
    200 application/json
    {
      "accepted": 1,
      "days": [
        "2026-11-22"
      ],
      "duplicates": 0,
      "errors": [
        {
          "field": "timeStamp",
          "line": 1,
          "reason": "expected an integer of 64 bits, not the string \"soon\""
        },
        {
          "field": "timeStamp",
          "line": 4,
          "reason": "required"
        },
        {
          "line": 5,
          "reason": "malformed json: key must be a string at byte 2"
        }
      ],
      "rejected": 3,
      "tenantIdReplaced": 0,
      "unknownKeys": {}
    }
    "#);
    assert_eq!(tenant.stored().await, ["good"]);
}

#[tokio::test]
async fn with_skip_an_input_of_bad_records_only_stores_nothing() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.api.send("POST", "/api/v1/activities?on_error=skip", "{}\n{}\n").await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(0), &json!(2)));
    assert!(tenant.stored().await.is_empty());
}

#[tokio::test]
async fn compressed_bodies_are_read_with_and_without_the_header() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let part = |name: &str| ndjson(&[activity(NOW_MS, "ann@example.com", name)]);
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
    let members = [gzip(part("b").as_bytes()), gzip(part("c").as_bytes())].concat();
    let frames = [zstd(&part("e")), zstd(&part("f"))].concat();
    for (encoding, body) in [
        ("gzip", gzip(part("a").as_bytes())),
        ("x-gzip", members),
        ("zstd", zstd(&part("d"))),
        ("ZSTD", frames),
        ("identity", part("g").into_bytes()),
    ] {
        tenant.api.with("content-encoding", encoding).ingest(body).await.expect(200);
    }
    tenant.api.ingest(gzip(part("h").as_bytes())).await.expect(200);
    tenant.api.send("POST", "/api/v1/activities", zstd(&part("i"))).await.expect(200);
    assert_eq!(tenant.stored().await, ["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

#[tokio::test]
async fn parquet_is_stored_like_ndjson() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let times: ArrayRef = Arc::new(Int64Array::from(vec![NOW_MS, NOW_MS + 1]));
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let colours: ArrayRef = Arc::new(StringArray::from(vec![Some("red"), None]));
    let file = parquet(vec![("timeStamp", times), ("fileName", names), ("colour", colours)]);
    let api = tenant.api.with("content-type", "application/vnd.apache.parquet");
    let answer = api.send("POST", "/api/v1/activities", file.clone()).await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["days"]), (&json!(2), &json!(["2026-11-22"])));
    assert!(answer["unknownKeys"]["colour"].is_number(), "{answer}");
    // Found by content when the type says nothing, also below a compression.
    let api = tenant.api.with("content-type", "application/octet-stream");
    api.send("POST", "/api/v1/activities", gzip(&file)).await.expect(200);
    assert_eq!(tenant.stored().await, ["a", "a", "b", "b"]);
}

#[tokio::test]
async fn blank_lines_crlf_and_a_byte_order_mark_are_tolerated() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let record = activity(NOW_MS, "ann@example.com", "a");
    let body = format!("\u{FEFF}{record}\r\n\n  \n{record}");
    assert_eq!(tenant.api.ingest(body).await.expect(200).json()["accepted"], 2);
}

#[tokio::test]
async fn what_is_nested_in_an_unknown_key_is_skipped_however_deep() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let deep = format!("{{\"timeStamp\":1,\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(tenant.api.ingest(deep).await.expect(200).json()["unknownKeys"]["x"], 1);
}

#[tokio::test]
async fn many_at_once_are_all_stored_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let requests = (0..40).map(|n| {
        let tenant = tenant.clone();
        async move { tenant.ingest(&[activity(NOW_MS + n, "ann@example.com", &n.to_string())]).await }
    });
    futures::future::join_all(requests).await;
    let expected: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(tenant.stored().await, expected);
    assert_eq!(server.metric("anomalake_activities_stored_total").await, 40);
}

#[tokio::test]
async fn an_acknowledged_activity_outlives_a_restart() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann@example.com", "kept")]).await;
    let server = server.restart().await;
    assert_eq!(tenant.at(&server).stored().await, ["kept"]);
}
