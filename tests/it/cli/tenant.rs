//! `anomalake tenant`.

use serde_json::{Value, json};

use super::lake::Lake;
use crate::support::NOW_MS;
use crate::support::records::{activity, ndjson};

async fn shown(lake: &Lake) -> Value {
    let mut tenant: Value =
        serde_json::from_str(&lake.run(&["tenant", "show", "5618", "--format", "json"]).await.said()).unwrap();
    assert!(tenant["createdAt"].take().is_string());
    tenant
}

#[tokio::test]
async fn tenants_are_created_listed_and_shown() {
    for lake in Lake::both().await {
        let made = lake.run(&["tenant", "create", "--id", "7", "--name", "Seven \u{1b}[2J"]).await;
        assert_eq!(made.said(), "created tenant 7\n");
        let told = lake.run(&["tenant", "create", "--id", "7", "--name", "Again"]).await.failed();
        assert!(told.contains("tenant 7 already exists"), "{told}");
        let listed = lake.run(&["tenant", "list"]).await.said();
        let lines: Vec<_> = listed.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(lines, ["ID", "7", "5618"]);
        assert!(!listed.contains('\u{1b}'), "a name steers the terminal");
        let listed: Value =
            serde_json::from_str(&lake.run(&["tenant", "list", "--format", "json"]).await.said()).unwrap();
        assert_eq!(listed[0]["name"], "Seven \u{1b}[2J");
        let shown = lake.run(&["tenant", "show", "5618"]).await.said();
        for (name, value) in [
            ("name", "Example"),
            ("anomalous activity", "off"),
            ("availability delay", "12h"),
            ("recency", "15d"),
            ("max activities", "100000"),
            ("activity retention", "100d"),
        ] {
            let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {shown}"));
            assert!(line.ends_with(&format!("  {value}")), "{line}");
        }
        let told = lake.run(&["tenant", "show", "8"]).await.failed();
        assert!(told.contains("there is no tenant 8"), "{told}");
    }
}

#[tokio::test]
async fn what_is_not_set_stays() {
    for lake in Lake::both().await {
        lake.run(&["tenant", "set", "5618", "--recency", "3d", "--max-activities", "7"]).await.said();
        let spans = ["--availability-delay", "90s", "--activity-retention", "40d", "--api-rate", "7"];
        lake.run(&[&["tenant", "set", "5618"][..], &spans].concat()).await.said();
        let wanted = json!({
            "id": 5618, "name": "Example", "state": "active", "createdAt": null, "availabilityDelayMs": 90_000,
            "recencyMs": 3 * 86_400_000, "maxActivities": 7, "activityRetentionMs": 40_i64 * 86_400_000_i64,
            "anomalyRetentionMs": 90_i64 * 86_400_000_i64,
            "uciWindowMs": 30_i64 * 86_400_000_i64, "uciThreshold": 651, "apiRate": "7",
        });
        let mut found = shown(&lake).await;
        assert!(found["anomalousActivitySince"].is_null(), "{found}");
        found.as_object_mut().unwrap().remove("anomalousActivitySince");
        assert_eq!(found, wanted);
        lake.run(&["tenant", "set", "5618", "--anomalous-activity", "on"]).await.said();
        assert!(shown(&lake).await["anomalousActivitySince"].is_string());
        lake.run(&["tenant", "set", "5618", "--anomalous-activity", "off"]).await.said();
        assert!(shown(&lake).await["anomalousActivitySince"].is_null());
        lake.run(&["tenant", "set", "5618", "--max-activities", "0"]).await.refused(1);
        assert_eq!(shown(&lake).await["maxActivities"], 7);
        let set = lake.run(&["tenant", "set", "5618", "--quota", "50GiB"]).await.said();
        assert!(set.lines().any(|line| line.starts_with("quota") && line.ends_with("  50.0 GiB")), "{set}");
        lake.run(&["tenant", "set", "5618", "--recency", "4d"]).await.said();
        assert_eq!(shown(&lake).await["quotaBytes"], 50_i64 << 30);
        lake.run(&["tenant", "set", "5618", "--quota", "much"]).await.refused(2);
        let of_index = ["--uci-window", "14d", "--uci-threshold", "500", "--api-rate", "off"];
        lake.run(&[&["tenant", "set", "5618"][..], &of_index].concat()).await.said();
        let found = shown(&lake).await;
        assert_eq!(found["uciWindowMs"], 14_i64 * 86_400_000_i64);
        assert_eq!((&found["uciThreshold"], &found["apiRate"]), (&json!(500), &json!("off")));
        for wrong in [["--uci-threshold", "1001"], ["--api-rate", "0"], ["--uci-window", "long"]] {
            lake.run(&[&["tenant", "set", "5618"][..], &wrong].concat()).await.refused(2);
        }
        lake.run(&["tenant", "set", "5618", "--uci-window", "91d"]).await.refused(1);
        lake.run(&["tenant", "set", "5618", "--quota", "none"]).await.said();
        assert!(shown(&lake).await["quotaBytes"].is_null());
    }
}

#[tokio::test]
async fn a_running_server_obeys_new_settings_at_once() {
    let lake = Lake::served().await;
    let api = lake.server().api(&lake.token().await);
    api.ingest(ndjson(&[activity(NOW_MS, "ann", "a"), activity(NOW_MS + 1, "ann", "b")])).await.expect(200);
    let set = async |arguments: &[&str]| {
        lake.run(&[&["tenant", "set", "5618"][..], arguments].concat()).await.said();
    };
    set(&["--anomalous-activity", "on"]).await;
    let id = lake.everything().await;
    assert!(api.query(&*id).await.expect(200).body.is_empty(), "before its delay");
    set(&["--availability-delay", "0s"]).await;
    assert_eq!(api.query(&*id).await.expect(200).column("fileName"), ["a", "b"]);
    set(&["--max-activities", "1"]).await;
    assert_eq!(api.query(&*id).await.expect(200).column("fileName"), ["b"]);
    set(&["--anomalous-activity", "off"]).await;
    api.query(&*id).await.expect(401);
}

#[tokio::test]
async fn a_drop_must_be_meant_and_takes_everything_along() {
    for lake in Lake::both().await {
        let token = lake.token().await;
        let file = lake.file("a.ndjson", ndjson(&[activity(NOW_MS, "ann", "a")]));
        lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
        let told = lake.run(&["tenant", "drop", "5618"]).await.refused(2);
        assert!(told.contains("anomalake tenant drop 5618 --yes"), "{told}");
        assert_eq!(lake.stored().await, ["a"]);
        assert_eq!(lake.run(&["tenant", "drop", "5618", "--yes"]).await.said(), "dropped tenant 5618\n");
        let status = lake.http(async |api| api.bearer(&token).get("/api/v1/anomalies").await.status).await;
        assert_eq!(status, 401);
        lake.run(&["tenant", "show", "5618"]).await.failed();
        lake.run(&["tenant", "drop", "5618", "--yes"]).await.failed();
        lake.run(&["tenant", "create", "--id", "5618", "--name", "Reborn"]).await.said();
        assert!(lake.stored().await.is_empty(), "a new tenant sees the data of an old one");
    }
}
