//! `/api/v2/incidents/uci/resetrules`.

use serde_json::{Value, json};

use super::{SEARCH, each, told};
use crate::support::{DAY_MS, HOUR_MS, NOW_MS, TestServer};

const RULES: &str = "/api/v2/incidents/uci/resetrules";

fn daily() -> Value {
    json!({ "name": "nightly", "users": ["*@example.com"], "schedule": "daily", "at": "02:00" })
}

#[tokio::test]
async fn rules_are_made_shown_replaced_and_removed() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    assert_eq!(tenant.api.get(RULES).await.expect(200).json(), json!({ "totalCount": 0, "results": [] }));
    let made = tenant.api.post_json(RULES, &daily()).await.expect(201).json();
    let path = format!("{RULES}/{}", made["id"]);
    assert_eq!(
        made,
        json!({
            "id": made["id"], "name": "nightly", "users": ["*@example.com"], "schedule": "daily", "at": "02:00",
            "enabled": true, "createdAt": "2026-11-22T00:00:00.000Z", "modifiedAt": "2026-11-22T00:00:00.000Z",
            "nextRun": "2026-11-22T02:00:00.000Z",
        })
    );
    assert_eq!(tenant.api.get(&path).await.expect(200).json(), made);
    assert_eq!(tenant.api.get(RULES).await.expect(200).json()["results"], json!([made]));
    server.clock.advance(HOUR_MS);
    let weekly = json!({
        "name": "weekly", "users": ["ann", "b?b"], "schedule": "Weekly", "at": "06:30", "weekday": "Mon", "more": 1,
    });
    let replaced = tenant.api.send("PUT", &path, weekly.to_string()).await.expect(200).json();
    assert_eq!((&replaced["weekday"], &replaced["nextRun"]), (&json!("monday"), &json!("2026-11-23T06:30:00.000Z")));
    assert_eq!((&replaced["createdAt"], &replaced["id"]), (&made["createdAt"], &made["id"]));
    let monthly = json!({
        "name": "off", "users": ["*"], "schedule": "monthly", "at": "23:59", "dayOfMonth": 28, "enabled": false,
    });
    let off = tenant.api.send("PUT", &path, monthly.to_string()).await.expect(200).json();
    assert_eq!((&off["dayOfMonth"], &off["enabled"], off.get("nextRun")), (&json!(28), &json!(false), None));
    let none = ["x", "0", "-1", "99", "%FF"].map(|id| (&tenant.api, format!("{RULES}/{id}")));
    for (api, path) in none.iter().chain([&(&other.api, path.clone())]) {
        api.get(path).await.expect(404);
        api.send("PUT", path, daily().to_string()).await.expect(404);
        api.send("DELETE", path, "").await.expect(404);
    }
    let gone = tenant.api.send("DELETE", &path, "").await.expect(200).json();
    assert_eq!(gone, json!({ "status": "success", "id": made["id"] }));
    tenant.api.get(&path).await.expect(404);
    tenant.api.send("DELETE", &path, "").await.expect(404);
    let reader = tenant.api.bearer(server.token(tenant.id, "uci:read", None).await.token.expose());
    assert!(told(&reader.get(RULES).await.expect(403)).contains("uci:write"));
}

#[tokio::test]
async fn wrong_rules_name_the_field() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (name, value) in [
        ("name", json!("")),
        ("name", json!(5)),
        ("users", json!([])),
        ("users", json!("ann")),
        ("users", json!(["[a"])),
        ("schedule", json!("hourly")),
        ("schedule", json!(null)),
        ("at", json!("25:00")),
        ("at", json!("2:00")),
        ("at", json!(200)),
        ("weekday", json!("monday")),
        ("dayOfMonth", json!(1)),
        ("dayOfMonth", json!(29)),
        ("enabled", json!("yes")),
    ] {
        let mut rule = daily();
        rule[name] = value.clone();
        let refused = tenant.api.post_json(RULES, &rule).await.expect(400);
        assert!(told(&refused).contains(&format!("`{name}`")), "{name} {value}: {}", told(&refused));
    }
    for (schedule, needed) in [("weekly", "`weekday`"), ("monthly", "`dayOfMonth`")] {
        let mut rule = daily();
        rule["schedule"] = json!(schedule);
        assert!(told(&tenant.api.post_json(RULES, &rule).await.expect(400)).contains(needed));
    }
    assert_eq!(tenant.api.get(RULES).await.expect(200).json()["totalCount"], 0);
}

#[tokio::test]
async fn a_run_resets_whom_it_matches_and_a_missed_one_is_caught_up_once() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for user in ["Ann@Example.com", "bob@example.com", "cid@test.example"] {
        tenant.impact(user, 400, NOW_MS).await;
    }
    let made = tenant.api.post_json(RULES, &daily()).await.expect(201).json();
    let run = async || server.owner.services.run_reset_rules().await.unwrap();
    let resets = async || {
        let answer = tenant.api.send("POST", &format!("{SEARCH}?activity=UciReset"), "").await.expect(200);
        each(&answer, "user")
    };
    server.clock.advance(2 * HOUR_MS - 1);
    run().await;
    assert!(resets().await.is_empty());
    server.clock.advance(1);
    run().await;
    run().await;
    assert_eq!(resets().await, ["Ann@Example.com", "bob@example.com"]);
    assert_eq!(
        (tenant.score("ann@example.com").await, tenant.score("cid@test.example").await),
        (Some(1000), Some(600))
    );
    let shown = tenant.api.get(&format!("{RULES}/{}", made["id"])).await.expect(200).json();
    assert_eq!(
        (&shown["lastRun"], &shown["nextRun"]),
        (&json!("2026-11-22T02:00:00.000Z"), &json!("2026-11-23T02:00:00.000Z"),)
    );
    server.clock.advance(5 * DAY_MS);
    run().await;
    run().await;
    assert_eq!(resets().await.len(), 4, "one run makes up for five");
}
