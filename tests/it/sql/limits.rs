//! A statement over a limit spills or fails with the limit's name, and never hangs.

use std::time::Duration;

use serde_json::json;

use super::{ask, rows, store, value};
use crate::support::{TestServer, TestTenant};

const MIB: u64 = 1 << 20;

async fn with_memory(memory: u64) -> (TestServer, TestTenant) {
    let server = TestServer::start_with(|settings| settings.sql.memory = memory).await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    (server, tenant)
}

/// The code of a statement that runs into a limit.
async fn limited(tenant: &TestTenant, statement: &str) -> String {
    let answer = ask(&tenant.api, statement).await.expect(422).json();
    assert!(
        answer["message"].as_str().unwrap().contains("limit") || answer["message"].as_str().unwrap().contains("sql."),
        "{answer}"
    );
    answer["code"].as_str().unwrap().to_owned()
}

/// How often what could wait for ever is asked; 10 times by default.
const RUNS: &str = "ANOMALAKE_TEST_RUNS";

/// 2.25 million rows.
const CROSS: &str = "activities a, activities b";

#[tokio::test(flavor = "multi_thread")]
async fn a_sort_and_an_aggregation_spill() {
    let (server, tenant) = with_memory(32 * MIB).await;
    let sorted = format!(
        "SELECT count(*) AS n, max(x) AS x FROM (SELECT a.activityId || b.activityId AS x, row_number() OVER (ORDER BY a.activityId || b.activityId) AS r FROM {CROSS}) WHERE r % 2 = 0"
    );
    let distinct = format!(
        "SELECT count(*) AS n, max(x) AS x FROM (SELECT DISTINCT a.activityId || b.activityId AS x FROM {CROSS})"
    );
    for (statement, n) in [(sorted, 1_125_000), (distinct, 2_250_000)] {
        let found = rows(&tenant.api, &statement).await;
        assert_eq!(found, json!([{ "n": n, "x": "a001499a001499" }]), "{statement}");
    }
    assert_eq!(server.metric("anomalake_sql_temp_bytes").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_spill_fails_with_the_limit_s_name() {
    let (_server, tenant) = with_memory(16 * MIB).await;
    let window = format!("SELECT sum(a.downloadBytes) OVER () AS s FROM {CROSS}");
    assert_eq!(limited(&tenant, &window).await, "memory_limit");
    let lists = format!("SELECT array_agg(a.activityId || b.activityId) AS l FROM {CROSS}");
    assert_eq!(limited(&tenant, &lists).await, "memory_limit");
    // A window whose frames are short keeps few rows.
    let running = format!(
        "SELECT count(*) FROM (SELECT sum(a.downloadBytes) OVER (ORDER BY a.timeStamp, b.timeStamp ROWS 5 PRECEDING) AS s FROM {CROSS})"
    );
    assert_eq!(value(&tenant.api, &running).await, 2_250_000);
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_has_its_name() {
    let server = TestServer::start_with(|settings| {
        settings.sql.memory = 24 * MIB;
        settings.sql.tenant_temp = MIB;
        settings.sql.max_result = 200_000;
        settings.sql.timeout = Duration::from_secs(20);
    })
    .await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    let sorted = format!("SELECT a.activityId || b.activityId AS x FROM {CROSS} ORDER BY x");
    assert_eq!(limited(&tenant, &sorted).await, "temp_limit");
    let body = json!({ "sql": format!("SELECT count(*) FROM {CROSS}, activities c WHERE a.asn * b.asn = c.asn * c.asn + 7"), "timeout": "100ms" });
    let late = tenant.api.post_json("/api/v1/sql", &body).await.expect(422).json();
    assert_eq!(late["code"], "timed_out");
    assert!(late["message"].as_str().unwrap().contains("sql.timeout"), "{late}");
    // After the first byte a limit ends the body without its end.
    let body = json!({ "sql": "SELECT * FROM activities" }).to_string();
    let broken = tenant.api.open("POST", "/api/v1/sql", body).await.unwrap();
    assert_eq!(broken.response.status(), 200);
    assert!(broken.rest().await.is_err(), "a cut-off answer looks complete");
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 1_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_share_their_tenant_s_memory() {
    let server = TestServer::start_with(|settings| {
        settings.sql.memory = 200 * MIB;
        settings.sql.tenant_memory = 100 * MIB;
        settings.queue_timeout = Duration::from_millis(50);
    })
    .await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(7).await);
    store(&tenant, 1_500).await;
    let answer = tenant
        .api
        .open("POST", "/api/v1/sql", json!({ "sql": format!("SELECT a.* FROM {CROSS}") }).to_string())
        .await
        .unwrap();
    assert_eq!(answer.response.status(), 200);
    // The tenant's memory is taken by the floor of the first.
    let busy = ask(&tenant.api, "SELECT 1").await.expect(429);
    assert!(busy.header("retry-after").is_some());
    assert_eq!(value(&other.api, "SELECT 1").await, 1);
    drop(answer);
    let lists = format!("SELECT array_agg(a.activityId || b.activityId || repeat('x', 60)) AS l FROM {CROSS}");
    let mut refused = ask(&tenant.api, &lists).await;
    while refused.json()["code"] == "busy" {
        refused = ask(&tenant.api, &lists).await;
    }
    assert_eq!(refused.expect(429).json()["code"], "tenant_memory_limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distinct_count_under_the_smallest_pool_ends_every_time() {
    let server = TestServer::start_with(|settings| {
        settings.sql.memory = 16 * MIB;
        // Far more than it takes, and less than for ever.
        settings.sql.timeout = Duration::from_mins(2);
    })
    .await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    let distinct = "SELECT count(DISTINCT a.activityId || (b.asn % 40)::varchar) AS n FROM activities a, activities b";
    let runs = std::env::var(RUNS).map_or(10, |runs| runs.parse().expect(RUNS));
    for run in 0..runs {
        let answer = ask(&tenant.api, distinct).await;
        let ended = answer.status == 200 || (answer.status == 422 && answer.json()["code"] == "memory_limit");
        assert!(ended, "run {run}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_exports_is_not_that_of_statements() {
    let server = TestServer::start_with(|settings| settings.export_timeout = Duration::from_nanos(1)).await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    assert_eq!(rows(&tenant.api, "SELECT * FROM activities").await.as_array().unwrap().len(), 1_500);
    let body = json!({ "sql": "SELECT * FROM activities", "format": "csv" });
    let id = tenant.api.post_json("/api/v1/exports", &body).await.expect(202).json()["id"].clone();
    anomalake::jobs::make_all_exports(&server.owner.services).await;
    let shown = tenant.api.get(&format!("/api/v1/exports/{id}")).await.expect(200).json();
    assert_eq!((&shown["state"], &shown["rows"]), (&json!("ready"), &json!(1_500)), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_files_have_a_limit_of_the_server_s_and_the_disk_s() {
    let sorted = format!("SELECT a.activityId || b.activityId AS x FROM {CROSS} ORDER BY x");
    let server = TestServer::start_with(|settings| {
        settings.sql.memory = 24 * MIB;
        settings.sql.server_temp = MIB;
    })
    .await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    let refused = ask(&tenant.api, &sorted).await.expect(429);
    assert_eq!(refused.json()["code"], "server_temp_limit");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.metric("anomalake_sql_temp_bytes").await, 0);
    let server = server
        .restart_with(|settings| {
            settings.sql.server_temp = 1 << 40;
            settings.min_free_disk = u64::MAX;
        })
        .await;
    let tenant = tenant.at(&server);
    assert_eq!(ask(&tenant.api, &sorted).await.expect(507).json()["code"], "disk_full");
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 1_500);
}
