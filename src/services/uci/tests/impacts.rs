use super::{HOUR, NOW, TestUci, impact, keyed, refused_field};
use crate::domain::anomaly::AnomalyId;
use crate::domain::day::DAY_MS;
use crate::domain::uci::alert::AlertName;
use crate::domain::uci::alert_filter::AlertFilter;
use crate::registry::evidence::EvidenceState;
use crate::registry::settings::UciOverrides;
use crate::registry::uci::records::{Allowed, UciActivity};
use crate::services::anomalies::AnomalyError;
use crate::services::anomaly_changes::{AnomalyChange, Patch};
use crate::services::auth::Actor;
use crate::services::uci::{ImpactRequest, UciError};

#[tokio::test]
async fn an_impact_is_an_anomaly_an_alert_and_a_score_at_once() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let accepted = t.accept(&a, impact(" Name@Netskope.com ", 400, NOW - HOUR)).await;
    assert_eq!((accepted.user.as_str(), accepted.user_key.as_str()), ("Name@Netskope.com", "name@netskope.com"));
    assert_eq!((accepted.activity, accepted.score, accepted.created_at_ms), (UciActivity::Impact, 400, NOW));
    assert_eq!(t.services.uci_anomaly(&a, accepted.id).await.unwrap(), accepted);
    assert_eq!(t.score(&a, "NAME@netskope.com").await, 600);

    let (anomaly, evidence) = t.services.anomaly(&a, accepted.id).await.unwrap().unwrap();
    assert_eq!((anomaly.from_ms, anomaly.to_ms, anomaly.score), (NOW - 25 * HOUR, NOW - HOUR, Some(400.0)));
    assert_eq!(evidence, None, "evidence is made on request only");
    let alerts = t.services.alerts(&a, AlertFilter::default(), 0, 10).await.unwrap().rows;
    let names: Vec<_> = alerts.iter().map(|alert| (alert.name, alert.score)).collect();
    assert_eq!(names, [AlertName::ExternalImpact, AlertName::BandChange, AlertName::Threshold].map(|n| (n, 600)));
    assert_eq!(alerts[0].id, accepted.alert);
    assert!(alerts.iter().all(|alert| alert.anomaly_id == Some(accepted.id) && alert.made_at_ms == NOW));
}

#[tokio::test]
async fn evidence_of_an_impact_is_made_when_asked_for() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let accepted = t.accept(&a, impact("ann", 1, NOW)).await;
    t.clock.advance(13 * HOUR);
    assert_eq!(t.services.make_due_evidence(10).await.unwrap(), 0);
    let (anomaly, _) = t.services.anomaly(&a, accepted.id).await.unwrap().unwrap();
    let file = t.services.evidence(&a, &anomaly).await.unwrap();
    assert_eq!(file.rows, 0);
    let (_, evidence) = t.services.anomaly(&a, accepted.id).await.unwrap().unwrap();
    assert_eq!(evidence.unwrap().state(), EvidenceState::Ready);
    t.services.erase_uci_user(&a, "ann").await.unwrap();
    assert!(!t.services.evidence_file_path(&a, &file).exists());
}

#[tokio::test]
async fn wrong_impacts_are_refused_by_field() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let good = impact("ann", 1, NOW + 300_000);
    for (wrong, expected) in [
        (ImpactRequest { user: " ".to_owned(), ..good.clone() }, "user"),
        (ImpactRequest { score: 0, ..good.clone() }, "score"),
        (ImpactRequest { score: 1001, ..good.clone() }, "score"),
        (ImpactRequest { timestamp_ms: NOW + 300_001, ..good.clone() }, "timestamp"),
        (ImpactRequest { timestamp_ms: i64::MIN, ..good.clone() }, "timestamp"),
        (ImpactRequest { timestamp_ms: i64::MAX, ..good.clone() }, "timestamp"),
        (ImpactRequest { source: String::new(), ..good.clone() }, "source"),
        (ImpactRequest { reason: "x".repeat(4097), ..good.clone() }, "reason"),
        (keyed(good.clone(), ""), "idempotencyKey"),
    ] {
        assert_eq!(refused_field(t.try_accept(&a, wrong).await), expected);
    }
    t.accept(&a, good).await;
    t.accept(&a, impact("ann", 1000, crate::domain::day::MIN_TIME_STAMP_MS)).await;
    assert_eq!(t.score(&a, "ann").await, 1000, "one is ahead, the other long over");
    t.clock.advance(300_000);
    assert_eq!(t.score(&a, "ann").await, 999);
}

#[tokio::test]
async fn a_key_takes_its_points_once_a_day() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let first = t.try_accept(&a, keyed(impact("ann", 10, NOW), "k")).await.unwrap();
    t.clock.advance(DAY_MS - 1);
    let again = t.try_accept(&a, keyed(impact("ann", 10, NOW), "k")).await.unwrap();
    assert_eq!((again.anomaly, again.replayed), (first.anomaly.clone(), true));
    let other = t.try_accept(&a, keyed(impact("ann", 11, NOW), "k")).await;
    assert!(matches!(other, Err(UciError::KeyConflict(key)) if key == "k"));
    assert!(!t.try_accept(&b, keyed(impact("ann", 11, NOW), "k")).await.unwrap().replayed, "another tenant's key");
    assert_eq!(t.score(&a, "ann").await, 990);
    t.clock.advance(1);
    assert!(!t.try_accept(&a, keyed(impact("ann", 10, NOW), "k")).await.unwrap().replayed);
    assert_eq!(t.score(&a, "ann").await, 980);
    t.services.retain_uci().await.unwrap();
    let still = t.try_accept(&a, keyed(impact("ann", 10, NOW), "k")).await.unwrap();
    assert!(still.replayed, "a key that was taken over is young again");
}

#[tokio::test]
async fn keys_of_many_callers_count_once() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let calls = (0..60).map(|n| {
        let request = keyed(impact("ann", 1 + n % 20, NOW), &format!("k{}", n % 20));
        t.try_accept(&a, request)
    });
    let answers = futures::future::join_all(calls).await;
    let new = answers.into_iter().filter(|answer| !answer.as_ref().unwrap().replayed).count();
    assert_eq!((new, t.score(&a, "ann").await), (20, 1000 - (1..=20).sum::<i64>()));
}

#[tokio::test]
async fn a_batch_answers_each_line_by_itself_and_in_order() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let mut requests: Vec<_> = (0..100).map(|n| impact(&format!("u{}", n % 7), 1 + n % 3, NOW - n)).collect();
    requests[3].score = 0;
    requests[40] = keyed(requests[40].clone(), "k");
    requests[41] = keyed(requests[41].clone(), "k");
    requests[42] = requests[40].clone();
    let answers = t.services.record_impacts(&a, requests.clone()).await;
    assert_eq!(answers.len(), 100);
    let mut ids = Vec::new();
    for (n, (answer, request)) in answers.iter().zip(&requests).enumerate() {
        match answer {
            Err(UciError::Field { field, .. }) => assert_eq!((n, *field), (3, "score")),
            Err(UciError::KeyConflict(_)) => assert_eq!(n, 41),
            Err(other) => panic!("{n}: {other:?}"),
            Ok(recorded) => {
                assert_eq!((recorded.anomaly.score, recorded.replayed), (request.score, n == 42));
                if n != 42 {
                    ids.push(recorded.anomaly.id);
                }
            }
        }
    }
    assert_eq!(ids.len(), 97);
    assert!(ids.is_sorted());
}

#[tokio::test]
async fn an_allowed_impact_gives_its_points_back_once() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let actor = Actor::command_line();
    let accepted = t.accept(&a, impact("ann", 700, NOW - DAY_MS)).await;
    t.clock.advance(HOUR);
    let allow = async |tenant, id, reason: Option<&str>| {
        t.services.allow_impact(&actor, tenant, id, reason.map(str::to_owned)).await
    };
    let allowed = allow(&a, accepted.id, Some("not an anomaly")).await.unwrap();
    assert_eq!(allowed.allowed, Some(Allowed { at_ms: NOW + HOUR, reason: Some("not an anomaly".to_owned()) }));
    assert_eq!(t.score(&a, "ann").await, 1000);
    t.clock.advance(HOUR);
    assert_eq!(allow(&a, accepted.id, Some("again")).await.unwrap(), allowed);
    let days = t.services.confidences(&a, vec!["ann".to_owned()], 0, None).await.unwrap();
    assert!(days[0].days.iter().all(|day| day.score == 1000), "it never counts, not in the past either");

    assert!(matches!(allow(&b, accepted.id, None).await, Err(UciError::UnknownAnomaly)));
    let unknown = AnomalyId::try_from(999).unwrap();
    assert!(matches!(allow(&a, unknown, None).await, Err(UciError::UnknownAnomaly)));
    t.services.reset_users(&actor, &a, vec!["ann".to_owned()]).await.unwrap();
    let reset = AnomalyId::try_from(accepted.id.get() + 1).unwrap();
    assert!(matches!(allow(&a, reset, None).await, Err(UciError::NotAnImpact)));
    let audit = crate::registry::audit::list(&mut t.services.registry.read().await.unwrap(), a.key, 0, 10).await;
    let acts: Vec<_> = audit.unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(acts, ["tenant.create", "uci.allow", "uci.reset"]);
}

#[tokio::test]
async fn what_explains_a_score_cannot_be_edited() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let id = t.accept(&a, impact("ann", 5, NOW)).await.id;
    let actor = Actor::command_line();
    let change = AnomalyChange { score: Patch::Set(1.0), ..AnomalyChange::default() };
    let refused = t.services.change_anomaly(&actor, &a, id, change).await;
    assert!(matches!(refused, Err(AnomalyError::Field { field: "score", .. })), "{refused:?}");
    let change = AnomalyChange { category: Patch::Set("Insider Threats".to_owned()), ..AnomalyChange::default() };
    assert!(t.services.change_anomaly(&actor, &a, id, change).await.is_ok());
}

#[tokio::test]
async fn time_alone_changes_scores_and_tells_it() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    t.accept(&a, impact("ann", 500, NOW)).await;
    t.accept(&a, impact("ann", 400, NOW + 60_000)).await;
    assert_eq!(t.score(&a, "ann").await, 500);
    t.clock.advance(60_000);
    assert_eq!(t.score(&a, "ann").await, 100);
    assert_eq!(t.services.settle_uci().await.unwrap(), 1);
    assert_eq!(t.services.settle_uci().await.unwrap(), 0);
    t.clock.set(NOW + 30 * DAY_MS);
    assert_eq!(t.score(&a, "ann").await, 600);
    t.set(&a, UciOverrides { window_ms: Some(DAY_MS), ..UciOverrides::default() }).await;
    assert_eq!(t.services.settle_uci().await.unwrap(), 1);
    let alerts = t.services.alerts(&a, AlertFilter::default(), 0, 100).await.unwrap().rows;
    let told: Vec<_> = alerts.iter().map(|alert| (alert.name, alert.score, alert.anomaly_id.is_some())).collect();
    let (external, band, threshold) = (AlertName::ExternalImpact, AlertName::BandChange, AlertName::Threshold);
    assert_eq!(
        told,
        [
            (external, 500, true),
            (band, 500, true),
            (threshold, 500, true),
            (external, 500, true),
            (band, 100, false),
            (band, 1000, false),
        ]
    );
}

#[tokio::test]
async fn ids_and_creation_times_never_fall_though_the_clock_does() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let mut before = t.accept(&a, impact("ann", 1, NOW)).await;
    for step in [-HOUR, 5, HOUR, -1, 2 * HOUR] {
        t.clock.advance(step);
        let next = t.accept(&a, impact("bob", 1, NOW - DAY_MS)).await;
        assert!(next.id > before.id && next.created_at_ms >= before.created_at_ms);
        before = next;
    }
}
