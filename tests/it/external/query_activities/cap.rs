//! At the cap the newest activities win.

use std::fmt::Write as _;

use anomalake::registry::settings::Overrides;
use serde_json::json;

use crate::support::records::{Seeded, activity};
use crate::support::{DELAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn of_100_001_activities_the_newest_100_000_come_in_order() {
    const ALL: i64 = 100_001;
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let first = NOW_MS - 86_400_000;
    let mut times: Vec<i64> = (first..first + ALL).collect();
    let mut seeded = Seeded::new(100_001);
    for i in (1..times.len()).rev() {
        let other = usize::try_from(seeded.below(i as u64 + 1)).unwrap();
        times.swap(i, other);
    }
    // Several files, each with times from the whole window.
    for part in times.chunks(30_000) {
        let mut body = String::new();
        for time in part {
            writeln!(body, r#"{{"timeStamp":{time},"user":"ann@example.com"}}"#).unwrap();
        }
        tenant.api.ingest(body).await.expect(200);
    }
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    let answer = tenant.query(id).await;
    assert_eq!(answer.header("anomalake-rows"), Some("100000"));
    let given = answer.text().lines().skip(1).map(|line| line.split(',').next().unwrap().parse::<i64>().unwrap());
    assert!(given.eq(first + 1..first + ALL), "not the newest 100,000 in ascending order");
}

#[tokio::test]
async fn the_cap_is_a_setting_and_a_change_of_it_shows_at_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let names: Vec<String> = (0..10).map(|n| format!("a{n}")).collect();
    let records: Vec<_> = (NOW_MS..).zip(&names).map(|(time, name)| activity(time, "ann@example.com", name)).collect();
    tenant.ingest(&records).await;
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("fileName"), names);
    for cap in [3, 7, 10, 1] {
        server.limit(&tenant, Overrides { max_activities: Some(cap), ..Overrides::default() }).await;
        let answer = tenant.query(id).await;
        let newest = &names[names.len() - usize::try_from(cap).unwrap()..];
        assert_eq!(answer.column("fileName"), newest, "a cap of {cap}");
    }
}

#[tokio::test]
async fn ties_are_in_order_of_their_ids_and_at_the_cap_the_higher_ids_win() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for name in ["c", "a", "d", "b"] {
        tenant.ingest(&[activity(NOW_MS, "ann@example.com", name)]).await;
    }
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(id).await.column("fileName"), ["a", "b", "c", "d"]);
    server.limit(&tenant, Overrides { max_activities: Some(2), ..Overrides::default() }).await;
    assert_eq!(tenant.query(id).await.column("fileName"), ["c", "d"]);
}

#[tokio::test]
async fn ties_across_the_cap_keep_exactly_the_cap() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    // The same id may stand more than once: the lake does not deduplicate by it.
    let records: Vec<_> = (0..9)
        .map(|n| json!({ "timeStamp": NOW_MS, "user": "ann", "activityId": "x", "fileName": n.to_string() }))
        .collect();
    tenant.ingest(&records).await;
    let id = tenant.of_user("ann").await;
    server.limit(&tenant, Overrides { max_activities: Some(4), ..Overrides::default() }).await;
    server.clock.advance(DELAY_MS);
    let first = tenant.query(id).await;
    assert_eq!(first.rows().len(), 4);
    assert_eq!(tenant.query(id).await.body, first.body);
}
