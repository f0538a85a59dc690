use super::{HOUR, NOW, TestUci, impact, refused_field};
use crate::domain::day::DAY_MS;
use crate::domain::uci::band::Band;
use crate::registry::uci::records::UciActivity;
use crate::services::auth::Actor;
use crate::services::uci::{
    ActiveRequest, BandCounts, MAX_DAYS, UciError, UserActivityRequest, UserConfidences, UsersRequest,
};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn every_user_asked_has_an_entry_in_the_order_asked() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    t.accept(&a, impact("Ann@x.example", 40, NOW - 2 * DAY_MS)).await;
    t.accept(&b, impact("bob", 40, NOW)).await;
    let asked = names(&["bob", " ANN@x.example", "nobody", "ann@x.example"]);
    let found = t.services.confidences(&a, asked, 0, Some(7)).await.unwrap();
    let shown: Vec<_> = found.iter().map(|f| (f.user.as_str(), f.days.len())).collect();
    assert_eq!(shown, [("bob", 0), ("Ann@x.example", 3), ("nobody", 0), ("Ann@x.example", 3)]);
    assert!(found[1].days.iter().all(|day| day.score == 960 && day.start_ms % DAY_MS == 0));
    assert_eq!(found[1].days.last().unwrap().start_ms, NOW);
    assert_eq!(t.services.confidences(&a, Vec::new(), 0, None).await.unwrap(), Vec::<UserConfidences>::new());
}

#[tokio::test]
async fn users_and_days_have_limits() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    // Seconds in place of ms: a time in 1970.
    t.accept(&a, impact("ann", 40, NOW / 1000)).await;
    let days = async |users: Vec<String>, from, cap| t.services.confidences(&a, users, from, cap).await;
    assert_eq!(days(vec!["ann".to_owned(); 512], 0, Some(7)).await.unwrap().len(), 512);
    assert_eq!(refused_field(days(vec!["ann".to_owned(); 513], 0, Some(7)).await), "users");
    assert_eq!(refused_field(days(names(&["ann"]), 0, Some(-1)).await), "capPerUser");
    let all = days(names(&["ann"]), 0, None).await.unwrap().remove(0).days;
    assert_eq!(i64::try_from(all.len()).unwrap(), NOW / DAY_MS - NOW / 1000 / DAY_MS + 1);
    assert_eq!((all[0].score, all[29].score, all[30].score), (960, 960, 1000));
    assert_eq!(days(names(&["ann"]), NOW / 1000, None).await.unwrap()[0].days, all, "fromTime in seconds is 1970 too");
    let users = usize::try_from(MAX_DAYS).unwrap() / all.len();
    assert!(days(vec!["ann".to_owned(); users], 0, None).await.is_ok());
    assert_eq!(refused_field(days(vec!["ann".to_owned(); users + 1], 0, None).await), "fromTime");
    assert!(days(names(&["ann"]), NOW + DAY_MS, Some(7)).await.unwrap()[0].days.is_empty());
}

#[tokio::test]
async fn a_reset_is_all_or_nothing_and_leaves_its_trace() {
    let t = TestUci::new().await;
    let a = t.tenant(1).await;
    let actor = Actor { principal: "a@b.example".to_owned(), address: None };
    t.accept(&a, impact("Ann", 400, NOW - HOUR)).await;
    t.accept(&a, impact("Bob", 900, NOW - HOUR)).await;
    t.accept(&a, impact("bob", 50, NOW + 60_000)).await;
    let refused = t.services.reset_users(&actor, &a, names(&["ann", "Eve", "eve", " dan"])).await;
    assert!(matches!(refused, Err(UciError::UnknownUsers(users)) if users == ["Eve", " dan"]));
    assert_eq!(t.score(&a, "ann").await, 600);
    assert_eq!(refused_field(t.services.reset_users(&actor, &a, Vec::new()).await), "users");

    let done = t.services.reset_users(&actor, &a, names(&["BOB", "ann", "bob"])).await.unwrap();
    assert_eq!(done, ["Bob", "Ann"]);
    for user in ["ann", "bob"] {
        assert_eq!(t.score(&a, user).await, 1000);
    }
    t.clock.advance(60_000);
    assert_eq!(t.score(&a, "bob").await, 1000, "accepted before, so void although it lay ahead");
    t.accept(&a, impact("bob", 70, NOW - 5 * DAY_MS)).await;
    assert_eq!(t.score(&a, "bob").await, 930, "back-dated, but accepted later");
    let explained = t.services.explain_user(&a, "BOB ").await.unwrap();
    assert_eq!((explained.user.as_str(), explained.band, explained.impacts.len()), ("Bob", Band::Good, 1));
    assert_eq!(explained.impacts[0].until_ms, NOW + 25 * DAY_MS);

    let request =
        UserActivityRequest { users: Some(names(&["bob"])), timeframe_days: 1, offset: 0, limit: 10, descending: true };
    let page = t.services.user_anomalies(&a, request.clone()).await.unwrap();
    let shown: Vec<_> = page.rows.iter().map(|row| (row.activity, row.time_ms, row.score)).collect();
    let (reset, impact) = (UciActivity::Reset, UciActivity::Impact);
    assert_eq!(shown, [(impact, NOW + 60_000, 50), (reset, NOW, 0), (impact, NOW - HOUR, 900)]);
    assert_eq!((page.total, page.rows[1].reason.as_str()), (3, "reset by a@b.example"));
    let all = UserActivityRequest { users: None, timeframe_days: 90, offset: 1, limit: 2, descending: false };
    let page = t.services.user_anomalies(&a, all).await.unwrap();
    assert_eq!((page.total, page.rows.iter().map(|row| row.score).collect::<Vec<_>>()), (6, vec![400, 900]));
    let wrong = UserActivityRequest { timeframe_days: 0, ..request };
    assert_eq!(refused_field(t.services.user_anomalies(&a, wrong).await), "timeframe");
    assert!(matches!(t.services.explain_user(&a, "eve").await, Err(UciError::UnknownUsers(_))));
}

#[tokio::test]
async fn users_are_listed_by_activity_and_band() {
    let t = TestUci::new().await;
    let (a, b) = (t.tenant(1).await, t.tenant(2).await);
    t.accept(&a, impact("Poor@x.example", 700, NOW)).await;
    t.accept(&a, impact("moderate@x.example", 400, NOW - 2 * DAY_MS)).await;
    t.accept(&a, impact("good@y.example", 10, NOW - 2 * DAY_MS - 1)).await;
    t.accept(&b, impact("other", 10, NOW)).await;
    let active = async |users: Option<Vec<String>>, band| {
        let found = t.services.active_users(&a, ActiveRequest { users, band }).await.unwrap();
        found.into_iter().map(|user| (user.user, user.score)).collect::<Vec<_>>()
    };
    let (poor, moderate) = (("Poor@x.example".to_owned(), 300), ("moderate@x.example".to_owned(), 600));
    assert_eq!(active(None, None).await, [moderate.clone(), poor.clone()]);
    assert_eq!(active(None, Some(Band::Poor)).await, std::slice::from_ref(&poor));
    assert_eq!(active(Some(names(&["MODERATE@x.example", "good@y.example"])), None).await, [moderate]);

    let listed = |request: UsersRequest| {
        let (t, a) = (&t, &a);
        async move {
            let found = t.services.users_by_band(a, request).await.unwrap();
            (found.counts, found.users.into_iter().map(|user| user.user).collect::<Vec<_>>())
        }
    };
    let counts = |poor, moderate, good| BandCounts { poor, moderate, good };
    let by = UsersRequest::default;
    assert_eq!(listed(by()).await.0, counts(1, 1, 1));
    let found = listed(UsersRequest { band: Some(Band::Poor), ..by() }).await;
    assert_eq!(found, (counts(1, 1, 1), names(&["Poor@x.example"])));
    let found = listed(UsersRequest { user_contains: Some("@X.Ex".to_owned()), ..by() }).await;
    assert_eq!(found.0, counts(1, 1, 0));
    assert_eq!(listed(UsersRequest { active_in_last_days: Some(2), ..by() }).await.0, counts(1, 1, 0));
    // What time has changed is seen before anything is written.
    t.clock.advance(29 * DAY_MS);
    assert_eq!(listed(by()).await.0, counts(1, 0, 2));
    let wrong = UsersRequest { active_in_last_days: Some(0), ..by() };
    assert_eq!(refused_field(t.services.users_by_band(&a, wrong).await), "usersActiveInLastDays");
}
