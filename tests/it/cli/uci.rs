//! `anomalake uci` and `anomalake alerts`.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::lake::Lake;
use crate::support::wait::PATIENCE;

const TENANT: [&str; 2] = ["--tenant", "5618"];

async fn uci(lake: &Lake, command: &str, more: &[&str]) -> String {
    lake.run(&[&["uci", command][..], &TENANT, more].concat()).await.said()
}

async fn push(lake: &Lake, user: &str, points: &str, more: &[&str]) -> String {
    let impact = ["--user", user, "--score", points, "--source", "OKTA", "--reason", "too many failures"];
    let said = uci(lake, "impact", &[&impact[..], more].concat()).await;
    said.strip_suffix('\n').expect("a line").to_owned()
}

async fn shown(lake: &Lake, user: &str) -> Value {
    serde_json::from_str(&uci(lake, "show", &[user, "--format", "json"]).await).unwrap()
}

#[tokio::test]
async fn scores_fall_come_back_and_are_explained() {
    for lake in Lake::both().await {
        let id = push(&lake, "Ann@example.com", "300", &["--time", "-1h"]).await;
        assert_eq!((id.len(), &id[..2]), (24, "a1"));
        push(&lake, "ann@example.com", "50", &[]).await;
        let table = uci(&lake, "show", &["ANN@example.com"]).await;
        for wanted in ["score", "650", "moderate", "30d", &id, "OKTA", "too many failures"] {
            assert!(table.contains(wanted), "{wanted}: {table}");
        }
        assert_eq!(shown(&lake, "ann@example.com").await["impacts"].as_array().unwrap().len(), 2);
        let allowed = uci(&lake, "allow", &[&id, "--reason", "a test"]).await;
        assert_eq!(allowed, format!("allowed {id} of Ann@example.com\n"));
        assert_eq!(shown(&lake, "ann@example.com").await["score"], 950);
        assert_eq!(uci(&lake, "reset", &["ann@example.com"]).await, "reset Ann@example.com\n");
        let found = shown(&lake, "ann@example.com").await;
        assert_eq!((&found["score"], &found["impacts"]), (&json!(1000), &json!([])));
        assert!(uci(&lake, "show", &["ann@example.com"]).await.contains("no impact counts"));

        let first = push(&lake, "bob", "10", &["--idempotency-key", "k", "--time", "1795305600000"]).await;
        let again = ["--user", "bob", "--score", "10", "--source", "OKTA", "--reason", "too many failures"];
        let keyed = ["--idempotency-key", "k", "--time", "1795305600000"];
        let ran = lake.run(&[&["uci", "impact"][..], &TENANT, &again, &keyed].concat()).await;
        assert_eq!((ran.code, &*ran.stdout), (Some(0), &*format!("{first}\n")));
        assert!(ran.stderr.contains("nothing was taken off again"), "{ran:?}");
    }
}

#[tokio::test]
async fn refusals_say_why() {
    for lake in Lake::both().await {
        let run = async |arguments: &[&str]| lake.run(&[&["uci"][..], arguments, &TENANT].concat()).await;
        let told = run(&["show", "nobody"]).await.failed();
        assert!(told.contains("no confidence index"), "{told}");
        let told = run(&["reset", "nobody"]).await.refused(1);
        assert!(told.contains("nobody"), "{told}");
        let told = run(&["allow", "42"]).await.refused(1);
        assert!(told.contains("no such anomaly"), "{told}");
        let blank = ["impact", "--user", " ", "--score", "5", "--source", "s", "--reason", "r"];
        assert!(run(&blank).await.refused(1).contains("`user`"));
        let ahead = ["impact", "--user", "a", "--score", "5", "--source", "s", "--reason", "r", "--time", "+10m"];
        assert!(run(&ahead).await.refused(1).contains("`timestamp`"));
        run(&["impact", "--user", "a", "--score", "1001", "--source", "s", "--reason", "r"]).await.refused(2);
        run(&["reset"]).await.refused(2);
        run(&["rules", "show", "7"]).await.refused(1);
        lake.run(&["uci", "show", "--tenant", "7", "ann"]).await.failed();
        lake.run(&["alerts", "--tenant", "5618", "--query", "user = 1"]).await.refused(1);
    }
}

#[tokio::test]
async fn rules_are_kept() {
    for lake in Lake::both().await {
        let rules = async |command: &str, more: &[&str]| {
            lake.run(&[&["uci", "rules", command][..], &TENANT, more].concat()).await
        };
        let rule = ["--name", "nightly", "--user", "*@example.com", "--user", "ann", "--schedule", "daily"];
        let id = rules("create", &[&rule[..], &["--at", "02:00"]].concat()).await.said();
        let id = id.trim_end();
        let listed = rules("list", &[]).await.said();
        assert!(listed.contains("daily 02:00") && listed.contains("*@example.com, ann"), "{listed}");
        let weekly = ["--name", "w", "--user", "b", "--schedule", "weekly", "--weekday", "mon", "--at", "06:30"];
        let replaced = rules("replace", &[&[id][..], &weekly, &["--enabled", "off"]].concat()).await.said();
        assert!(replaced.contains("weekly, monday 06:30") && replaced.contains("off"), "{replaced}");
        assert!(rules("show", &[id]).await.said().contains("weekly, monday 06:30"));
        let told = rules("create", &[&rule[..], &["--at", "26:00"]].concat()).await.refused(1);
        assert!(told.contains("`at`"), "{told}");
        assert_eq!(rules("delete", &[id]).await.said(), format!("deleted rule {id}\n"));
        rules("show", &[id]).await.refused(1);
    }
}

#[tokio::test]
async fn alerts_are_shown_newest_last_and_chosen() {
    for lake in Lake::both().await {
        for user in ["ann", "bob", "cid"] {
            push(&lake, user, "1", &[]).await;
        }
        let users = async |more: &[&str]| {
            let said = lake.run(&[&["alerts"][..], &TENANT, &["--format", "json"], more].concat()).await.said();
            let alerts: Vec<Value> = serde_json::from_str(&said).unwrap();
            alerts.iter().map(|alert| alert["user"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(users(&[]).await, ["ann", "bob", "cid"]);
        assert_eq!(users(&["--limit", "2"]).await, ["bob", "cid"]);
        assert_eq!(users(&["--query", "user in ['ann', 'cid']"]).await, ["ann", "cid"]);
        let table = lake.run(&[&["alerts"][..], &TENANT].concat()).await.said();
        assert!(table.contains("External UCI impact") && table.contains("999"), "{table}");
    }
}

#[tokio::test]
async fn followers_see_what_comes_and_end_with_a_signal() {
    let lake = Lake::served().await;
    push(&lake, "before", "1", &[]).await;
    push(&lake, "shown", "1", &[]).await;
    let arguments = [&["alerts"][..], &TENANT, &["--follow", "--limit", "1", "--format", "json"]].concat();
    let mut child = lake.command(&arguments).stdin(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap();
        serde_json::from_str::<Value>(&line.expect("a line")).unwrap()["user"].clone()
    };
    assert_eq!(next().await, "shown");
    for user in ["a", "b", "c"] {
        push(&lake, user, "1", &[]).await;
        assert_eq!(next().await, user);
    }
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0));
}
