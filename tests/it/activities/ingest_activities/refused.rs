//! Bad input: a clear 4xx, nothing stored, the server lives.

use serde_json::{Value, json};

use super::gzip;
use crate::support::records::{activity, ndjson};
use crate::support::{Answer, NOW_MS, TestServer, TestTenant};

const PATH: &str = "/api/v1/activities";

fn good() -> String {
    ndjson(&[activity(NOW_MS, "ann@example.com", "good")])
}

/// The answer to a body that must be refused with this status and code.
async fn refused(tenant: &TestTenant, body: impl Into<bytes::Bytes>, status: u16, code: &str) -> Answer {
    let answer = tenant.api.ingest(body).await.expect(status);
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    answer
}

async fn assert_nothing_stored(server: &TestServer, tenant: &TestTenant) {
    assert!(tenant.stored().await.is_empty());
    assert_eq!(server.stored_files(), Vec::<std::path::PathBuf>::new(), "files were left behind");
    assert_eq!(server.metric("anomalake_ingests_running").await, 0);
    tenant.api.ingest(good()).await.expect(200);
    assert_eq!(tenant.stored().await, ["good"]);
}

#[tokio::test]
async fn the_first_20_bad_records_are_named_by_line_field_and_reason() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let bad = "{\"timeStamp\":1,\"asn\":\"x\"}\n".repeat(25);
    let answer = refused(&tenant, format!("{}{bad}", good()), 400, "bad_records").await.json();
    let details = &answer["details"];
    assert_eq!((&details["rejected"], &details["stoppedEarly"]), (&json!(20), &json!(true)));
    let errors = details["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 20);
    for (index, error) in errors.iter().enumerate() {
        let reason = "expected an integer of 64 bits, not the string \"x\"";
        assert_eq!(error, &json!({ "line": index + 2, "field": "asn", "reason": reason }));
    }
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn one_bad_record_refuses_the_whole_body() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let body = format!("{}{{\"timeStamp\":1}} trailing\n{}", good(), good());
    let answer = refused(&tenant, body, 400, "bad_records").await;
    insta::assert_snapshot!(answer.shown(), @r#"
    400 application/json
    {
      "code": "bad_records",
      "details": {
        "errors": [
          {
            "line": 2,
            "reason": "malformed json: trailing characters at byte 17"
          }
        ],
        "rejected": 1,
        "stoppedEarly": false
      },
      "message": "1 bad records; the first: line 2: malformed json: trailing characters at byte 17; nothing was stored. Mend the records or add ?on_error=skip",
      "requestId": "[id]"
    }
    "#);
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn every_kind_of_bad_record_is_named() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (record, field, reason) in [
        ("{\"timeStamp\":", None, "malformed json"),
        ("[1,2]", None, "expected a json object"),
        ("null", None, "expected a json object"),
        ("{\"user\":\"x\"}", Some("timeStamp"), "required"),
        ("{\"timeStamp\":null}", Some("timeStamp"), "required"),
        ("{\"timeStamp\":1.5}", Some("timeStamp"), "integer"),
        ("{\"timeStamp\":99999999999999999}", Some("timeStamp"), "outside the years"),
        ("{\"timeStamp\":1,\"deviceManaged\":\"true\"}", Some("deviceManaged"), "true or false"),
        ("{\"timeStamp\":1,\"user\":7}", Some("user"), "a string"),
        ("{\"timeStamp\":1,\"user\":{}}", Some("user"), "an object"),
        ("{\"timeStamp\":1,\"noOfObjects\":NaN}", None, "malformed json"),
        ("{\"timeStamp\":1,\"noOfObjects\":1e999}", None, "number out of range"),
        ("{\"timeStamp\":1,\"fileSize\":9223372036854775808}", Some("fileSize"), "integer"),
        ("{\"timeStamp\":1,\"user\":\"a\",\"user\":\"b\"}", Some("user"), "twice"),
    ] {
        let answer = refused(&tenant, record.to_owned(), 400, "bad_records").await.json();
        let error = &answer["details"]["errors"][0];
        let shown = &record[..record.len().min(60)];
        assert_eq!(error["line"], 1, "{shown}");
        if let Some(field) = field {
            assert_eq!(error["field"], field, "{shown}");
        }
        assert!(error["reason"].as_str().unwrap().contains(reason), "{shown}: {error}");
    }
    let not_utf8 = [b"{\"timeStamp\":1,\"user\":\"".as_slice(), &[0xFF], b"\"}"].concat();
    refused(&tenant, not_utf8, 400, "bad_records").await;
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn bodies_that_hold_no_records() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for body in [Vec::new(), b"\n\n  \n".to_vec(), gzip(b"")] {
        refused(&tenant, body, 400, "empty_body").await;
    }
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn damaged_compression() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let many = good().repeat(2_000);
    let (whole, frame) = (gzip(many.as_bytes()), zstd::encode_all(many.as_bytes(), 3).unwrap());
    refused(&tenant, whole[..whole.len() - 5].to_vec(), 400, "corrupt_body").await;
    refused(&tenant, whole[..20].to_vec(), 400, "corrupt_body").await;
    refused(&tenant, frame[..frame.len() - 2].to_vec(), 400, "corrupt_body").await;
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 0xFF;
    refused(&tenant, flipped, 400, "corrupt_body").await;
    let followed = [whole.as_slice(), b"{}\n"].concat();
    refused(&tenant, followed, 400, "corrupt_body").await;
    // The header says one thing and the content another.
    let claimed = tenant.api.with("content-encoding", "gzip").ingest(good()).await.expect(400);
    assert_eq!(claimed.json()["code"], "corrupt_body");
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn a_cell_of_10_mb() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let cell = json!({ "timeStamp": 1, "fileName": "x".repeat(10 << 20) });
    let answer = refused(&tenant, format!("{}{cell}\n", good()), 413, "record_too_large").await.json();
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("line 2") && message.contains("1048576"), "{message}");
    // As part of a large input it is refused with `skip`, too: it is no record.
    let path = format!("{PATH}?on_error=skip");
    tenant.api.send("POST", &path, gzip(cell.to_string().as_bytes())).await.expect(413);
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn a_body_that_inflates_beyond_its_bounds() {
    let server = TestServer::start_with(|settings| settings.max_body = 256 << 20).await;
    let tenant = server.tenant(5618).await;
    // No line of it exceeds a record's limit, and no real log shrinks to a thousandth.
    let line = format!("{}\n", " ".repeat((1 << 20) - 1));
    refused(&tenant, gzip(line.repeat(80).as_bytes()), 413, "inflates_too_much").await;
    let without_lines = gzip(&vec![0; 64 << 20]);
    refused(&tenant, without_lines, 413, "record_too_large").await;
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn a_body_over_the_limit() {
    let server = TestServer::start_with(|settings| settings.max_body = 1 << 20).await;
    let tenant = server.tenant(5618).await;
    let many = good().repeat((2 << 20) / good().len());
    refused(&tenant, many.clone(), 413, "body_too_large").await;
    refused(&tenant, gzip(many.as_bytes()), 413, "body_too_large").await;
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn damaged_parquet() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let api = tenant.api.with("content-type", "application/vnd.apache.parquet");
    let garbage = [b"PAR1".as_slice(), &[7; 300], b"\x10\x00\x00\x00PAR1"].concat();
    let cut = [b"PAR1".as_slice(), &[7; 300]].concat();
    for body in [garbage, cut, b"PAR1PAR1".to_vec(), good().into_bytes(), b"PAR1".to_vec()] {
        let answer = api.send("POST", PATH, body).await.expect(400);
        assert_eq!(answer.json()["code"], "corrupt_body", "{}", answer.text());
    }
    let empty = api.send("POST", PATH, "").await.expect(400);
    assert!(["empty_body", "corrupt_body"].contains(&empty.json()["code"].as_str().unwrap()), "{}", empty.text());
    assert_nothing_stored(&server, &tenant).await;
}

#[tokio::test]
async fn types_encodings_and_parameters_that_are_not_known() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let cases: [(&str, &str, &str, u16, &str, Value); 9] = [
        ("content-type", "application/xml", PATH, 415, "unsupported_type", json!("Content-Type")),
        ("content-type", "application/json", PATH, 415, "unsupported_type", json!("Content-Type")),
        ("content-encoding", "br", PATH, 415, "unsupported_encoding", json!("Content-Encoding")),
        ("content-encoding", "gzip, gzip", PATH, 415, "unsupported_encoding", json!("Content-Encoding")),
        ("x-nothing", "", "/api/v1/activities?source=oktopus", 400, "unknown_source", json!("source")),
        ("x-nothing", "", "/api/v1/activities?on_error=ignore", 400, "bad_query", Value::Null),
        ("x-nothing", "", "/api/v1/activities?onError=skip", 400, "bad_query", Value::Null),
        ("idempotency-key", "", PATH, 400, "bad_value", json!("Idempotency-Key")),
        ("idempotency-key", &"k".repeat(256), PATH, 400, "bad_value", json!("Idempotency-Key")),
    ];
    for (name, value, path, status, code, target) in cases {
        let answer = tenant.api.with(name, value).send("POST", path, good()).await.expect(status).json();
        assert_eq!((&answer["code"], &answer["target"]), (&json!(code), &target), "{name}: {value} {path}");
    }
    assert_nothing_stored(&server, &tenant).await;
}
