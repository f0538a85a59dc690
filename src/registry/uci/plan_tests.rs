//! Searches go along the index that finds their matches, never along the whole tenant.

use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite};

use super::alerts;
use super::records::UciActivity;
use super::search::{RecordFilter, RecordOrder, count_query, page_query};
use crate::domain::anomaly::AnomalyId;
use crate::domain::uci::alert_filter::{AlertCondition, AlertField, AlertFilter};
use crate::registry::testing::TestRegistry;

/// How the statement reads its first table.
async fn access(t: &TestRegistry, query: QueryBuilder<Sqlite>) -> String {
    let mut conn = t.registry.read().await.unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {}", query.into_string());
    let plan = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.unwrap();
    let steps: Vec<String> = plan.into_iter().map(|(_, _, _, step): (i64, i64, i64, String)| step).collect();
    let found = steps.iter().find(|step| step.starts_with("SEARCH") || step.starts_with("SCAN"));
    found.unwrap_or_else(|| panic!("{steps:?}")).clone()
}

#[tokio::test]
async fn anomalies() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    let any = RecordFilter {
        activities: UciActivity::ALL.to_vec(),
        user_keys: None,
        sources: None,
        ids: None,
        start_ms: 5,
        end_ms: i64::MAX,
    };
    let texts = || Some(vec!["x".to_owned()]);
    for (filter, wanted) in [
        (RecordFilter { ids: Some(vec![AnomalyId::MIN]), ..any.clone() }, "USING INTEGER PRIMARY KEY"),
        (RecordFilter { user_keys: texts(), ..any.clone() }, "uci_anomalies_by_user"),
        (RecordFilter { user_keys: texts(), sources: texts(), ..any.clone() }, "uci_anomalies_by_user"),
        (RecordFilter { sources: texts(), ..any.clone() }, "uci_anomalies_by_source"),
        (any.clone(), "uci_anomalies_by_time"),
    ] {
        let page = access(&t, page_query(a, &filter, RecordOrder::Accepted, 9, 0, 9)).await;
        assert!(page.contains(wanted), "{page}: {filter:?}");
        let count = access(&t, count_query(a, &filter)).await;
        assert!(count.contains(wanted), "{count}: {filter:?}");
    }
}

#[tokio::test]
async fn of_alerts() {
    let t = TestRegistry::new().await;
    let a = t.tenant(1).await;
    for (field, wanted) in [
        (AlertField::AlertId, "USING INTEGER PRIMARY KEY"),
        (AlertField::User, "alerts_by_user"),
        (AlertField::Severity, "alerts_by_time"),
    ] {
        let conditions = vec![AlertCondition { field, values: vec!["x".to_owned()] }];
        let filter = AlertFilter { conditions, ..AlertFilter::default() };
        let page = access(&t, alerts::page_query(a, &filter, 5, 0, 9)).await;
        assert!(page.contains(wanted), "{page}: {field:?}");
    }
}
