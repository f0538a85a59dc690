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
