//! `POST /api/v1/sql`.

mod attacks;
mod damage;
mod duckdb;
mod leaving;
mod limits;
mod run_sql;
mod suite;

use serde_json::{Value, json};

use crate::support::records::ndjson;
use crate::support::{Answer, Api, DAY_MS, NOW_MS, TestTenant};

/// Answers with the rows as a JSON array.
async fn ask(api: &Api, statement: &str) -> Answer {
    api.with("accept", "application/json").post_json("/api/v1/sql", &json!({ "sql": statement })).await
}

/// The rows of a statement that must run.
async fn rows(api: &Api, statement: &str) -> Value {
    ask(api, statement).await.expect(200).json()
}

/// The only value of a statement's only row.
async fn value(api: &Api, statement: &str) -> Value {
    let rows = rows(api, statement).await;
    let row = rows[0].as_object().unwrap_or_else(|| panic!("{statement}: {rows}"));
    assert_eq!((rows.as_array().unwrap().len(), row.len()), (1, 1), "{rows}");
    row.values().next().unwrap().clone()
}

/// A varied activity; equal numbers give equal activities.
fn varied(n: i64) -> Value {
    let user = ["ann@example.com", "Bob@Example.com", "cem@example.com", "dee@example.com", "ed@example.com"];
    let pick = |values: &[&str], step: i64| json!(values[usize::try_from(n / step).unwrap() % values.len()]);
    let mut activity = json!({
        "timeStamp": NOW_MS - 3 * DAY_MS + n * 97_001,
        "activityId": format!("a{n:06}"),
        "user": pick(&user, 1),
        "actionName": pick(&["Download", "Upload", "Login", "Delete", "Share"], 3),
        "serviceName": pick(&["Box", "Dropbox", "Salesforce"], 7),
        "country": pick(&["DE", "US", "IN", "BR"], 11),
        "city": pick(&["berlin", "", "mumbai", "rio, \"the\"\nbig"], 13),
        "sourceIP": format!("10.{}.{}.7", n % 3, n % 200),
        "downloadBytes": n * 1_001 % 70_000,
        "noOfObjects": f64::from(i32::try_from(n % 50).unwrap()) / 8.0,
        "deviceManaged": n % 4 == 0,
        "fileName": format!("file {}.docx", n % 300),
        "asn": n % 900,
    });
    if n % 5 == 0 {
        activity.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "country" | "fileName" | "asn"));
    }
    activity
}

/// Stores that many varied activities.
async fn store(tenant: &TestTenant, count: i64) {
    let records: Vec<Value> = (0..count).map(varied).collect();
    tenant.api.ingest(ndjson(&records)).await.expect(200);
}
