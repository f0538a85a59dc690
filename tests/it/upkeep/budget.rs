//! The budgets: small files of a day, bytes written for bytes ingested, and what idle tenants cost.

use crate::support::records::activity;
use crate::support::{DAY_MS, HOUR_MS, TestServer};

use super::{server, settle, status};

#[tokio::test]
async fn steady_small_ingests_leave_few_files_and_a_quiet_day_becomes_one() {
    let (server, tenant) = server().await;
    let start_ms = server.clock_ms();
    for n in 0..70_i64 {
        server.clock.advance(1000);
        tenant.ingest(&[activity(start_ms - DAY_MS, "ann", &n.to_string())]).await;
        // What the background does within a second of an append.
        server.owner.services.follow_appends().await;
        let table = status(&server, &tenant).await.table.unwrap();
        assert!(table.most_files_a_day <= 32, "{} files after {n} ingests", table.most_files_a_day);
    }
    settle(&server).await;
    assert!(!status(&server, &tenant).await.table.unwrap().days[0].sorted, "rows still arrive");
    server.clock.advance(HOUR_MS);
    assert_eq!(settle(&server).await, 1);
    let after = status(&server, &tenant).await;
    let table = after.table.unwrap();
    assert_eq!((table.rows, table.files, table.unsorted_days), (70, 1, 0));
    assert!(table.write_amplification <= 4.0, "{}", table.write_amplification);
    assert_eq!((after.last_error, after.last_upkeep.is_some(), after.next_upkeep.is_some()), (None, true, true));
    let [ingested, merged, sorted] = ["ingested", "merged", "sorted"].map(|by| format!("anomalake_lake_bytes_{by}"));
    let (ingested, merged, sorted) =
        (server.metric(&ingested).await, server.metric(&merged).await, server.metric(&sorted).await);
    assert!(ingested > 0 && merged > 0 && sorted > 0, "{ingested} {merged} {sorted}");
    assert!(ingested + merged + sorted <= 4 * ingested, "{ingested} {merged} {sorted}");
    // Nothing more happens until something arrives.
    server.clock.advance(2 * DAY_MS);
    let version = table.version;
    settle(&server).await;
    assert_eq!(status(&server, &tenant).await.table.unwrap().version, version);
    assert_eq!(tenant.stored().await.len(), 70);
}

#[tokio::test]
async fn tenants_without_activities_are_looked_at_without_being_opened() {
    let server = TestServer::start().await;
    for id in 1..=20 {
        server.tenant(id).await;
    }
    assert_eq!(settle(&server).await, 0);
    assert_eq!((server.owner.services.lake.open_tables(), server.stored_files().len()), (0, 0));
    server.clock.advance(HOUR_MS);
    assert!(server.owner.services.upkeep_next().await.unwrap().is_none(), "nobody is due within a day");
}

#[tokio::test]
async fn what_is_due_is_known_after_a_restart() {
    let (server, tenant) = server().await;
    settle(&server).await;
    tenant.ingest(&[activity(server.clock_ms() - DAY_MS, "ann", "a")]).await;
    server.owner.services.follow_appends().await;
    assert!(server.owner.services.upkeep_next().await.unwrap().is_none());
    let server = server.restart().await;
    server.clock.advance(HOUR_MS);
    assert_eq!(settle(&server).await, 1);
    assert_eq!(status(&server, &tenant.at(&server)).await.table.unwrap().unsorted_days, 0);
}
