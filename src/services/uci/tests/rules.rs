use super::{HOUR, NOW, TestUci, impact};
use crate::domain::day::DAY_MS;
use crate::registry::uci::records::UciActivity;
use crate::registry::uci::rules::ResetRule;
use crate::services::auth::Actor;
use crate::services::uci::{ResetRuleRequest, SearchFilters, SearchRequest, UciError};

fn rule(users: &[&str], at: &str) -> ResetRuleRequest {
    ResetRuleRequest {
        name: "nightly".to_owned(),
        users: users.iter().map(|user| (*user).to_owned()).collect(),
        schedule: "daily".to_owned(),
        at: at.to_owned(),
        weekday: None,
        day_of_month: None,
        enabled: true,
    }
}

#[tokio::test]
async fn rules_are_kept_changed_and_removed_by_their_tenant() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let actor = Actor::command_line();
    let made = t.services.create_reset_rule(&actor, &a, rule(&["*@X.example"], "02:00")).await.unwrap();
    assert_eq!((made.next_run_ms, made.rule.users.as_slice()), (Some(NOW + 2 * HOUR), &["*@x.example".to_owned()][..]));
    assert_eq!(t.services.reset_rules(&a).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(t.services.reset_rules(&b).await.unwrap(), Vec::<ResetRule>::new());
    assert!(matches!(t.services.reset_rule(&b, made.id).await, Err(UciError::UnknownRule)));

    t.clock.advance(1);
    let weekly = ResetRuleRequest {
        schedule: "weekly".to_owned(),
        weekday: Some("Monday".to_owned()),
        enabled: false,
        ..rule(&["ann"], "00:30")
    };
    let changed = t.services.replace_reset_rule(&actor, &a, made.id, weekly.clone()).await.unwrap();
    assert_eq!((changed.created_at_ms, changed.modified_at_ms, changed.next_run_ms), (NOW, NOW + 1, None));
    assert_eq!(changed.rule.schedule.weekday(), Some("monday"));
    assert_eq!(t.services.reset_rule(&a, made.id).await.unwrap(), changed);
    assert!(matches!(t.services.replace_reset_rule(&actor, &b, made.id, weekly).await, Err(UciError::UnknownRule)));
    assert!(matches!(t.services.delete_reset_rule(&actor, &b, made.id).await, Err(UciError::UnknownRule)));
    t.services.delete_reset_rule(&actor, &a, made.id).await.unwrap();
    assert!(matches!(t.services.delete_reset_rule(&actor, &a, made.id).await, Err(UciError::UnknownRule)));
    let audit = crate::registry::audit::list(&mut t.services.registry.read().await.unwrap(), a.key, 0, 10).await;
    let acts: Vec<_> = audit.unwrap().into_iter().skip(1).map(|entry| entry.action).collect();
    assert_eq!(acts, ["uci.rule.create", "uci.rule.replace", "uci.rule.delete"]);
}

#[tokio::test]
async fn a_rule_runs_at_its_time_and_once_after_downtime() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    let actor = Actor::command_line();
    // More than one step of users.
    for n in 0..70 {
        t.accept(&a, impact(&format!("user{n:02}@sales.example"), 100, NOW)).await;
    }
    t.accept(&a, impact("boss@x.example", 100, NOW)).await;
    t.accept(&b, impact("user01@sales.example", 100, NOW)).await;
    let made = t.services.create_reset_rule(&actor, &a, rule(&["*@sales.example", "nobody"], "02:00")).await.unwrap();
    let off = ResetRuleRequest { enabled: false, ..rule(&["*"], "02:00") };
    t.services.create_reset_rule(&actor, &a, off).await.unwrap();

    t.clock.set(NOW + 2 * HOUR - 1);
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 0);
    t.clock.advance(1);
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 70);
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 0);
    assert_eq!((t.score(&a, "user01@sales.example").await, t.score(&a, "user69@sales.example").await), (1000, 1000));
    assert_eq!((t.score(&a, "boss@x.example").await, t.score(&b, "user01@sales.example").await), (900, 900));

    t.clock.set(NOW + 5 * DAY_MS);
    let t = t.reopened().await;
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 70, "one run for all that were missed");
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 0);
    let ran = t.services.reset_rule(&a, made.id).await.unwrap();
    assert_eq!((ran.last_run_ms, ran.next_run_ms), (Some(NOW + 5 * DAY_MS), Some(NOW + 5 * DAY_MS + 2 * HOUR)));
    let resets = SearchRequest {
        activity: Some(UciActivity::Reset.as_str().to_owned()),
        filters: SearchFilters { users: Some(vec!["user33@sales.example".to_owned()]), ..SearchFilters::default() },
        offset: 0,
        limit: 10,
    };
    let found = t.services.search_uci_anomalies(&a, resets).await.unwrap().rows;
    let reasons: Vec<_> = found.iter().map(|reset| (reset.source.as_str(), reset.reason.as_str())).collect();
    assert_eq!(reasons, [("UCI reset rule", "rule 1: nightly"); 2]);
}

#[tokio::test]
async fn a_run_that_was_broken_off_goes_on_behind_its_last_step() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    for n in 0..70 {
        t.accept(&a, impact(&format!("user{n:02}"), 100, NOW)).await;
    }
    let made = t.services.create_reset_rule(&Actor::command_line(), &a, rule(&["*"], "02:00")).await.unwrap();
    t.clock.set(NOW + 2 * HOUR);
    let (first, done) = t.services.step_of_rule(&a, made.id).await.unwrap();
    assert_eq!((first, done), (64, false));
    let t = t.reopened().await;
    assert_eq!(t.services.run_reset_rules().await.unwrap(), 6);
}
