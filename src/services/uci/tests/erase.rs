use super::{HOUR, NOW, TestUci, impact, keyed, search};
use crate::domain::day::DAY_MS;
use crate::domain::uci::alert_filter::AlertFilter;
use crate::registry::tenants::Tenant;
use crate::services::auth::Actor;
use crate::services::uci::{Erased, ResetRuleRequest, Retained, SearchFilters, UciError};

async fn counts(t: &TestUci, tenant: &Tenant) -> (i64, i64) {
    let mut conn = t.services.registry.read().await.unwrap();
    sqlx::query_as("SELECT (SELECT COUNT(*) FROM anomalies WHERE tenant_id = ?1), (SELECT COUNT(*) FROM alerts WHERE tenant_id = ?1)")
        .bind(tenant.key.id.get())
        .fetch_one(&mut *conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn age_counts_from_acceptance_and_what_counts_stays() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let ahead = t.accept(&a, impact("ann", 10, NOW + 300_000)).await;
    t.accept(&a, impact("bob", 10, NOW - 200 * DAY_MS)).await;
    t.services.reset_users(&Actor::command_line(), &a, vec!["ann".to_owned(), "bob".to_owned()]).await.unwrap();
    let none = Retained::default();
    t.clock.set(NOW + 90 * DAY_MS - 1);
    assert_eq!(t.services.retain_uci().await.unwrap(), none);
    t.clock.set(NOW + 90 * DAY_MS);
    assert_eq!(t.services.retain_uci().await.unwrap(), Retained { anomalies: 2, alerts: 4, ..none });
    assert!(t.services.uci_anomaly(&a, ahead.id).await.is_ok(), "it could still count under the longest window");
    assert_eq!(t.score(&a, "ann").await, 1000, "and is still void");
    t.clock.set(NOW + 90 * DAY_MS + 300_000);
    assert_eq!(t.services.retain_uci().await.unwrap(), Retained { anomalies: 2, ..none });
    assert_eq!(counts(&t, &a).await, (0, 0));
    assert_eq!(t.score(&a, "ann").await, 1000, "once known, always known");
}

#[tokio::test]
async fn an_erased_user_is_unknown_again() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let actor = Actor::command_line();
    for tenant in [&a, &b] {
        t.accept(tenant, keyed(impact("Ann", 400, NOW - HOUR), "k")).await;
        t.accept(tenant, impact("bob", 1, NOW - HOUR)).await;
    }
    t.services.reset_users(&actor, &a, vec!["ann".to_owned()]).await.unwrap();
    let rule = ResetRuleRequest {
        name: "r".to_owned(),
        users: vec!["Ann".to_owned(), "b*".to_owned()],
        schedule: "daily".to_owned(),
        at: "00:00".to_owned(),
        weekday: None,
        day_of_month: None,
        enabled: true,
    };
    let only = ResetRuleRequest { users: vec!["ann".to_owned()], ..rule.clone() };
    t.services.create_reset_rule(&actor, &a, rule).await.unwrap();
    t.services.create_reset_rule(&actor, &a, only).await.unwrap();

    let erased = t.services.erase_uci_user(&a, "ann").await.unwrap();
    assert_eq!(erased, Erased { anomalies: 2, alerts: 5, evidence_files: 0 });
    assert!(matches!(t.services.explain_user(&a, "ann").await, Err(UciError::UnknownUsers(_))));
    let filter = SearchFilters { users: Some(vec!["ann".to_owned()]), ..SearchFilters::default() };
    assert_eq!(t.services.search_uci_anomalies(&a, search(filter)).await.unwrap().total, 0);
    assert_eq!((counts(&t, &a).await, counts(&t, &b).await), ((1, 1), (2, 4)));
    let rules = t.services.reset_rules(&a).await.unwrap();
    assert_eq!(rules.iter().map(|rule| rule.rule.users.join(",")).collect::<Vec<_>>(), ["b*"]);
    assert_eq!(t.services.erase_uci_user(&a, "ann").await.unwrap(), Erased::default());
    let again = t.try_accept(&a, keyed(impact("ANN", 7, NOW), "k")).await.unwrap();
    assert_eq!((again.replayed, again.anomaly.user.as_str()), (false, "ANN"), "the key is forgotten too");
    assert_eq!(t.score(&b, "ann").await, 600);
}

#[tokio::test]
async fn a_dropped_tenant_leaves_nothing_of_the_index() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    for tenant in [&a, &b] {
        t.accept(tenant, keyed(impact("Ann", 400, NOW), "k")).await;
        t.services.export_alerts(tenant, "i", crate::services::uci::ExportOperation::Next).await.unwrap();
    }
    t.services.drop_tenant(&Actor::command_line(), a.key.id).await.unwrap();
    let mut conn = t.services.registry.read().await.unwrap();
    for table in ["uci_anomalies", "monitored_users", "alert_cursors", "impact_keys"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut *conn).await.unwrap(), 1, "{table}");
    }
    drop(conn);
    let again = t.tenant(1).await;
    assert_eq!(t.services.alerts(&again, AlertFilter::default(), 0, 10).await.unwrap().total, 0);
    assert!(!t.try_accept(&again, keyed(impact("ann", 1, NOW), "k")).await.unwrap().replayed);
}
