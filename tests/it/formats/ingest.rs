//! `POST /api/v1/activities` in every format.

use std::io::Write;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::FileWriter;
use serde_json::json;

use super::{ARROW, CSV, NDJSON, PARQUET, activities, tenant_with_rows};
use crate::support::records::data;
use crate::support::{Answer, NOW_MS, TestServer, TestTenant};

const PATH: &str = "/api/v1/activities";

async fn send(tenant: &TestTenant, content_type: &str, body: impl Into<bytes::Bytes>) -> Answer {
    tenant.api.with("content-type", content_type).send("POST", PATH, body).await
}

/// Same bytes as the other server's, which stored the same records from another format.
async fn csv_of(tenant: &TestTenant) -> bytes::Bytes {
    let id = tenant.everything().await;
    activities(tenant, id, CSV).await.body
}

fn arrow_file(stream: &[u8]) -> Vec<u8> {
    let reader = StreamReader::try_new(stream, None).unwrap();
    let mut file = FileWriter::try_new(Vec::new(), &reader.schema()).unwrap();
    reader.for_each(|batch| file.write(&batch.unwrap()).unwrap());
    file.into_inner().unwrap()
}

#[tokio::test]
async fn an_export_in_any_format_goes_in_again_and_comes_out_the_same() {
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let expected = csv_of(&tenant).await;
    let id = tenant.everything().await;
    for accept in [CSV, NDJSON, ARROW, PARQUET] {
        let body = activities(&tenant, id, accept).await.body;
        let other_server = TestServer::start().await;
        let other = other_server.tenant(5618).await;
        let answer = send(&other, accept, body).await.expect(200).json();
        assert_eq!((&answer["accepted"], &answer["unknownKeys"]), (&json!(400), &json!({})), "{accept}");
        assert!(csv_of(&other).await == expected, "{accept}");
    }
}

#[tokio::test]
async fn arrow_is_told_by_its_content_and_csv_by_its_type() {
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let id = tenant.everything().await;
    let stream = activities(&tenant, id, ARROW).await.body;
    let file = arrow_file(&stream);
    let accepted = async |content_type: &str, body: Vec<u8>| {
        send(&tenant, content_type, body).await.expect(200).json()["accepted"].as_i64()
    };
    assert_eq!(accepted("application/octet-stream", stream.to_vec()).await, Some(400));
    assert_eq!(accepted("", file.clone()).await, Some(400));
    assert_eq!(accepted(ARROW, file.clone()).await, Some(400));
    assert_eq!(accepted("application/vnd.apache.arrow.file", file).await, Some(400));
    let csv = data("activities-quoting.csv").into_bytes();
    assert_eq!(accepted("text/csv; charset=utf-8; header=present", csv.clone()).await, Some(400));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&csv).unwrap();
    assert_eq!(accepted(CSV, gzip.finish().unwrap()).await, Some(400));
    let refused = send(&tenant, "application/octet-stream", csv).await.expect(400).json();
    assert_eq!(refused["code"], "bad_records");
}

#[tokio::test]
async fn bad_csv_is_told_by_line_and_field_and_nothing_is_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let body = format!("timeStamp,fileName,asn\n{NOW_MS},\"two\nlines\",1\nsoon,b,2\n{NOW_MS},c\n{NOW_MS},\"d");
    let answer = send(&tenant, CSV, body.clone()).await.expect(400);
    insta::assert_snapshot!(answer.shown(), @r#"
    400 application/json
    {
      "code": "bad_records",
      "details": {
        "errors": [
          {
            "field": "timeStamp",
            "line": 4,
            "reason": "expected an integer of 64 bits, not \"soon\""
          },
          {
            "line": 5,
            "reason": "expected 3 cells as the header has, not 2"
          },
          {
            "line": 6,
            "reason": "malformed csv: a quoted cell without its closing quote, in cell 2"
          }
        ],
        "rejected": 3,
        "stoppedEarly": false
      },
      "message": "3 bad records; the first: line 4, field `timeStamp`: expected an integer of 64 bits, not \"soon\"; nothing was stored. Mend the records or add ?on_error=skip",
      "requestId": "[id]"
    }
    "#);
    assert!(tenant.stored().await.is_empty());
    let path = format!("{PATH}?on_error=skip");
    let answer = tenant.api.with("content-type", CSV).send("POST", &path, body).await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(1), &json!(3)));
    assert_eq!(tenant.stored().await, ["two\nlines"]);

    for (body, code) in [
        ("", "empty_body"),
        ("timeStamp,user\n", "empty_body"),
        ("user,asn\na,1\n", "bad_column"),
        ("timeStamp,user,user\n1,a,b\n", "bad_column"),
        ("\"timeStamp\n1\n", "corrupt_body"),
    ] {
        assert_eq!(send(&tenant, CSV, body).await.expect(400).json()["code"], code, "{body:?}");
    }
    let large = format!("timeStamp,user\n1,\"{}\n\"\n", "x".repeat(1 << 20));
    assert_eq!(send(&tenant, CSV, large).await.expect(413).json()["code"], "record_too_large");
}

#[tokio::test]
async fn an_arrow_stream_that_is_cut_off_is_not_stored() {
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let id = tenant.everything().await;
    let stream = activities(&tenant, id, ARROW).await.body;
    let other = server.tenant(77).await;
    for end in [stream.len() - 8, stream.len() / 2, 100] {
        let answer = send(&other, ARROW, stream.slice(..end)).await.expect(400).json();
        assert_eq!(answer["code"], "corrupt_body", "{end}");
    }
    assert_eq!(send(&other, ARROW, "").await.expect(400).json()["code"], "empty_body");
    assert!(other.stored().await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_read_names_all_that_can() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let refused = send(&tenant, "application/xml", "<x/>").await.expect(415).json();
    for known in [CSV, NDJSON, ARROW, PARQUET] {
        assert!(refused["message"].as_str().unwrap().contains(known), "{refused}");
    }
}
