//! Tests of the incidents' clock, pages and changes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::AssertSqlSafe;

use super::anomalies::{self, Anomaly, NewAnomaly};
use super::anomaly_changes::{StatusStep, history, modify};
use super::incidents::{IncidentFilter, PageError, SelectedTime, count_groups, page, page_query};
use super::modified_clock::close;
use super::testing::TestRegistry;
use super::{RegistryError, evidence};
use crate::domain::incident::IncidentStatus;
use crate::domain::incident_group::GroupPrefix;
use crate::domain::modified_clock::PER_MS;
use crate::domain::tenant::TenantKey;

fn new(user: &str) -> NewAnomaly {
    NewAnomaly::of_user(user, 0, 10, 5)
}

async fn create(t: &TestRegistry, tenant: TenantKey, anomalies: Vec<NewAnomaly>, now_ms: i64) -> Vec<Anomaly> {
    let write = t.registry.write(move |conn| {
        Box::pin(async move {
            let mut created = Vec::new();
            for new in &anomalies {
                created.push(anomalies::create(conn, tenant, new, now_ms).await?);
            }
            Ok(created)
        })
    });
    write.await.unwrap()
}

async fn set_status(
    t: &TestRegistry,
    tenant: TenantKey,
    anomaly: &Anomaly,
    status: IncidentStatus,
    now_ms: i64,
) -> bool {
    let id = anomaly.id;
    let write = t.registry.write(move |conn| {
        Box::pin(async move {
            let before = anomalies::get(conn, tenant, id).await?.unwrap();
            Ok(modify(conn, &before, &before.fields(), status, "ann", now_ms).await?.is_some())
        })
    });
    write.await.unwrap()
}

async fn close_at(t: &TestRegistry, tenant: TenantKey, now_ms: i64) -> i64 {
    t.registry.write(move |conn| Box::pin(close(conn, tenant, now_ms))).await.unwrap()
}

/// Names of the users of a page.
async fn users(t: &TestRegistry, tenant: TenantKey, filter: &IncidentFilter, end_ms: i64, limit: usize) -> Vec<String> {
    let mut conn = t.registry.read().await.unwrap();
    let page = page(&mut conn, tenant, filter, end_ms, limit).await.unwrap();
    page.into_iter().filter_map(|incident| incident.anomaly.user).collect()
}

#[tokio::test]
async fn times_of_modification_come_from_the_tenants_own_clock() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let count = PER_MS as usize * 2 + 1;
    let mut given = BTreeMap::<i64, usize>::new();
    for anomaly in create(&t, a, vec![new("u"); count], 70).await {
        assert_eq!(anomaly.significant_at_ms, anomaly.modified_at_ms);
        *given.entry(anomaly.modified_at_ms).or_default() += 1;
    }
    assert_eq!(given, BTreeMap::from([(70, 1000), (71, 1000), (72, 1)]));
    let created = create(&t, b, vec![new("u")], 70).await;
    assert_eq!(created[0].modified_at_ms, 70, "another tenant's clock");
    assert_eq!(create(&t, a, vec![new("u")], 3).await[0].modified_at_ms, 72, "the machine's clock stepped back");
    assert_eq!(create(&t, a, vec![new("u")], 80).await[0].modified_at_ms, 80);
}

#[tokio::test]
async fn a_refused_write_takes_no_time() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let refused = t.registry.write(move |conn| {
        Box::pin(async move {
            anomalies::create(conn, a, &new("u"), 500).await?;
            Err::<(), _>(RegistryError::Panicked("refused".to_owned()))
        })
    });
    refused.await.unwrap_err();
    assert_eq!(create(&t, a, vec![new("u")], 70).await[0].modified_at_ms, 70);
}

#[tokio::test]
async fn a_closed_time_gains_nothing_and_closing_twice_writes_nothing() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    assert_eq!(close_at(&t, a, 70).await, 0, "nothing there yet");
    let first = create(&t, a, vec![new("first")], 70).await;
    assert_eq!(close_at(&t, a, 70).await, 70, "the current ms stays open");
    assert!(users(&t, a, &IncidentFilter::default(), 70, 10).await.is_empty());
    assert_eq!(close_at(&t, a, 71).await, 71);
    assert_eq!(close_at(&t, a, 5).await, 71);
    assert_eq!(users(&t, a, &IncidentFilter::default(), 71, 10).await, ["first"]);
    assert_eq!(create(&t, a, vec![new("late")], 70).await[0].modified_at_ms, 71);
    assert!(set_status(&t, a, &first[0], IncidentStatus::Opened, 6).await);
    let incidents = IncidentFilter { start_ms: Some(71), ..IncidentFilter::default() };
    assert_eq!(close_at(&t, a, 6).await, 72);
    assert_eq!(users(&t, a, &incidents, 72, 10).await, ["first", "late"]);
}

#[tokio::test]
async fn filters_choose_by_time_user_service_and_group() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let of = |user: &str, category: Option<&str>, services: &[&str], created_at_ms| NewAnomaly {
        category: category.map(str::to_owned),
        service_names: services.iter().map(|&s| s.to_owned()).collect(),
        created_at_ms,
        ..new(user)
    };
    let all = [
        of("Ann ", Some("Data Download"), &["Box", "Drive"], 9),
        of("bob", Some(" login FAILURE"), &["Box"], 8),
        of("cid", None, &[], 7),
        of("dee", Some("Cryptomining"), &["drive"], 6),
    ];
    for (at, new) in all.into_iter().enumerate() {
        create(&t, a, vec![new], 100 + i64::try_from(at).unwrap()).await;
    }
    create(&t, b, vec![new("other tenant")], 100).await;
    let none = IncidentFilter::default();
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let groups = |names: &[&str]| names.iter().map(|name| GroupPrefix::new(name, None)).collect::<Vec<_>>();
    for (filter, expected) in [
        (none.clone(), vec!["Ann ", "bob", "cid", "dee"]),
        (IncidentFilter { start_ms: Some(101), end_ms: Some(103), ..none.clone() }, vec!["bob", "cid"]),
        (
            IncidentFilter { selected: SelectedTime::Created, start_ms: Some(7), end_ms: Some(9), ..none.clone() },
            vec!["cid", "bob"],
        ),
        (IncidentFilter { user_keys: texts(&["ann", "dee"]), ..none.clone() }, vec!["Ann ", "dee"]),
        (IncidentFilter { service_names: texts(&["Drive"]), ..none.clone() }, vec!["Ann "]),
        (
            IncidentFilter { service_names: texts(&["Drive", "Box", "drive"]), ..none.clone() },
            vec!["Ann ", "bob", "dee"],
        ),
        (IncidentFilter { groups: groups(&["Alert.Data"]), ..none.clone() }, vec!["Ann "]),
        (IncidentFilter { groups: groups(&["Alert.Access"]), ..none.clone() }, vec!["bob", "cid", "dee"]),
        (
            IncidentFilter { groups: groups(&["Alert.Access.Other", "Alert.Data"]), ..none.clone() },
            vec!["Ann ", "cid", "dee"],
        ),
        (IncidentFilter { groups: groups(&["alert"]), ..none.clone() }, vec![]),
        (IncidentFilter { groups: groups(&["Alert"]), user_keys: texts(&["bob"]), ..none.clone() }, vec!["bob"]),
    ] {
        assert_eq!(users(&t, a, &filter, 1000, 10).await, expected, "{filter:?}");
    }
    let mut conn = t.registry.read().await.unwrap();
    let (counts, last_ms) = count_groups(&mut conn, a, &none, 1000).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|c| (c.group.name, c.count)).collect();
    assert_eq!(counts, [("Alert.Access.Other", 2), ("Alert.Access.LoginFailure", 1), ("Alert.Data.DataDownload", 1)]);
    assert_eq!(last_ms, Some(103));
    assert_eq!(count_groups(&mut conn, a, &none, 0).await.unwrap(), (vec![], None));
}

/// Pages of the table, against the rule said in words: the `limit`-th incident's ms is the page's last.
#[tokio::test]
async fn pages_end_with_a_whole_ms() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let mut times = Vec::new();
    for (now_ms, count) in [(10, 1), (11, 7), (13, 2), (14, 1), (20, 30)] {
        times.extend(create(&t, a, vec![new("u"); count], now_ms).await.iter().map(|c| c.modified_at_ms));
    }
    let mut conn = t.registry.read().await.unwrap();
    for limit in 1..50 {
        for start_ms in [0, 11, 12, 14, 21] {
            let filter = IncidentFilter { start_ms: Some(start_ms), ..IncidentFilter::default() };
            let found = page(&mut conn, a, &filter, 100, limit).await.unwrap();
            let found: Vec<_> = found.iter().map(|i| i.anomaly.modified_at_ms).collect();
            let from: Vec<_> = times.iter().copied().filter(|ms| *ms >= start_ms).collect();
            let end = from.get(limit - 1).copied().unwrap_or(i64::MAX);
            let expected: Vec<_> = from.into_iter().filter(|ms| *ms <= end).collect();
            assert_eq!(found, expected, "limit {limit} from {start_ms}");
        }
    }
}

#[tokio::test]
async fn a_page_that_cannot_end_is_refused() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    create(&t, a, vec![new("u"); 20_002], 10).await;
    let mut conn = t.registry.read().await.unwrap();
    let by_creation = IncidentFilter { selected: SelectedTime::Created, ..IncidentFilter::default() };
    assert!(matches!(page(&mut conn, a, &by_creation, 1000, 1).await, Err(PageError::TooManyTogether)));
    assert_eq!(page(&mut conn, a, &by_creation, 1000, 2).await.unwrap().len(), 20_002);
    assert_eq!(page(&mut conn, a, &IncidentFilter::default(), 1000, 1).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn pages_run_along_an_index_and_sort_nothing() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let mut conn = t.registry.read().await.unwrap();
    for (selected, start_ms, index) in [
        (SelectedTime::Modified, Some(1), "anomalies_by_modified"),
        (SelectedTime::Modified, None, "anomalies_by_modified"),
        (SelectedTime::Created, Some(1), "anomalies_by_created"),
        (SelectedTime::Created, None, "anomalies_by_created"),
    ] {
        let filter = IncidentFilter { selected, start_ms, ..IncidentFilter::default() };
        let sql = format!("EXPLAIN QUERY PLAN {}", page_query(a, &filter, 9).into_string());
        let plan = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.unwrap();
        let plan: Vec<_> = plan.into_iter().map(|(_, _, _, step): (i64, i64, i64, String)| step).collect();
        assert!(plan[0].contains(index), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }
}

#[tokio::test]
async fn a_status_leaves_its_history() {
    let t = TestRegistry::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let created = create(&t, a, vec![new("u")], 70).await.remove(0);
    assert!(!set_status(&t, a, &created, IncidentStatus::New, 80).await, "that is its status");
    assert!(set_status(&t, a, &created, IncidentStatus::FalsePositive, 90).await);
    assert!(set_status(&t, a, &created, IncidentStatus::New, 90).await);
    let mut conn = t.registry.read().await.unwrap();
    let step = |from, to| StatusStep { at_ms: 90, principal: "ann".to_owned(), from, to };
    let (new, false_positive) = (IncidentStatus::New, IncidentStatus::FalsePositive);
    assert_eq!(
        history(&mut conn, a, created.id).await.unwrap(),
        [step(new, false_positive), step(false_positive, new)]
    );
    assert!(history(&mut conn, b, created.id).await.unwrap().is_empty());
    let now = anomalies::get(&mut conn, a, created.id).await.unwrap().unwrap();
    assert_eq!(now, Anomaly { modified_at_ms: 90, significant_at_ms: 90, ..created });
    let status = async |conn: &mut _, status| anomalies::list(conn, a, None, Some(status), 10).await.unwrap().len();
    assert_eq!((status(&mut conn, new).await, status(&mut conn, false_positive).await), (1, 0));
}

/// Every change of a field: its name, whether it is significant, and whether it makes the evidence pending.
#[tokio::test]
async fn a_change_says_what_it_was_and_what_it_makes_worthless() {
    type Change = fn(&mut NewAnomaly);
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let cases: [(&str, bool, bool, Change); 14] = [
        ("user", true, true, |n| n.user = Some("v".to_owned())),
        ("user", false, false, |n| n.user = Some(" U".to_owned())),
        ("from", true, true, |n| n.from_ms = 1),
        ("to", true, true, |n| n.to_ms = 11),
        ("where", true, true, |n| n.where_sql = Some("TRUE".to_owned())),
        ("score", true, false, |n| n.score = Some(1.0)),
        ("category", true, true, |n| n.category = Some("Login Failure".to_owned())),
        ("source", false, false, |n| n.source = Some("s".to_owned())),
        ("reason", false, false, |n| n.reason = Some("r".to_owned())),
        ("activity", false, false, |n| n.activity = Some("a".to_owned())),
        ("value", false, false, |n| n.value = Some(2.5)),
        ("serviceNames", false, false, |n| n.service_names = vec!["Box".to_owned()]),
        ("instanceId", false, false, |n| n.instance_id = Some(7)),
        ("instanceName", false, false, |n| n.instance_name = Some("i".to_owned())),
    ];
    for (field, significant, outdates, change) in cases {
        let created = create(&t, a, vec![new("u")], 70).await.remove(0);
        let mut fields = created.fields();
        change(&mut fields);
        let (before, wanted, id) = (created.clone(), fields.clone(), created.id);
        let write = t.registry.write(move |conn| {
            Box::pin(async move {
                let made = evidence::EvidenceFile {
                    number: 1,
                    file: format!("{id}-1.parquet"),
                    rows: 0,
                    bytes: 0,
                    sha256: String::new(),
                    lake_version: 0,
                    row_cap: 1,
                    made_at_ms: 0,
                };
                evidence::commit_file(conn, a, id, &made).await?;
                let modified = modify(conn, &before, &wanted, before.status, "ann", 80).await?;
                let again = modified.clone().unwrap().anomaly;
                assert!(modify(conn, &again, &wanted, again.status, "ann", 80).await?.is_none());
                Ok((modified, evidence::get(conn, a, id).await?))
            })
        });
        let (modified, evidence) = write.await.unwrap();
        let modified = modified.unwrap();
        assert_eq!(modified.fields, [field]);
        assert_eq!(modified.anomaly.fields(), fields);
        assert!(modified.anomaly.modified_at_ms >= 80);
        let significant_at_ms = if significant { modified.anomaly.modified_at_ms } else { created.significant_at_ms };
        assert_eq!(modified.anomaly.significant_at_ms, significant_at_ms, "{field}");
        assert_eq!(modified.old_evidence.is_some(), outdates, "{field}");
        assert_eq!(evidence.unwrap().file.is_none(), outdates, "{field}");
    }
}

/// A reader who follows the cursor while a writer creates and modifies, with a clock that stands or steps.
#[test]
fn a_reader_who_follows_the_cursor_loses_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let steps =
        prop::collection::vec((0..3_u8, -2..4_i64, 1..20_usize, any::<prop::sample::Index>().prop_map(Some)), 1..40);
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    runner
        .run(&steps, |steps| {
            runtime.block_on(async {
                let t = TestRegistry::new().await;
                let a = t.tenant(1).await;
                let (mut now_ms, mut incidents) = (1000, Vec::new());
                let (mut cursor, mut seen) = (None, BTreeMap::new());
                for (kind, clock, count, which) in steps.into_iter().chain((0..60).map(|_| (2, 50, 20, None))) {
                    now_ms += clock;
                    match kind {
                        0 => incidents.extend(create(&t, a, vec![new("u"); count], now_ms).await),
                        1 if !incidents.is_empty() => {
                            let anomaly = &incidents[which.map_or(0, |which| which.index(incidents.len()))];
                            let status = IncidentStatus::ALL[count % IncidentStatus::ALL.len()];
                            set_status(&t, a, anomaly, status, now_ms).await;
                        }
                        _ => {
                            let end_ms = close_at(&t, a, now_ms).await;
                            let filter = IncidentFilter { start_ms: cursor, ..IncidentFilter::default() };
                            let mut conn = t.registry.read().await.unwrap();
                            for incident in page(&mut conn, a, &filter, end_ms, count).await.unwrap() {
                                let at_ms = incident.anomaly.modified_at_ms;
                                let before = seen.insert(incident.anomaly.id, at_ms);
                                assert!(before.is_none_or(|before| before < at_ms), "seen twice");
                                cursor = Some(at_ms + 1);
                            }
                        }
                    }
                }
                let mut conn = t.registry.read().await.unwrap();
                for anomaly in incidents {
                    let now = anomalies::get(&mut conn, a, anomaly.id).await.unwrap().unwrap();
                    assert_eq!(seen.get(&now.id), Some(&now.modified_at_ms));
                }
            });
            Ok(())
        })
        .unwrap();
}
