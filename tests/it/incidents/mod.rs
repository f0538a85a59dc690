//! The incidents API: `/shnapi/rest/external/api/v1/…Incident…`.

mod following;
mod modify_incidents;
mod query_incident_groups;
mod query_incidents;

use serde_json::{Value, json};

use crate::support::{Api, TestServer, TestTenant};

const FAMILY: &str = "/shnapi/rest/external/api/v1";

/// `POST queryIncidents`; `query` is empty or `?limit=…`.
async fn query(api: &Api, query: &str, criteria: &Value) -> Value {
    let path = format!("{FAMILY}/queryIncidents{query}");
    let answer = api.post_json(&path, criteria).await.expect(200).json();
    assert_eq!((&answer["statusCode"], &answer["statusCodeValue"]), (&json!("OK"), &json!(200)));
    assert_eq!(answer["headers"], json!({}));
    assert!(answer["body"]["responseInfo"]["apiElapsedMillis"].is_u64());
    assert!(answer["body"]["responseInfo"]["nextStartTime"].is_string());
    answer["body"].clone()
}

fn incidents(body: &Value) -> &[Value] {
    body["incidents"].as_array().unwrap()
}

/// One key of every incident.
fn all<'a>(body: &'a Value, key: &str) -> Vec<&'a str> {
    incidents(body).iter().map(|incident| incident[key].as_str().unwrap_or_default()).collect()
}

/// Sets the status of incidents.
async fn set_status(tenant: &TestTenant, ids: &[i64], status: &str) -> Value {
    let changes: Vec<_> = ids
        .iter()
        .map(|id| json!({ "incidentId": format!("ANO-{id}"), "changeRequests": { "WORKFLOW_STATUS": status } }))
        .collect();
    tenant.api.post_json(&format!("{FAMILY}/modifyIncidents"), &json!(changes)).await.expect(200).json()
}

/// Creates an anomaly of one user and lets a ms go by.
async fn anomaly_then_tick(server: &TestServer, tenant: &TestTenant, user: &str, more: Value) -> i64 {
    let mut anomaly = json!({ "user": user, "from": 0, "to": 1 });
    anomaly.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let id = tenant.anomaly(anomaly).await;
    server.clock.advance(1);
    id
}
