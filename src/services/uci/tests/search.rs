use super::{HOUR, NOW, TestUci, impact, refused_field, search};
use crate::domain::day::DAY_MS;
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::anomalies::AnomalyError;
use crate::services::auth::Actor;
use crate::services::uci::{ImpactRequest, SearchFilters, SearchRequest, UciError};

async fn found(t: &TestUci, tenant: &Tenant, request: SearchRequest) -> (i64, Vec<i64>) {
    let page = t.services.search_uci_anomalies(tenant, request).await.unwrap();
    (page.total, page.rows.iter().map(|row| row.score).collect())
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Impacts of 1, 2, 4, … points by two users, two sources, one day apart; the last one is the earliest.
async fn fill(t: &TestUci, tenant: &Tenant) -> Vec<UciAnomaly> {
    let mut stored = Vec::new();
    for n in 0..4 {
        let user = ["Ann", "bob"][n % 2];
        let source = ["OKTA", "Crowd"][n / 2].to_owned();
        let request = impact(user, 1 << n, NOW - i64::try_from(n).unwrap() * DAY_MS);
        stored.push(t.accept(tenant, ImpactRequest { source, ..request }).await);
    }
    stored
}

#[tokio::test]
async fn each_filter_alone_and_together() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let stored = fill(&t, &a).await;
    t.accept(&b, impact("ann", 500, NOW)).await;
    let filters = SearchFilters::default;
    let id = |n: usize| stored[n].id.to_hex();
    for (filters, expected) in [
        (filters(), vec![1, 2, 4, 8]),
        (SearchFilters { users: Some(texts(&[" ANN"])), ..filters() }, vec![1, 4]),
        (SearchFilters { users: Some(texts(&["ann", "BOB", "eve"])), ..filters() }, vec![1, 2, 4, 8]),
        (SearchFilters { users: Some(texts(&[])), ..filters() }, vec![]),
        (SearchFilters { sources: Some(texts(&["Crowd"])), ..filters() }, vec![4, 8]),
        (SearchFilters { sources: Some(texts(&["okta"])), ..filters() }, vec![]),
        (SearchFilters { users: Some(texts(&["bob"])), sources: Some(texts(&["Crowd", "x"])), ..filters() }, vec![8]),
        (SearchFilters { start_ms: Some(NOW - DAY_MS), end_ms: Some(NOW), ..filters() }, vec![2]),
        (SearchFilters { start_ms: Some(NOW - DAY_MS), end_ms: Some(NOW + 1), ..filters() }, vec![1, 2]),
        (SearchFilters { start_ms: Some(NOW), end_ms: Some(NOW), ..filters() }, vec![]),
        (SearchFilters { start_ms: Some(NOW), end_ms: Some(0), ..filters() }, vec![]),
        (
            SearchFilters {
                users: Some(texts(&["ann"])),
                sources: Some(texts(&["OKTA"])),
                start_ms: Some(0),
                end_ms: Some(i64::MAX),
                ..filters()
            },
            vec![1],
        ),
        (
            SearchFilters {
                anomaly_ids: Some(vec![id(3), id(1), stored[0].id.to_incident(), "x".into()]),
                ..filters()
            },
            vec![1, 2, 8],
        ),
        (SearchFilters { anomaly_ids: Some(texts(&["a1ffffffffffffffffffffff", "", "0"])), ..filters() }, vec![]),
    ] {
        let total = i64::try_from(expected.len()).unwrap();
        assert_eq!(found(&t, &a, search(filters.clone())).await, (total, expected), "{filters:?}");
    }
    let foreign = SearchFilters { anomaly_ids: Some(vec![id(0)]), ..filters() };
    assert_eq!(found(&t, &b, search(foreign)).await, (0, vec![]));
    assert!(matches!(t.services.uci_anomaly(&b, stored[0].id).await, Err(UciError::UnknownAnomaly)));
}

#[tokio::test]
async fn activities_are_told_apart() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    fill(&t, &a).await;
    t.services.reset_users(&Actor::command_line(), &a, vec!["ann".to_owned()]).await.unwrap();
    for (activity, expected) in [
        (None, vec![1, 2, 4, 8, 0]),
        (Some("ActivityForUciImpactAPI"), vec![1, 2, 4, 8]),
        (Some("UciReset"), vec![0]),
        (Some("ucireset"), vec![]),
    ] {
        let request = SearchRequest { activity: activity.map(str::to_owned), ..search(SearchFilters::default()) };
        assert_eq!(found(&t, &a, request).await.1, expected);
    }
}

#[tokio::test]
async fn wrong_requests_are_refused_by_field() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let filters = SearchFilters::default;
    let ids = Some(texts(&["1"]));
    for (wrong, expected) in [
        (search(SearchFilters { start_ms: Some(0), ..filters() }), "endTime"),
        (search(SearchFilters { end_ms: Some(0), ..filters() }), "startTime"),
        (search(SearchFilters { anomaly_ids: ids.clone(), users: Some(texts(&[])), ..filters() }), "anomalyId"),
        (search(SearchFilters { anomaly_ids: ids, start_ms: Some(0), ..filters() }), "anomalyId"),
        (SearchRequest { limit: 0, ..search(filters()) }, "limit"),
        (SearchRequest { limit: 10_001, ..search(filters()) }, "limit"),
        (SearchRequest { limit: -1, ..search(filters()) }, "limit"),
        (SearchRequest { offset: -1, ..search(filters()) }, "offset"),
    ] {
        assert_eq!(refused_field(t.services.search_uci_anomalies(&a, wrong).await), expected);
    }
    for limit in [1, 1000, 10_000] {
        let request = SearchRequest { limit, ..search(filters()) };
        assert_eq!(found(&t, &a, request).await, (0, vec![]));
    }
}

#[tokio::test]
async fn nothing_older_than_90_days_is_found_to_the_ms() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let edge = NOW - 90 * DAY_MS;
    t.accept(&a, impact("ann", 1, edge - 1)).await;
    let kept = t.accept(&a, impact("ann", 2, edge)).await;
    t.accept(&a, impact("ann", 3, NOW + 1)).await;
    let range = |start, end| SearchFilters { start_ms: Some(start), end_ms: Some(end), ..SearchFilters::default() };
    assert_eq!(found(&t, &a, search(SearchFilters::default())).await.1, [2, 3]);
    assert_eq!(found(&t, &a, search(range(0, i64::MAX))).await.1, [2, 3]);
    assert_eq!(found(&t, &a, search(range(0, edge))).await.1, [0; 0]);
    assert_eq!(found(&t, &a, search(range(0, edge + 1))).await.1, [2]);
    let by_id = SearchFilters { anomaly_ids: Some(vec![kept.id.to_hex()]), ..SearchFilters::default() };
    assert_eq!(found(&t, &a, search(by_id.clone())).await.1, [2]);
    t.clock.advance(1);
    assert_eq!(found(&t, &a, search(by_id)).await.1, [0; 0]);
    assert_eq!(t.services.uci_anomaly(&a, kept.id).await.unwrap(), kept, "by its id it is shown as long as it is kept");
}

#[tokio::test]
async fn pages_neither_lose_nor_repeat_while_others_are_stored() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    for n in 0..30 {
        t.accept(&a, impact("ann", 1 + n, NOW - n * HOUR)).await;
    }
    let mut seen = Vec::new();
    for page in 0.. {
        let request = SearchRequest { offset: page * 7, limit: 7, ..search(SearchFilters::default()) };
        let rows = t.services.search_uci_anomalies(&a, request).await.unwrap().rows;
        seen.extend(rows.iter().map(|row| (row.created_at_ms, row.id)));
        if rows.len() < 7 {
            break;
        }
        t.clock.advance(-HOUR);
        t.accept(&a, impact("ann", 900, NOW - 80 * DAY_MS)).await;
    }
    assert_eq!(seen.len(), 34);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn anomalies_of_other_kinds_are_none_of_the_index() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let new = crate::registry::anomalies::NewAnomaly::of_user("ann", 0, 1, NOW);
    let other: Result<_, AnomalyError> = t.services.create_anomaly(&Actor::command_line(), &a, new).await;
    let id = other.unwrap().id;
    assert!(matches!(t.services.uci_anomaly(&a, id).await, Err(UciError::UnknownAnomaly)));
    assert_eq!(found(&t, &a, search(SearchFilters::default())).await, (0, vec![]));
}
