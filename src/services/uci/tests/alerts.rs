use std::sync::Arc;

use super::{HOUR, NOW, TestUci, impact, refused_field};
use crate::domain::day::DAY_MS;
use crate::domain::uci::alert::AlertName;
use crate::domain::uci::alert_filter::{AlertCondition, AlertField, AlertFilter};
use crate::registry::tenants::Tenant;
use crate::services::uci::ExportOperation::{From, Head, Next, Resend, Tail};
use crate::services::uci::{ExportOperation, ExportPage, UciError};

async fn export(t: &TestUci, tenant: &Tenant, operation: ExportOperation) -> ExportPage {
    t.services.export_alerts(tenant, "siem", operation).await.unwrap()
}

fn points(page: &ExportPage) -> Vec<i64> {
    page.alerts.iter().map(|alert| alert.points).collect()
}

#[tokio::test]
async fn a_cursor_reads_on_repeats_and_moves() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    assert!(matches!(t.services.export_alerts(&a, "siem", Resend).await, Err(UciError::NoPage(_))));
    assert_eq!(export(&t, &a, Next).await, ExportPage { alerts: vec![], hwm_ms: 0, full: false });
    for n in 1..=3 {
        t.accept(&a, impact("ann", n, NOW)).await;
        t.accept(&b, impact("ann", 100 + n, NOW)).await;
        t.clock.advance(HOUR);
    }
    let first = export(&t, &a, Next).await;
    assert_eq!((points(&first), first.hwm_ms, first.full), (vec![1, 2, 3], NOW + 2 * HOUR, false));
    t.accept(&a, impact("ann", 4, NOW)).await;
    assert_eq!(export(&t, &a, Resend).await, first, "what was made since is not in it");
    let t = t.reopened().await;
    assert_eq!(export(&t, &a, Resend).await, first);
    assert_eq!(points(&export(&t, &a, Next).await), [4]);
    assert_eq!(points(&export(&t, &a, Next).await), [0; 0]);
    assert_eq!(points(&export(&t, &a, Resend).await), [0; 0], "the last page was empty");
    assert_eq!(points(&export(&t, &a, From(NOW + HOUR)).await), [2, 3, 4]);
    assert_eq!(points(&export(&t, &a, From(NOW + HOUR + 1)).await), [3, 4]);
    assert_eq!(points(&export(&t, &a, Head).await), [1, 2, 3, 4]);
    assert_eq!(points(&export(&t, &a, Tail).await), [0; 0]);
    t.accept(&a, impact("ann", 5, NOW)).await;
    assert_eq!(points(&export(&t, &a, Next).await), [5]);
    let other = t.services.export_alerts(&a, "other", Next).await.unwrap();
    assert_eq!(points(&other), [1, 2, 3, 4, 5], "each index has a place of its own");
    for index in [String::new(), "x".repeat(129)] {
        assert_eq!(refused_field(t.services.export_alerts(&a, &index, Next).await), "index");
    }
}

#[tokio::test]
async fn a_time_ahead_waits_for_its_alerts() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    t.accept(&a, impact("ann", 1, NOW)).await;
    let ahead = export(&t, &a, From(NOW + HOUR)).await;
    assert_eq!((points(&ahead), ahead.hwm_ms), (vec![], NOW + HOUR));
    t.accept(&a, impact("ann", 2, NOW)).await;
    assert_eq!(points(&export(&t, &a, Next).await), [0; 0]);
    t.clock.advance(HOUR);
    t.accept(&a, impact("ann", 3, NOW)).await;
    assert_eq!(points(&export(&t, &a, Next).await), [3]);
}

#[tokio::test]
async fn a_follower_loses_and_repeats_nothing_while_alerts_are_made() {
    let t = Arc::new(TestUci::new().await);
    let a = t.tenant(1).await;
    let (writer, tenant) = (Arc::clone(&t), a.clone());
    let writing = tokio::spawn(async move {
        for n in 0..40 {
            let calls = (0..5).map(|user| writer.accept(&tenant, impact(&format!("u{user}"), 1 + n, NOW)));
            futures::future::join_all(calls).await;
        }
    });
    let mut seen = Vec::new();
    loop {
        let done = writing.is_finished();
        let page = export(&t, &a, Next).await;
        seen.extend(page.alerts.iter().map(|alert| alert.id));
        if done && page.alerts.is_empty() {
            break;
        }
    }
    writing.await.unwrap();
    let all = t.services.alerts(&a, AlertFilter::default(), 0, 10_000).await.unwrap();
    assert_eq!(seen, all.rows.iter().map(|alert| alert.id).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_readers_of_one_index_do_not_share_it() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    t.accept(&a, impact("ann", 1, NOW)).await;
    // A turn that somebody holds.
    let turn = t.services.indexes_in_use.of((a.key, "siem".to_owned()));
    let held = turn.lock().await;
    let refused = t.services.export_alerts(&a, "siem", Next).await;
    assert!(matches!(refused, Err(UciError::IndexBusy(index)) if index == "siem"));
    assert_eq!(t.services.export_alerts(&a, "other", Next).await.unwrap().alerts.len(), 1);
    drop(held);
    assert_eq!(export(&t, &a, Next).await.alerts.len(), 1);
    let both = futures::future::join(export_any(&t, &a), export_any(&t, &a)).await;
    let given: usize =
        [&both.0, &both.1].iter().filter_map(|page| page.as_ref().ok()).map(|page| page.alerts.len()).sum();
    assert_eq!(given, 0, "nobody gets an alert twice");
}

async fn export_any(t: &TestUci, tenant: &Tenant) -> Result<ExportPage, UciError> {
    t.services.export_alerts(tenant, "siem", Next).await
}

#[tokio::test]
async fn a_page_holds_10_000_alerts() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let key = a.key;
    let fill = t.services.registry.write(move |conn| {
        Box::pin(async move {
            sqlx::query(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001)
                 INSERT INTO alerts (tenant_id, incarnation, made_at_ms, name, user_key, user, activity, severity, points, score,
                     source, reason)
                 SELECT ?1, ?2, ?3 + i / 2500, 'UCI band change', 'u', 'u', '', 'Low', i, 1, '', '' FROM n",
            )
            .bind(key.id.get())
            .bind(key.incarnation)
            .bind(NOW)
            .execute(conn)
            .await?;
            Ok(())
        })
    });
    fill.await.unwrap();
    let first = export(&t, &a, Head).await;
    assert_eq!((first.alerts.len(), first.full), (10_000, true));
    assert_eq!(export(&t, &a, Resend).await.alerts, first.alerts);
    let rest = export(&t, &a, Next).await;
    assert_eq!((points(&rest), rest.full), (vec![10_001], false));
}

#[tokio::test]
async fn what_is_90_days_old_is_not_followed_any_more() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    t.accept(&a, impact("ann", 10, NOW)).await;
    t.clock.advance(HOUR);
    t.accept(&a, impact("ann", 10, NOW)).await;
    let given = async |operation| t.services.export_alerts(&a, "siem", operation).await.unwrap().alerts.len();
    assert_eq!(given(Head).await, 2);
    // No job has run.
    t.clock.set(NOW + 90 * DAY_MS);
    assert_eq!(given(Resend).await, 2, "a page is repeated as it was given");
    assert_eq!(given(From(0)).await, 1);
    assert_eq!(given(Resend).await, 1);
    assert_eq!(given(Head).await, 1);
    assert_eq!(given(Next).await, 0);
    assert_eq!(t.services.export_alerts(&a, "new", Next).await.unwrap().alerts.len(), 1);
}

#[tokio::test]
async fn filters_choose_alerts() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let first = t.accept(&a, impact("Ann", 400, NOW)).await;
    t.clock.advance(HOUR);
    t.accept(&a, impact("bob", 10, NOW)).await;
    t.accept(&b, impact("bob", 10, NOW)).await;
    let count = async |conditions: Vec<AlertCondition>| {
        let filter = AlertFilter { conditions, ..AlertFilter::default() };
        let page = t.services.alerts(&a, filter, 0, 1).await.unwrap();
        assert!(page.rows.len() <= 1);
        page.total
    };
    let condition = |field, values: &[&str]| AlertCondition {
        field,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let threshold = AlertName::Threshold.as_str();
    for (field, values, expected) in [
        (AlertField::AlertType, vec!["uba"], 4),
        (AlertField::AlertType, vec!["dlp"], 0),
        (AlertField::User, vec!["ANN "], 3),
        (AlertField::User, vec![], 0),
        (AlertField::AlertName, vec![threshold, "UCI band change"], 2),
        (AlertField::AlertName, vec!["uci"], 0),
        (AlertField::Severity, vec!["Critical"], 1),
        (AlertField::Source, vec!["OKTA"], 4),
        (AlertField::Activity, vec!["UciReset"], 0),
        (AlertField::AlertId, vec![first.alert.to_hex().as_str(), "nonsense"], 1),
    ] {
        assert_eq!(count(vec![condition(field, &values)]).await, expected, "{field:?} {values:?}");
    }
    let both = vec![condition(AlertField::User, &["ann", "bob"]), condition(AlertField::Severity, &["Informational"])];
    assert_eq!(count(both).await, 1);
    let ranged = AlertFilter { start_ms: Some(NOW + HOUR), end_ms: Some(NOW + HOUR + 1), ..AlertFilter::default() };
    assert_eq!(t.services.alerts(&a, ranged, 0, 10).await.unwrap().total, 1);
    assert_eq!(refused_field(t.services.alerts(&a, AlertFilter::default(), 0, 0).await), "limit");
    t.clock.set(NOW + 90 * DAY_MS);
    assert_eq!(t.services.alerts(&a, AlertFilter::default(), 0, 10).await.unwrap().total, 1, "90 days and gone");
}
