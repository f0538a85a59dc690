//! An anomaly's `where`: it narrows what user and window choose, and can do nothing else.

use serde_json::{Value, json};

use crate::support::records::activity;
use crate::support::{DAY_MS, DELAY_MS, NOW_MS, TestServer, TestTenant};

const PATH: &str = "/api/v1/anomalies";

fn with_where(condition: &str) -> Value {
    json!({ "user": "ann@example.com", "from": NOW_MS, "to": NOW_MS + DAY_MS, "where": condition })
}

async fn assert_refused(server: &TestServer, tenant: &TestTenant, condition: &str) {
    let shown = &condition[..condition.len().min(60)];
    let answer = tenant.api.post_json(PATH, &with_where(condition)).await.expect(400).json();
    assert_eq!((&answer["code"], &answer["target"]), (&json!("bad_where"), &json!("where")), "{shown}");
    server.anyone().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn what_is_no_condition_on_one_activity_is_refused() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for condition in [
        "1=1) OR (1=1",
        "true; DROP TABLE activities",
        "true UNION SELECT true",
        "asn IN (SELECT asn FROM activities)",
        "EXISTS (SELECT 1)",
        "(SELECT count(*) FROM activities) > 0",
        "random() > 0.5",
        "now() > timeStamp",
        "uuid() = user",
        "read_parquet('/etc/passwd') IS NULL",
        "read_csv('/etc/passwd') IS NULL",
        "input_file_name() = 'x'",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "repeat('x', 1000000000) = user",
        "$1 = user",
        "noSuchColumn = 1",
        "asn",
        "1",
        "user = 'open",
        "user = 'x' /* open",
    ] {
        assert_refused(&server, &tenant, condition).await;
    }
}

#[tokio::test]
async fn texts_made_to_overflow_a_stack_are_refused_and_the_server_lives() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let chain = |term: &str, operator: &str, n: usize| vec![term; n].join(operator);
    let nested = |n: usize| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    for condition in [
        nested(10_000),
        nested(2_000),
        format!("{} > 0", chain("1", "+", 2_000)),
        format!("{} > 0", chain("asn", "+", 1_000)),
        chain("true", " OR ", 2_000),
        chain("true", " OR ", 500),
        chain("user='x'", "OR ", 370),
        format!("{}true", "NOT ".repeat(1_000)),
        format!("{}1 > 0", "-".repeat(1_999)),
        format!("{}1 > 0", "- ".repeat(2_000)),
        format!("asn{} = 1", "::bigint".repeat(400)),
        format!("{}asn{} > 0", "abs(".repeat(800), ")".repeat(800)),
        format!("{}true{}", "CASE WHEN true THEN ".repeat(150), " END".repeat(150)),
        format!("asn IN {}", "(".repeat(3_000)),
        format!("user = '{}'", "x".repeat(5_000)),
        chain("'a'", "||", 1_300),
        format!("asn{}", "[1]".repeat(1_200)),
        format!("asn{}", ".a".repeat(1_900)),
        format!("{} = 1", "[".repeat(3_900)),
        "interval ".repeat(450),
    ] {
        assert_refused(&server, &tenant, &condition).await;
    }
    assert_eq!(tenant.api.get(PATH).await.expect(200).json()["anomalies"], json!([]));
}

#[tokio::test]
async fn user_and_window_hold_beside_any_condition() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let other = server.tenant(99).await;
    tenant
        .ingest(&[
            activity(NOW_MS, "ann@example.com", "hers"),
            activity(NOW_MS - 1, "ann@example.com", "hers, before"),
            activity(NOW_MS + DAY_MS, "ann@example.com", "hers, after"),
            activity(NOW_MS, "zoe@example.com", "another's"),
        ])
        .await;
    other.ingest(&[activity(NOW_MS, "ann@example.com", "another tenant's")]).await;
    let mut ids = Vec::new();
    for condition in [
        "true",
        "1=1 OR true",
        "user = 'zoe@example.com' OR 1=1",
        "fileName = 'hers' OR fileName = 'another''s' OR tenantId = 99",
        "timeStamp > 0 OR timeStamp < 0",
        "true -- OR false",
        "user IS NULL OR user IS NOT NULL",
    ] {
        let answer = tenant.api.post_json(PATH, &with_where(condition)).await.expect(201);
        ids.push((condition, answer.json()["id"].as_i64().unwrap()));
    }
    server.clock.advance(DELAY_MS);
    for (condition, id) in ids {
        assert_eq!(tenant.query(id).await.column("fileName"), ["hers"], "{condition}");
        let live = tenant.api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200);
        assert_eq!(live.column("fileName"), ["hers"], "{condition}");
    }
}

#[tokio::test]
async fn a_condition_chooses_activities_of_any_user() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let record =
        |name: &str, bytes: i64| json!({ "timeStamp": NOW_MS, "user": name, "fileName": name, "downloadBytes": bytes });
    tenant.ingest(&[record("a", 5), record("b", 50), record("c", 500)]).await;
    for (condition, expected) in [
        ("downloadBytes > 10", vec!["b", "c"]),
        ("\"downloadBytes\" BETWEEN 1 AND 60 AND fileName <> 'a'", vec!["b"]),
        ("lower(user) IN ('a', 'c') OR false", vec!["a", "c"]),
        ("regexp_like(user, '^[ab]$')", vec!["a", "b"]),
        ("city IS NOT NULL", vec![]),
        ("downloadBytes / 0 > 1", vec![]),
    ] {
        let anomaly = json!({ "from": NOW_MS, "to": NOW_MS + 1, "where": condition });
        let answer = tenant.api.post_json(PATH, &anomaly).await;
        // A division by a constant zero may be refused or found out when it runs, but never crashes.
        if condition.contains("/ 0") {
            assert!([201, 400].contains(&answer.status), "{}", answer.text());
            continue;
        }
        let id = answer.expect(201).json()["id"].as_i64().unwrap();
        let mut found =
            tenant.api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200).column("fileName");
        found.sort();
        assert_eq!(found, expected, "{condition}");
    }
}
