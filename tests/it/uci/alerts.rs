//! `GET …/events/data/alert` and `GET …/events/datasearch/alert`.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::{DATA, FIND, RESET, each, told};
use crate::support::{Answer, NOW_MS, TestServer, TestTenant};

async fn find(tenant: &TestTenant, query: &str) -> Answer {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    tenant.api.get(&format!("{FIND}?query={query}")).await
}

#[tokio::test]
async fn each_change_is_told_with_the_score_after_it() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = tenant.impact("Ann@Example.com", 50, NOW_MS).await;
    let mut list = tenant.api.get(&format!("{DATA}?type=uba")).await.expect(200).json();
    assert_eq!((&list["ok"], list["result"].as_array().unwrap().len()), (&json!(1), 1));
    let alert = list["result"][0].take();
    let alert_id = alert["_id"].as_str().unwrap();
    assert!(alert_id.len() == 24 && alert_id.bytes().all(|b| b.is_ascii_hexdigit()), "{alert_id}");
    assert_eq!(
        alert,
        json!({
            "_id": alert_id, "alert_id": alert_id, "alert": "yes", "alert_type": "uba", "type": "anomaly",
            "record_type": "alert", "action": "anomaly_detection", "acked": "false", "timestamp": NOW_MS / 1000,
            "alert_name": "External UCI impact", "activity": "ActivityForUciImpactAPI", "event_type": "uba_analytics",
            "severity": "Informational", "score": "50", "user": "Ann@Example.com", "userkey": "ann@example.com",
            "ur_normalized": "ann@example.com", "user_confidence_index": 950, "policy": "External UCI impact",
            "source": "OKTA", "reason": "login failed", "anomaly_id": id,
        })
    );
    tenant.impact("ann@example.com", 300, NOW_MS).await;
    tenant.api.post_json(RESET, &json!({ "users": ["ann@example.com"] })).await.expect(200);
    let answer = tenant.api.get(DATA).await.expect(200);
    let (mut names, scores) = (tenant.alert_names().await, each(&answer, "user_confidence_index"));
    assert_eq!(names.remove(0), "External UCI impact");
    names.sort();
    let wanted = ["External UCI impact", "UCI band change", "UCI band change", "UCI reset", "UCI threshold alert"];
    assert_eq!(names, wanted);
    assert_eq!((&scores[0], &scores[1], scores.last().unwrap()), (&json!(950), &json!(650), &json!(1000)));
}

#[tokio::test]
async fn the_threshold_is_the_tenants() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let set = json!({ "uciThreshold": 900 });
    server.control().send("PATCH", "/control/tenants/5618", set.to_string()).await.expect(200);
    for points in [100, 1, 50] {
        tenant.impact("ann", points, NOW_MS).await;
    }
    let falls =
        each(&find(&tenant, r#"alert_name eq "UCI threshold alert""#).await.expect(200), "user_confidence_index");
    assert_eq!(falls, [json!(899)], "once per fall");
}

#[tokio::test]
async fn lists_have_ranges_and_pages() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    other.impact("foreign", 1, NOW_MS).await;
    for n in 0..5 {
        tenant.impact(&format!("u{n}"), 1, NOW_MS).await;
        server.clock.advance(1000);
    }
    let start = NOW_MS / 1000;
    let users = async |query: &str| {
        let answer = tenant.api.get(&format!("{DATA}{query}")).await.expect(200);
        each(&answer, "user").iter().map(|user| user.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(users("").await, ["u0", "u1", "u2", "u3", "u4"]);
    assert_eq!(users("?limit=2&offset=1").await, ["u1", "u2"]);
    assert_eq!(users("?limit=5000&type=uba&unknown=1").await.len(), 5);
    assert_eq!(users(&format!("?starttime={}&endtime={}", start + 1, start + 3)).await, ["u1", "u2"]);
    assert_eq!(users(&format!("?starttime={}", start + 4)).await, ["u4"]);
    assert_eq!(users(&format!("?endtime={start}")).await, Vec::<String>::new());
    assert!(users("?type=dlp").await.is_empty());
    assert!(users("?offset=5").await.is_empty());
    for wrong in ["limit=0", "limit=5001", "limit=x", "offset=-1", "starttime=now", "endtime=-1"] {
        let refused = tenant.api.get(&format!("{DATA}?{wrong}")).await.expect(400);
        assert!(told(&refused).contains(wrong.split('=').next().unwrap()), "{}", told(&refused));
    }
    let refused = tenant.api.get(&format!("{DATA}?starttime={NOW_MS}")).await.expect(400);
    assert!(told(&refused).contains("looks like milliseconds"), "{}", told(&refused));
    let blind = tenant.api.bearer(server.token(tenant.id, "uci:write", None).await.token.expose());
    for path in [DATA, FIND, "/api/v2/events/dataexport/alerts/uba?index=a&operation=next"] {
        assert!(told(&blind.get(path).await.expect(403)).contains("alerts:read"));
    }
}

#[tokio::test]
async fn queries_choose_alerts() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.impact("Ann@example.com", 50, NOW_MS).await;
    tenant.impact("bob@example.com", 400, NOW_MS).await;
    tenant.impact("it's", 1, NOW_MS).await;
    let users = async |query: &str| {
        let answer = find(&tenant, query).await.expect(200);
        let users = Value::from(each(&answer, "user"));
        let count = users.as_array().unwrap().len();
        let status = &answer.json()["status"];
        assert_eq!((&status["count"], &status["total"]), (&json!(count), &json!(count)), "{status}");
        assert_eq!(status["execution"], "Success");
        users
    };
    let all = json!(["Ann@example.com", "bob@example.com", "bob@example.com", "bob@example.com", "it's"]);
    for (query, wanted) in [
        ("", all.clone()),
        (r#"alert_type eq "uba""#, all.clone()),
        (r#"alert_type eq "dlp""#, json!([])),
        (r#"alert_type eq "uba" and user eq " ANN@EXAMPLE.com""#, json!(["Ann@example.com"])),
        (r#"user in ["ann@example.com", 'it\'s', "nobody"]"#, json!(["Ann@example.com", "it's"])),
        (r#"alert_name eq "UCI band change""#, json!(["bob@example.com"])),
        (
            r#"(alert_name in ["UCI band change","UCI threshold alert"]) and user in ["bob@example.com"]"#,
            json!(["bob@example.com", "bob@example.com"]),
        ),
        ("alert_name in []", json!([])),
        (r#"user eq "x' OR 1=1 --""#, json!([])),
    ] {
        assert_eq!(users(query).await, wanted, "{query}");
    }
    for (query, wanted) in [
        ("user", "expected `eq` or `in`"),
        (r#"password eq "x""#, "unknown field `password`"),
        (r#"user eq "x" or user eq "y""#, "expected `and`"),
        ("user eq \"x", "no closing quote"),
        (&"(".repeat(10_000), "expected the name of a field"),
        (&"x".repeat(20_000), "at most"),
    ] {
        let refused = find(&tenant, query).await.expect(400);
        assert!(told(&refused).contains(wanted), "{}", told(&refused));
    }
    let page = tenant.api.get(&format!("{FIND}?limit=2&offset=1")).await.expect(200).json();
    let wanted = json!({ "count": 2, "total": 5, "execution": "Success", "offset": 1, "limit": 2 });
    assert_eq!(page["status"], wanted);
    for wrong in ["limit=0", "limit=10001"] {
        tenant.api.get(&format!("{FIND}?{wrong}")).await.expect(400);
    }
}
