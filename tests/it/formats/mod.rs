//! Formats: what goes out in each of them, what comes in, and what other programs read.

mod download;
mod ingest;
mod read_back;

use serde_json::json;

use crate::support::records::data;
use crate::support::{Answer, TestServer, TestTenant};

const CSV: &str = "text/csv";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// Media type and extension of each format.
const FORMATS: [(&str, &str); 5] =
    [(CSV, "csv"), (JSON, "json"), (NDJSON, "ndjson"), (ARROW, "arrow"), (PARQUET, "parquet")];

/// A tenant with the 400 rows of the encoder's oracle.
async fn tenant_with_rows(server: &TestServer) -> TestTenant {
    let tenant = server.tenant(5618).await;
    let stored = tenant.api.ingest(data("activities-quoting.ndjson")).await.expect(200).json();
    assert_eq!(stored["accepted"], 400);
    tenant
}

/// An anomaly of no activity at all.
async fn of_nothing(tenant: &TestTenant) -> i64 {
    tenant.anomaly(json!({ "from": 0, "to": 1, "user": "nobody@example.com" })).await
}

/// The activities of an anomaly by our own route.
async fn activities(tenant: &TestTenant, id: i64, accept: &str) -> Answer {
    tenant.api.with("accept", accept).get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200)
}
