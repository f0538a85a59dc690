//! A client that leaves stops its statement, whatever that was doing: everything it held is back within a second.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{store, value};
use crate::support::api::Streaming;
use crate::support::wait::until;
use crate::support::{TestServer, TestTenant};

/// Longest time until everything is back: a second. Without optimisation one step of an operator may take longer, and
/// the other tests have the processors too.
const WITHIN: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

const GAUGES: [&str; 7] = [
    "anomalake_sql_statements",
    "anomalake_sql_pools",
    "anomalake_sql_memory_bytes",
    "anomalake_sql_temp_files",
    "anomalake_sql_temp_bytes",
    "anomalake_export_tasks",
    "anomalake_exports_running",
];

async fn gauges(server: &TestServer) -> [i64; 7] {
    let mut found = [0; 7];
    for (value, name) in found.iter_mut().zip(GAUGES) {
        *value = server.metric(name).await;
    }
    found
}

async fn server() -> (TestServer, TestTenant) {
    let server = TestServer::start_with(|settings| {
        settings.sql.tenant_statements = 1;
        settings.sql.memory = 24 << 20;
        settings.queue_timeout = Duration::from_millis(100);
    })
    .await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 3_000).await;
    (server, tenant)
}

/// Waits until everything is back, and says how long that took since `begun`.
async fn given_back(server: &TestServer, what: &str, begun: Instant) {
    until(&format!("the gauges to return to zero after {what}"), async || gauges(server).await == [0; 7]).await;
    let took = begun.elapsed();
    println!("{what}: everything back after {} ms", took.as_millis());
    assert!(took < WITHIN, "{what}: {took:?}");
}

/// Starts a statement that has no row yet and leaves once `busy` says that it is at work.
async fn leave_before_the_first_row(
    server: &TestServer,
    tenant: &TestTenant,
    what: &str,
    statement: &str,
    busy: impl Fn([i64; 7]) -> bool,
) {
    let (api, body) = (tenant.api.clone(), json!({ "sql": statement }).to_string());
    let request = tokio::spawn(async move { api.open("POST", "/api/v1/sql", body).await.map(drop) });
    until(&format!("{what} to be at work"), async || busy(gauges(server).await)).await;
    assert!(!request.is_finished(), "{what} has answered");
    request.abort();
    let begun = Instant::now();
    assert!(request.await.is_err_and(|error| error.is_cancelled()));
    given_back(server, what, begun).await;
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_mid_stream() {
    let (server, tenant) = server().await;
    let body = json!({ "sql": "SELECT a.* FROM activities a, activities b" }).to_string();
    let mut answer: Streaming = tenant.api.open("POST", "/api/v1/sql", body).await.unwrap();
    assert!(answer.chunk().await.unwrap().starts_with(b"timeStamp,"));
    let running = gauges(&server).await;
    assert_eq!((running[0], running[1], running[5], running[6]), (1, 1, 1, 1));
    // The only place is taken.
    tenant.api.post_json("/api/v1/sql", &json!({ "sql": "SELECT 1" })).await.expect(429);
    drop(answer);
    given_back(&server, "a stream", Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_planning() {
    let (server, tenant) = server().await;
    // The planner works on it for a while, and it would never end.
    let joins: Vec<String> = (1..20).map(|n| format!(" JOIN activities a{n} ON a0.tenantId = a{n}.tenantId")).collect();
    let joins = joins.concat();
    let many = format!("SELECT count(*) FROM activities a0{joins} WHERE a0.asn < -1 OR a19.asn + a0.asn < -1");
    let planned = |gauges: [i64; 7]| gauges[0] == 1 && gauges[2..5] == [0; 3];
    leave_before_the_first_row(&server, &tenant, "planning", &many, planned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_sort() {
    let (server, tenant) = server().await;
    let sort = "SELECT a.activityId || b.activityId AS x FROM activities a, activities b ORDER BY x";
    leave_before_the_first_row(&server, &tenant, "a sort", sort, |gauges| gauges[3] > 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_aggregation() {
    let (server, tenant) = server().await;
    let distinct = "SELECT count(DISTINCT a.activityId || b.activityId) FROM activities a, activities b";
    leave_before_the_first_row(&server, &tenant, "an aggregation", distinct, |gauges| gauges[2] > 1 << 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_join_that_finds_nothing() {
    let (server, tenant) = server().await;
    let nothing =
        "SELECT count(*) FROM activities a, activities b, activities c WHERE a.asn * b.asn = c.asn * c.asn + 0.5";
    leave_before_the_first_row(&server, &tenant, "a join", nothing, |gauges| gauges[2] > 0).await;
    let hashed = "SELECT count(*) FROM activities a JOIN activities b ON a.tenantId = b.tenantId
        JOIN activities c ON b.tenantId = c.tenantId WHERE a.asn + b.asn + c.asn < -1";
    leave_before_the_first_row(&server, &tenant, "a hash join", hashed, |gauges| gauges[2] > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_an_endless_recursion() {
    let (server, tenant) = server().await;
    let endless = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t";
    leave_before_the_first_row(&server, &tenant, "a recursion", endless, |gauges| gauges[1] == 1).await;
}
