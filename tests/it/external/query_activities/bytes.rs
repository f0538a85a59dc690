//! The published rows go in as NDJSON and come back byte for byte.

use serde_json::json;

use crate::support::records::{data, ndjson, records_of_csv};
use crate::support::{DELAY_MS, TestServer, TestTenant};

async fn exported(server: &TestServer, tenant: &TestTenant) -> String {
    let window = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let id = tenant.anomaly(json!({ "from": window.0, "to": window.1, "where": "tenantId = 5618" })).await;
    server.clock.advance(DELAY_MS);
    let answer = tenant.query(id).await;
    assert_eq!(answer.header("content-type"), Some("text/csv;charset=utf-8"));
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    answer.text().to_owned()
}

#[tokio::test]
async fn the_sample_comes_back_in_order_of_time_with_its_user_counts_derived() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let sample = data("activities-sample.csv");
    let records = records_of_csv(&sample, "userCount");
    assert_eq!(records.len(), 11);
    let answer = tenant.ingest(&records).await;
    assert_eq!(answer.json()["accepted"], 11);

    // Ties keep the order in which they came in: their ids are made in that order.
    let mut lines: Vec<&str> = sample.split_inclusive('\n').collect();
    lines[1..].sort_by_key(|line| line.split(',').next().unwrap().parse::<i64>().unwrap());
    assert_eq!(exported(&server, &tenant).await, lines.concat());
}

#[tokio::test]
async fn the_quoting_vector_comes_back_reversed() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.api.ingest(data("activities-quoting.ndjson")).await.expect(200);
    assert_eq!(answer.json()["accepted"], 400);

    let csv = data("activities-quoting.csv");
    // Records may hold LFs, so they are cut where the next one's time begins.
    let starts: Vec<usize> = data("activities-quoting.ndjson")
        .split_terminator('\n')
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["timeStamp"].as_i64().unwrap())
        .map(|time| csv.find(&format!("\n{time},")).expect("the record's time begins a line") + 1)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([csv.len()]);
    let mut records: Vec<&str> = starts.iter().zip(ends).map(|(&start, end)| &csv[start..end]).collect();
    assert_eq!(records.len(), 400);
    records.reverse();
    let expected = format!("{}{}", &csv[..starts[0]], records.concat());
    assert!(exported(&server, &tenant).await == expected, "the export differs from the vector");
}

#[tokio::test]
async fn null_and_empty_are_written_as_nothing_and_metrics_have_their_defaults() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let record =
        json!({ "timeStamp": 1_596_831_780_000_i64, "user": "Box", "city": "", "region": null, "tenantId": 7 });
    let answer = tenant.api.ingest(ndjson(&[record])).await.expect(200);
    assert_eq!(answer.json()["tenantIdReplaced"], 1);
    let text = exported(&server, &tenant).await;
    let row = text.lines().nth(1).unwrap();
    insta::assert_snapshot!(row, @"1596831780000,,,,,,,,,,,1,,,,,0,1,,,,,,,,,,,,0,,0.0,,,,,0,0,,,,0,,,,,,,5618,,,,0,,Box,AQAAAQAAAACzEA==");
}

#[tokio::test]
async fn the_category_fills_what_has_no_threat_category() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let at = 1_596_831_780_000_i64;
    let records = [json!({ "timeStamp": at, "threatCategory": "Its own" }), json!({ "timeStamp": at + 1 })];
    tenant.ingest(&records).await;
    let anomaly = json!({ "from": at, "to": at + 2, "where": "true", "category": "Insider Threats" });
    let id = tenant.anomaly(anomaly).await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("threatCategory"), ["Its own", "Insider Threats"]);
}

#[tokio::test]
async fn formulas_are_escaped_on_request_only() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[json!({ "timeStamp": 1, "user": "x", "fileName": "=cmd()" })]).await;
    let id = tenant.anomaly(json!({ "from": 0, "to": 2, "user": "x" })).await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("fileName"), ["=cmd()"]);
    let path = format!("{}?escape_formulas=true", crate::support::api::QUERY);
    let escaped = tenant.api.post_json(&path, &json!({ "incident_id": id })).await.expect(200);
    assert_eq!(escaped.column("fileName"), ["'=cmd()"]);
}
