//! Tests of the evidence table.

use super::anomalies::{self, NewAnomaly};
use super::evidence::*;
use super::settings::{self, Limits, Overrides, SettingsChange};
use super::tenants::{self, TenantError};
use super::testing::TestRegistry;
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

async fn add(t: &TestRegistry, tenant: TenantKey, created_at_ms: i64) -> AnomalyId {
    let new = NewAnomaly::of_user("u", 0, 1, created_at_ms);
    let write = t
        .registry
        .write(move |conn| Box::pin(async move { anomalies::create(conn, tenant, &new, created_at_ms).await }));
    write.await.unwrap().id
}

fn file(number: i64) -> EvidenceFile {
    EvidenceFile {
        number,
        file: format!("day=2026-01-01/1-{number}.parquet"),
        rows: 11,
        bytes: 1234,
        sha256: "ab".repeat(32),
        lake_version: 9,
        row_cap: 100_000,
        made_at_ms: 77,
    }
}

async fn commit(t: &TestRegistry, tenant: TenantKey, id: AnomalyId, made: EvidenceFile) -> bool {
    t.registry.write(move |conn| Box::pin(async move { commit_file(conn, tenant, id, &made).await })).await.unwrap()
}

async fn fail(t: &TestRegistry, tenant: TenantKey, id: AnomalyId, next_ms: i64) {
    let write = t.registry.write(move |conn| {
        Box::pin(async move {
            let number = get(conn, tenant, id).await?.map_or(1, |e| e.next_number());
            record_failure(conn, tenant, id, number, "no memory", next_ms).await
        })
    });
    write.await.unwrap();
}

async fn read(t: &TestRegistry, tenant: TenantKey, id: AnomalyId) -> Evidence {
    get(&mut t.registry.read().await.unwrap(), tenant, id).await.unwrap().unwrap()
}

#[tokio::test]
async fn numbers_only_rise_and_the_late_attempt_loses() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let id = add(&t, a, 0).await;
    assert!(!commit(&t, b, id, file(1)).await, "another tenant's anomaly");
    assert!(commit(&t, a, id, file(1)).await);
    assert!(!commit(&t, a, id, file(1)).await);
    fail(&t, a, id, 5).await;
    let after_failure = read(&t, a, id).await;
    assert_eq!((after_failure.next_number(), after_failure.attempts), (3, 1));
    assert_eq!(after_failure.state(), EvidenceState::Ready);
    assert!(!commit(&t, a, id, file(2)).await);
    assert!(commit(&t, a, id, file(3)).await);
    let evidence = read(&t, a, id).await;
    assert_eq!(evidence.file, Some(file(3)));
    assert_eq!((evidence.attempts, evidence.last_error), (0, None));
    let mut conn = t.registry.read().await.unwrap();
    assert_eq!(all_files(&mut conn, a).await.unwrap(), [file(3).file]);
    assert!(all_files(&mut conn, b).await.unwrap().is_empty());
    assert!(get(&mut conn, b, id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reset_makes_everything_pending_and_attempts_under_way_void() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let id = add(&t, a, 0).await;
    let reset = async || t.registry.write(move |conn| Box::pin(reset(conn, a, id))).await.unwrap();
    assert!(commit(&t, a, id, file(1)).await);
    for _ in 0..3 {
        fail(&t, a, id, 99).await;
    }
    let under_way = read(&t, a, id).await.next_number();
    assert_eq!(reset().await, Some(file(1).file));
    let evidence = read(&t, a, id).await;
    assert_eq!((evidence.state(), evidence.next_attempt_at_ms), (EvidenceState::Pending, 0));
    assert!(!commit(&t, a, id, file(under_way)).await);
    let fails = t.registry.write(move |conn| Box::pin(record_failure(conn, a, id, under_way, "late", 5)));
    fails.await.unwrap();
    assert_eq!(read(&t, a, id).await, evidence);
    assert_eq!(reset().await, None);
    assert!(commit(&t, a, id, file(under_way + 2)).await);
}

#[tokio::test]
async fn the_third_failure_is_final() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let id = add(&t, a, 0).await;
    for expected in [EvidenceState::Pending, EvidenceState::Pending, EvidenceState::Failed] {
        fail(&t, a, id, 0).await;
        assert_eq!(read(&t, a, id).await.state(), expected);
    }
    assert_eq!(read(&t, a, id).await.last_error.as_deref(), Some("no memory"));
    let defaults = Limits { availability_delay_ms: 0, ..Limits::default() };
    let mut conn = t.registry.read().await.unwrap();
    assert!(due_without_file(&mut conn, &defaults, 1, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn due_is_each_tenants_own_rule() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let set = async |tenant: TenantKey, anomalous_activity, availability_delay_ms, now_ms| {
        let overrides = Overrides { availability_delay_ms, ..Default::default() };
        let change = SettingsChange { anomalous_activity: Some(anomalous_activity), overrides, ..Default::default() };
        let update = t.registry.try_write(move |conn| {
            Box::pin(async move {
                settings::update(conn, tenant.id, &change, &Limits::default(), now_ms).await?;
                Ok::<_, TenantError>(())
            })
        });
        update.await.unwrap();
    };
    set(a, true, None, 0).await;
    set(b, true, Some(5), 50).await;
    let defaults = Limits { availability_delay_ms: 100, recency_ms: 1000, ..Limits::default() };
    let (of_a, of_b) = (add(&t, a, 50).await, add(&t, b, 50).await);
    let due = |now_ms| {
        let t = &t;
        async move {
            let mut conn = t.registry.read().await.unwrap();
            let due = due_without_file(&mut conn, &defaults, now_ms, 10).await.unwrap();
            due.iter().map(|a| a.id).collect::<Vec<_>>()
        }
    };
    assert_eq!(due(54).await, []);
    assert_eq!(due(55).await, [of_b]);
    assert_eq!(due(149).await, [of_b]);
    assert_eq!(due(150).await, [of_a, of_b]);
    assert_eq!(due(1050).await, [of_a, of_b]);
    assert_eq!(due(1051).await, []);
    fail(&t, b, of_b, 160).await;
    assert_eq!(due(159).await, [of_a]);
    assert_eq!(due(160).await, [of_a, of_b]);
    assert!(commit(&t, a, of_a, file(1)).await);
    assert_eq!(due(160).await, [of_b]);
    set(b, false, None, 160).await;
    assert_eq!(due(160).await, [], "the feature is off");
    set(b, true, None, 51).await;
    assert_eq!(due(160).await, [], "created before the feature was switched on");
    set(b, false, None, 51).await;
    set(b, true, None, 50).await;
    assert_eq!(due(160).await, [of_b]);
    let drop = t.registry.try_write(move |conn| Box::pin(async move { tenants::begin_drop(conn, b.id).await }));
    drop.await.unwrap();
    assert_eq!(due(160).await, []);
}
