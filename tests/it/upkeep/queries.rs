//! Queries beside upkeep: each gives the answer of one snapshot.

use std::sync::Arc;

use futures::TryStreamExt;

use anomalake::query::filter::ActivityFilter;
use anomalake::registry::settings::Overrides;
use anomalake::services::upkeep::{Command, UpkeepStep};

use super::{by_hand, server, status};
use crate::support::records::activity;
use crate::support::{DAY_MS, HOUR_MS, TestServer, TestTenant};

const EVERYTHING: ActivityFilter = ActivityFilter { from_ms: 0, to_ms: i64::MAX, user_key: None, condition: None };

/// Twelve files in each of two days, the older of which has expired.
async fn two_days(server: &TestServer, tenant: &TestTenant) {
    let now_ms = server.clock_ms();
    for n in 0..12 {
        let record = |days: i64| activity(now_ms - days * DAY_MS, "ann", &format!("{days}-{n}"));
        tenant.ingest(&[record(30), record(2)]).await;
    }
    let limits = Overrides {
        availability_delay_ms: Some(0),
        recency_ms: Some(DAY_MS),
        activity_retention_ms: Some(20 * DAY_MS),
        ..Overrides::default()
    };
    server.limit(tenant, limits).await;
    server.clock.advance(2 * DAY_MS + HOUR_MS);
}

#[tokio::test]
async fn a_query_that_began_before_reads_to_its_end_what_it_began_with() {
    let (server, tenant) = server().await;
    two_days(&server, &tenant).await;
    let services = &server.owner.services;
    let table = services.lake.table(services.tenant(tenant.id).await.unwrap().key).await.unwrap();
    // Planned, and not a single data file opened yet.
    let (planned, _) = services.engine.activities(&table, &EVERYTHING).await.unwrap();
    by_hand(services, &tenant, Command::Compact).await;
    let (between, _) = services.engine.activities(&table, &EVERYTHING).await.unwrap();
    let dropped = by_hand(services, &tenant, Command::Retain).await;
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    let vacuumed = by_hand(services, &tenant, Command::Vacuum).await;
    let [UpkeepStep::Delete { files: 0, waiting_files: 25, .. }] = vacuumed[..] else { panic!("{vacuumed:?}") };
    let rows = async |frame: datafusion::dataframe::DataFrame| {
        let batches: Vec<_> = frame.execute_stream().await.unwrap().try_collect().await.unwrap();
        batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!((rows(planned).await, rows(between).await), (24, 24));
    let (after, _) = services.engine.activities(&table, &EVERYTHING).await.unwrap();
    assert_eq!(rows(after).await, 12);
    // Nobody reads any more, so now they go.
    let vacuumed = by_hand(services, &tenant, Command::Vacuum).await;
    let [UpkeepStep::Delete { files: 25, waiting_files: 0, .. }] = vacuumed[..] else { panic!("{vacuumed:?}") };
    assert_eq!(server.stored_files().len(), 1);
    assert_eq!(tenant.stored().await.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_during_upkeep_are_those_of_before_or_after() {
    let (server, tenant) = server().await;
    two_days(&server, &tenant).await;
    let id = tenant.everything().await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    let asking = {
        let (api, path) = (tenant.api.clone(), path.clone());
        tokio::spawn(async move {
            let mut counts = Vec::new();
            while counts.last() != Some(&12) {
                counts.push(api.get(&path).await.expect(200).column("fileName").len());
            }
            counts
        })
    };
    let services = Arc::clone(&server.owner.services);
    for command in [Command::Compact, Command::Vacuum, Command::Retain, Command::Vacuum] {
        by_hand(&services, &tenant, command).await;
    }
    let counts = asking.await.unwrap();
    assert!(counts.iter().all(|rows| *rows == 24 || *rows == 12), "{counts:?}");
    assert!(counts.is_sorted_by(|a, b| a >= b), "an answer from before came after: {counts:?}");
}

#[tokio::test]
async fn evidence_that_is_replaced_stays_for_statements_that_began_before() {
    let (server, tenant) = server().await;
    server.limit(&tenant, Overrides { availability_delay_ms: Some(0), ..Overrides::default() }).await;
    let services = &server.owner.services;
    let now_ms = server.clock_ms();
    tenant.ingest(&[activity(now_ms, "ann", "a")]).await;
    let id = tenant.anomaly(serde_json::json!({ "user": "ann", "from": now_ms, "to": now_ms + DAY_MS })).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["a"]);
    let table = services.lake.table(services.tenant(tenant.id).await.unwrap().key).await.unwrap();
    let session = table.read_store();
    tenant.ingest(&[activity(now_ms + 1, "ann", "b")]).await;
    assert_eq!(tenant.query(id).await.column("fileName").len(), 2);
    by_hand(services, &tenant, Command::Vacuum).await;
    assert_eq!(server.evidence_files(), 2, "a statement may still open the old one");
    drop(session);
    by_hand(services, &tenant, Command::Vacuum).await;
    assert_eq!(server.evidence_files(), 1);
    tenant.ingest(&[activity(now_ms + 2, "ann", "c")]).await;
    assert_eq!(tenant.query(id).await.column("fileName").len(), 3);
    assert_eq!(server.evidence_files(), 1, "nobody reads");
}

#[tokio::test]
async fn compaction_changes_no_evidence() {
    let (server, tenant) = server().await;
    server.limit(&tenant, Overrides { availability_delay_ms: Some(0), ..Overrides::default() }).await;
    let now_ms = server.clock_ms();
    for n in 0..3 {
        tenant.ingest(&[activity(now_ms + n, "ann", &n.to_string())]).await;
    }
    let window = serde_json::json!({ "user": "ann", "from": now_ms, "to": now_ms + DAY_MS });
    let id = tenant.anomaly(window).await;
    let before = tenant.query(id).await;
    by_hand(&server.owner.services, &tenant, Command::Compact).await;
    assert_eq!(status(&server, &tenant).await.table.unwrap().files, 1);
    assert_eq!(tenant.query(id).await.body, before.body);
    assert_eq!(server.metric("anomalake_evidence_made_total").await, 1, "it was made anew");
}
