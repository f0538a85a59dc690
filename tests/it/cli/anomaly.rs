//! `anomalake anomaly`.

use serde_json::{Value, json};

use anomalake::domain::clock::{Clock, SystemClock};
use anomalake::domain::time_text::parse_time;

use super::lake::Lake;
use crate::support::{DAY_MS, HOUR_MS};

const CREATE: [&str; 4] = ["anomaly", "create", "--tenant", "5618"];

async fn shown(lake: &Lake, id: &str) -> Value {
    let ran = lake.run(&["anomaly", "show", "--tenant", "5618", id, "--format", "json"]).await;
    serde_json::from_str(&ran.said()).unwrap()
}

fn ms(anomaly: &Value, name: &str) -> i64 {
    parse_time(anomaly[name].as_str().unwrap(), 0).unwrap()
}

#[tokio::test]
async fn its_id_is_printed_alone_and_its_times_may_be_relative() {
    for lake in Lake::both().await {
        let before = SystemClock.now_ms();
        let made = lake.run(&[&CREATE[..], &["--user", "ann", "--from", "-24h", "--to", "+2h"]].concat()).await;
        assert_eq!(made.said(), "1\n");
        let found = shown(&lake, "1").await;
        assert_eq!(ms(&found, "to") - ms(&found, "from"), DAY_MS + 2 * HOUR_MS);
        let now = ms(&found, "to") - 2 * HOUR_MS;
        assert!((before..=SystemClock.now_ms()).contains(&now), "{now}");

        let window = ["--from", "1596840000000", "--to", "2020-08-08T00:00:00Z", "--created-at", "-1h"];
        let about = ["--score", "-1.5", "--category", "C", "--source", "S", "--reason", "R", "--where", "count > 1"];
        assert_eq!(lake.run(&[&CREATE[..], &window, &about].concat()).await.said(), "2\n");
        let found = shown(&lake, "ANO-2").await;
        assert_eq!(ms(&found, "from"), 1_596_840_000_000);
        assert!(ms(&found, "createdAt") <= SystemClock.now_ms() - HOUR_MS);
        for (name, value) in
            [("score", json!(-1.5)), ("category", json!("C")), ("source", json!("S")), ("reason", json!("R"))]
        {
            assert_eq!(found[name], value, "{name}");
        }
        assert_eq!(shown(&lake, found["anomalyId"].as_str().unwrap()).await["id"], 2);
        let table = lake.run(&["anomaly", "show", "--tenant", "5618", "2"]).await.said();
        assert!(table.lines().any(|line| line.ends_with("  count > 1")), "{table}");
    }
}

#[tokio::test]
async fn wrong_ones_are_refused_with_the_reason() {
    for lake in Lake::both().await {
        let window = ["--from", "-24h", "--to", "now"];
        let create = async |more: &[&str]| lake.run(&[&CREATE[..], &window, more].concat()).await;
        let told = create(&["--where", "nothing > 1"]).await.failed();
        assert!(told.contains("`where`") && told.contains("nothing"), "{told}");
        for bad in ["count >", "count > (SELECT 1)", "random() > 0.5", "1=1) OR (1=1"] {
            create(&["--where", bad]).await.refused(1);
        }
        let told = create(&[]).await.refused(2);
        assert!(told.contains("--user") && told.contains("--where"), "{told}");
        let told = lake.run(&[&CREATE[..], &["--user", "a", "--from", "now", "--to", "-1h"]].concat()).await.refused(1);
        assert!(told.contains("before"), "{told}");
        let told =
            lake.run(&[&CREATE[..], &["--user", "a", "--from", "dawn", "--to", "now"]].concat()).await.refused(2);
        assert!(told.contains("RFC 3339"), "{told}");
        assert_eq!(lake.run(&["anomaly", "list", "--tenant", "5618", "--format", "json"]).await.said(), "[]\n");
        lake.run(&["anomaly", "show", "--tenant", "5618", "1"]).await.failed();
        lake.run(&["anomaly", "list", "--tenant", "7"]).await.failed();
    }
}

#[tokio::test]
async fn the_list_is_newest_first_and_says_when_it_is_cut() {
    for lake in Lake::both().await {
        for _ in 0..3 {
            lake.everything().await;
        }
        let ids = |said: &str| said.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
        let said = lake.run(&["anomaly", "list", "--tenant", "5618"]).await.said();
        assert_eq!(ids(&said), ["ID", "3", "2", "1"]);
        let ran = lake.run(&["anomaly", "list", "--tenant", "5618", "--limit", "2"]).await;
        assert_eq!((ran.code, ids(&ran.stdout)), (Some(0), vec!["ID".to_owned(), "3".to_owned(), "2".to_owned()]));
        assert!(ran.stderr.contains("raise --limit"), "{ran:?}");
        lake.run(&["anomaly", "list", "--tenant", "5618", "--limit", "3"]).await.said();
        lake.run(&["anomaly", "list", "--tenant", "5618", "--limit", "0"]).await.refused(2);
    }
}

#[tokio::test]
async fn a_server_sees_it_at_once() {
    let lake = Lake::served().await;
    let api = lake.server().api(&lake.token().await);
    let id = lake.everything().await;
    assert_eq!(api.get(&format!("/api/v1/anomalies/{id}")).await.expect(200).json()["id"].to_string(), id);
    let made = api.post_json("/api/v1/anomalies", &json!({ "user": "ann", "from": 0, "to": 1 })).await.expect(201);
    assert_eq!(shown(&lake, &made.json()["id"].to_string()).await["user"], "ann");
}
