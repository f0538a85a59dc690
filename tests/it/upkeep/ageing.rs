//! What is dropped because of its age, and what is not.

use serde_json::json;

use anomalake::registry::settings::Overrides;
use anomalake::services::upkeep::{Command, UpkeepStep};

use super::{by_hand, server, settle, status};
use crate::support::records::activity;
use crate::support::{DAY_MS, HOUR_MS};

#[tokio::test]
async fn old_days_go_with_their_files_and_what_was_loaded_late_stays_long_enough_to_be_exported() {
    let (server, tenant) = server().await;
    let ms = |days| Some(days * DAY_MS);
    let limits = Overrides {
        availability_delay_ms: ms(1),
        recency_ms: ms(2),
        activity_retention_ms: ms(10),
        ..Overrides::default()
    };
    server.limit(&tenant, limits).await;
    let now_ms = server.clock_ms();
    tenant.ingest(&[activity(now_ms - 20 * DAY_MS, "ann", "old"), activity(now_ms, "ann", "new")]).await;
    settle(&server).await;
    assert_eq!(tenant.stored().await, ["old", "new"], "loaded today");
    // Delay, recency and a day after the ingest.
    server.clock.advance(4 * DAY_MS + HOUR_MS);
    settle(&server).await;
    assert_eq!(tenant.stored().await, ["new"]);
    assert_eq!(server.metric("anomalake_activities_expired_total").await, 1);
    // The dropped file was read as long as it was live; it is old, so it went in the same look or goes with the next.
    server.clock.advance(DAY_MS);
    settle(&server).await;
    assert_eq!(server.stored_files().len(), 1);
    server.clock.advance(10 * DAY_MS);
    settle(&server).await;
    assert_eq!((tenant.stored().await.len(), status(&server, &tenant).await.table.unwrap().days.len()), (0, 0));
    assert!(server.audit(&tenant).await.iter().all(|entry| !entry.action.starts_with("lake.")));
}

#[tokio::test]
async fn a_day_stays_as_long_as_evidence_of_it_is_served() {
    let (server, tenant) = server().await;
    let limits = Overrides {
        availability_delay_ms: Some(0),
        recency_ms: Some(2 * DAY_MS),
        activity_retention_ms: Some(10 * DAY_MS),
        ..Overrides::default()
    };
    server.limit(&tenant, limits).await;
    let first_ms = server.clock_ms();
    tenant.ingest(&[activity(first_ms, "ann", "a")]).await;
    server.clock.advance(10 * DAY_MS);
    let window = json!({ "user": "ann", "from": first_ms - DAY_MS, "to": first_ms + 90 * DAY_MS });
    let [id, late] = [tenant.anomaly(window.clone()).await, tenant.anomaly(window).await];
    assert_eq!(tenant.query(id).await.column("fileName"), ["a"]);
    // The day has expired; a row that arrives now makes the evidence be made anew, a new limit too, and the other one is
    // asked for the first time.
    server.clock.advance(DAY_MS + HOUR_MS);
    settle(&server).await;
    tenant.ingest(&[activity(server.clock_ms(), "ann", "b")]).await;
    server.limit(&tenant, Overrides { max_activities: Some(1000), ..limits }).await;
    settle(&server).await;
    for id in [id, late] {
        assert_eq!(tenant.query(id).await.column("fileName"), ["a", "b"]);
    }
    server.clock.advance(DAY_MS * 3);
    settle(&server).await;
    assert_eq!(tenant.stored().await, ["b"], "nobody is served it any more");
}

#[tokio::test]
async fn a_shorter_retention_takes_effect_at_once() {
    let (server, tenant) = server().await;
    tenant.ingest(&[activity(server.clock_ms() - 30 * DAY_MS, "ann", "old")]).await;
    server.clock.advance(18 * DAY_MS);
    settle(&server).await;
    assert_eq!(tenant.stored().await, ["old"]);
    let limits =
        Overrides { recency_ms: Some(DAY_MS), activity_retention_ms: Some(20 * DAY_MS), ..Overrides::default() };
    server.limit(&tenant, limits).await;
    settle(&server).await;
    assert_eq!(tenant.stored().await.len(), 0);
}

#[tokio::test]
async fn evidence_lives_as_long_as_it_is_served_and_anomalies_90_days() {
    let (server, tenant) = server().await;
    server.limit(&tenant, Overrides { availability_delay_ms: Some(0), ..Overrides::default() }).await;
    let now_ms = server.clock_ms();
    tenant.ingest(&[activity(now_ms, "ann", "a")]).await;
    let window = json!({ "user": "ann", "from": now_ms - DAY_MS, "to": now_ms + DAY_MS });
    let id = tenant.anomaly(window).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["a"]);
    assert_eq!(server.evidence_files(), 1);
    server.clock.advance(15 * DAY_MS);
    settle(&server).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["a"], "on its last day");
    server.clock.advance(DAY_MS + 1);
    settle(&server).await;
    assert_eq!(server.evidence_files(), 0, "forgotten, and deleted as garbage");
    assert_eq!(status(&server, &tenant).await.evidence_bytes, 0);
    tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200);
    server.clock.advance(74 * DAY_MS);
    let told = by_hand(&server.owner.services, &tenant, Command::Retain).await;
    assert!(told.contains(&UpkeepStep::RemoveAnomalies { anomalies: 1 }), "{told:?}");
    tenant.api.get(&format!("/api/v1/anomalies/{id}")).await.expect(404);
    let audit = server.audit(&tenant).await;
    assert_eq!(audit.last().map(|entry| entry.action.as_str()), Some("lake.retain"));
}
