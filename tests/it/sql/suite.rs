//! The query suite of the benchmark: every query runs and finds something in generated data.

use anomalake::generate::{Company, Plan, Profile};
use serde_json::{Map, Value, json};

use crate::support::{DAY_MS, NOW_MS, TestServer};

#[allow(unreachable_pub, dead_code, reason = "the benchmark uses all of it")]
#[path = "../../../benches/versus/suite.rs"]
mod queries;

use queries::{Query, queries};

const PARAMETERS: [&str; 5] = ["user", "address", "from", "to", "since"];

#[test]
fn the_suite_asks_what_it_shall() {
    let names: Vec<String> = queries().into_iter().map(|query| query.name).collect();
    let wanted = [
        "user",
        "address",
        "user-and-hour",
        "newest",
        "top-by-bytes",
        "distinct-addresses",
        "hourly-by-service",
        "first-country",
        "failures-before-success",
        "anomalies",
        "file-sizes",
        "two-networks",
    ];
    assert_eq!(names, wanted);
    for query in queries() {
        assert!(query.question.contains('?'), "{}: {}", query.name, query.question);
        assert!(!query.sql.contains("--") && !query.duckdb.contains("--"), "{}", query.name);
    }
    let own: Vec<_> = queries().into_iter().filter(|query| query.sql != query.duckdb).map(|query| query.name).collect();
    assert_eq!(own, ["first-country", "anomalies"], "the dialects differ where the file says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_suite_finds_something() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let plan = Plan { seed: 1, users: 200, days: 7, end_ms: NOW_MS, rows: Some(20_000), profile: Profile::Workload };
    let company = Company::new(plan);
    let body: Vec<u8> = company.ndjson().flat_map(|chunk| chunk.unwrap()).collect();
    tenant.api.ingest(body).await.expect(200);
    let facts: Vec<_> = company.parts().map(|part| company.part(&part).1).collect();
    let truth = company.truth(&facts);
    let planted = truth.anomalies.iter().find(|anomaly| anomaly.rows == 30).expect("thirty planted rows");
    for anomaly in &truth.anomalies {
        tenant.anomaly(json!({ "user": anomaly.user, "from": anomaly.from, "to": anomaly.to })).await;
    }
    let ms = |text: &str| anomalake::domain::time_text::parse_time(text, 0).unwrap();
    let known = json!({
        "user": planted.user, "from": ms(&planted.from), "to": ms(&planted.to), "since": NOW_MS - 3 * DAY_MS,
        "address": "198.18.0.0",
    });
    for query in queries() {
        let own = Query::parameters(&query.sql, &PARAMETERS);
        let own: Map<String, Value> = own.into_iter().map(|name| (name.to_owned(), known[name].clone())).collect();
        let mut body = json!({ "sql": query.sql });
        if !own.is_empty() {
            body["params"] = Value::Object(own);
        }
        let answer = tenant.api.with("accept", "application/json").post_json("/api/v1/sql", &body).await;
        let rows = answer.expect(200).json();
        let rows = rows.as_array().unwrap();
        assert!(!rows.is_empty(), "{} finds nothing", query.name);
        if query.name == "user-and-hour" {
            assert_eq!(rows.len(), 30);
        }
        if query.name == "anomalies" {
            assert_eq!(rows.len(), truth.anomalies.len());
        }
    }
}
