//! Saved exports: asked for, made, downloaded, gone. The clock stands still and nothing runs by itself, so each test
//! decides when an export is made.

mod create_export;
mod get_export_content;
mod isolation;
mod lifecycle;

use serde_json::{Value, json};

use anomalake::jobs::make_all_exports;

use crate::support::records::activity;
use crate::support::{Answer, NOW_MS, TestServer, TestTenant};

const PATH: &str = "/api/v1/exports";

/// Makes everything that is due.
async fn make(server: &TestServer) {
    make_all_exports(&server.owner.services).await;
}

/// A tenant with so many activities, and an anomaly of all of them.
async fn tenant_with(server: &TestServer, rows: i64) -> (TestTenant, i64) {
    let tenant = server.tenant(5618).await;
    let records: Vec<Value> = (0..rows).map(|n| activity(NOW_MS + n, "ann", &n.to_string())).collect();
    tenant.ingest(&records).await;
    let anomaly = tenant.everything().await;
    (tenant, anomaly)
}

/// Asks for an export of an anomaly and returns its number.
async fn ask(tenant: &TestTenant, anomaly: i64) -> i64 {
    let answer = tenant.api.post_json(PATH, &json!({ "anomaly": anomaly })).await.expect(202).json();
    answer["id"].as_i64().unwrap()
}

async fn show(tenant: &TestTenant, id: i64) -> Value {
    tenant.api.get(&format!("{PATH}/{id}")).await.expect(200).json()
}

async fn content(tenant: &TestTenant, id: i64) -> Answer {
    tenant.api.get(&format!("{PATH}/{id}/content")).await
}
