//! `POST …/anomalies/getanomalies` and `GET …/anomalies/{anomalyId}`.

use serde_json::{Value, json};

use super::{ANOMALIES, IMPACT, RESET, SEARCH, each, impact, told};
use crate::support::records::ndjson;
use crate::support::{Answer, DAY_MS, NOW_MS, TestServer, TestTenant};

const KEPT_MS: i64 = 90 * DAY_MS;

async fn search(tenant: &TestTenant, query: &str, filters: Value) -> Answer {
    tenant.api.post_json(&format!("{SEARCH}{query}"), &json!({ "filters": filters })).await
}

/// Reasons of what is found, in order.
async fn found(tenant: &TestTenant, query: &str, filters: Value) -> Vec<Value> {
    let answer = search(tenant, query, filters).await.expect(200);
    let reasons = each(&answer, "reason");
    assert_eq!(answer.json()["totalCount"], reasons.len(), "{}", answer.text());
    reasons
}

async fn push(tenant: &TestTenant, user: &str, source: &str, timestamp: i64, reason: &str) -> String {
    let body = json!({ "user": user, "score": 1, "timestamp": timestamp, "source": source, "reason": reason });
    let answer = tenant.api.post_json(IMPACT, &body).await.expect(200);
    answer.json()["anomalyId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn filters_work_alone_and_together() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    push(&tenant, "Ann", "OKTA", NOW_MS - 5000, "a").await;
    let b = push(&tenant, "bob", "OKTA", NOW_MS - 4000, "b").await;
    push(&tenant, "ann", "EDR", NOW_MS - 3000, "c").await;
    push(&tenant, "cid", "okta", NOW_MS - 2000, "d").await;
    let foreign = push(&other, "ann", "OKTA", NOW_MS - 1000, "foreign").await;
    tenant.api.post_json(RESET, &json!({ "users": ["bob"] })).await.expect(200);
    let equals = |value: Value| json!({ "equals": value });
    let range = |start: i64, end: i64| json!({ "startTime": equals(json!(start)), "endTime": equals(json!(end)) });
    let both = |mut left: Value, right: Value| {
        left.as_object_mut().unwrap().extend(right.as_object().unwrap().clone());
        left
    };
    let ann = json!({ "user": equals(json!([" ANN "])) });
    let okta = json!({ "source": equals(json!(["OKTA"])) });
    let impacts = "?activity=ActivityForUciImpactAPI";
    for (query, filters, wanted) in [
        (impacts, json!({}), json!(["a", "b", "c", "d"])),
        (impacts, ann.clone(), json!(["a", "c"])),
        (impacts, json!({ "user": equals(json!(["ann", "bob", "nobody"])) }), json!(["a", "b", "c"])),
        (impacts, okta.clone(), json!(["a", "b"])),
        (impacts, both(ann.clone(), okta.clone()), json!(["a"])),
        (impacts, range(NOW_MS - 4000, NOW_MS - 2000), json!(["b", "c"])),
        (impacts, both(ann.clone(), range(NOW_MS - 4000, NOW_MS - 2000)), json!(["c"])),
        (impacts, both(both(ann.clone(), okta.clone()), range(NOW_MS - 5000, NOW_MS - 4999)), json!(["a"])),
        (impacts, range(NOW_MS, NOW_MS), json!([])),
        (impacts, range(NOW_MS, NOW_MS - 1), json!([])),
        (impacts, json!({ "user": equals(json!([])) }), json!([])),
        (impacts, json!({ "anomalyId": equals(json!([b, foreign, "xxxxx", "", "99"])) }), json!(["b"])),
        (impacts, json!({ "anomalyId": equals(json!(["ANO-1", "1"])) }), json!(["a"])),
        (impacts, json!({ "user": null, "unknown": { "equals": 5 } }), json!(["a", "b", "c", "d"])),
        ("?activity=activityforuciimpactapi", json!({}), json!([])),
        ("?activity=nothing", json!({}), json!([])),
    ] {
        assert_eq!(Value::from(found(&tenant, query, filters.clone()).await), wanted, "{query} {filters}");
    }
    let resets = search(&tenant, "?activity=UciReset", json!({})).await.expect(200);
    assert_eq!((each(&resets, "user"), each(&resets, "score")), (vec![json!("bob")], vec![json!(0)]));
    assert_eq!(search(&tenant, "", json!({})).await.expect(200).json()["totalCount"], 5);
    assert_eq!(tenant.api.post_json(SEARCH, &json!({ "filters": null })).await.expect(200).json()["totalCount"], 5);
}

#[tokio::test]
async fn wrong_searches_say_why() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let time = json!({ "equals": NOW_MS });
    for (filters, wanted) in [
        (json!({ "startTime": time }), "endTime"),
        (json!({ "endTime": time }), "startTime"),
        (json!({ "anomalyId": { "equals": ["a"] }, "user": { "equals": ["ann"] } }), "anomalyId"),
        (json!({ "anomalyId": { "equals": ["a"] }, "startTime": time, "endTime": time }), "anomalyId"),
        (json!({ "user": { "contains": ["ann"] } }), "equals"),
        (json!({ "user": { "equals": "ann" } }), "user"),
        (json!({ "user": "ann" }), "user"),
        (json!({ "source": { "equals": [1] } }), "source"),
        (json!({ "startTime": { "equals": "now" }, "endTime": time }), "startTime"),
        (json!({ "startTime": { "equals": NOW_MS / 1000 }, "endTime": time }), "looks like seconds"),
        (json!({ "startTime": { "equals": [NOW_MS] }, "endTime": time }), "startTime"),
        (json!([]), "filters"),
        (json!("x"), "filters"),
    ] {
        let refused = search(&tenant, "", filters.clone()).await.expect(400);
        assert!(told(&refused).contains(wanted), "{filters}: {}", told(&refused));
    }
    for (query, wanted) in [
        ("?limit=0", "from 1 to 10000"),
        ("?limit=10001", "from 1 to 10000"),
        ("?limit=-1", "`limit`"),
        ("?limit=ten", "`limit`"),
        ("?limit=1.5", "`limit`"),
        ("?limit=99999999999999999999", "`limit`"),
        ("?offset=-1", "`offset`"),
        ("?offset=9223372036854775808", "`offset`"),
        ("?limit=1&limit=2", "limit"),
        ("?fields=anomalyId,colour", "`colour`"),
        ("?fields=anomalyid", "`anomalyid`"),
        ("?fields=results", "`results`"),
    ] {
        let refused = search(&tenant, query, json!({})).await.expect(400);
        assert!(told(&refused).contains(wanted), "{query}: {}", told(&refused));
    }
    for body in ["[]", "5", "\"x\"", "{", "[{\"filters\":{}}]"] {
        tenant.api.send("POST", SEARCH, body).await.expect(400);
    }
    for body in ["", " ", "{}", "null", "{\"filters\":{}}"] {
        let answer = tenant.api.send("POST", SEARCH, body).await.expect(200);
        assert_eq!(answer.json(), json!({ "totalCount": 0, "results": [] }));
    }
}

#[tokio::test]
async fn the_horizon_is_90_days_to_the_millisecond() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (age, reason) in [(KEPT_MS + 1, "older"), (KEPT_MS, "edge"), (KEPT_MS - 1, "younger"), (0, "now")] {
        push(&tenant, "ann", "OKTA", NOW_MS - age, reason).await;
    }
    push(&tenant, "ann", "OKTA", NOW_MS + 300_000, "ahead").await;
    let range = |start: i64, end: i64| json!({ "startTime": { "equals": start }, "endTime": { "equals": end } });
    let horizon = NOW_MS - KEPT_MS;
    let found = async |filters| Value::from(found(&tenant, "", filters).await);
    assert_eq!(found(json!({})).await, json!(["edge", "younger", "now", "ahead"]));
    assert_eq!(found(range(0, NOW_MS + 300_001)).await, json!(["edge", "younger", "now", "ahead"]));
    assert_eq!(found(range(0, horizon - 1)).await, json!([]));
    assert_eq!(found(range(0, horizon)).await, json!([]));
    assert_eq!(found(range(0, horizon + 1)).await, json!(["edge"]));
    assert_eq!(found(range(horizon + 1, NOW_MS)).await, json!(["younger"]));
    server.clock.advance(1);
    assert_eq!(found(json!({})).await, json!(["younger", "now", "ahead"]));
}

#[tokio::test]
async fn limits_offsets_and_fields_choose_what_comes() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let batch: Vec<_> = (0..12).map(|n| impact(&format!("u{n}"), 1, NOW_MS - n)).collect();
    tenant.api.send("POST", "/api/v1/impacts", ndjson(&batch)).await.expect(200);
    let page = async |query: &str| {
        let answer = search(&tenant, query, json!({})).await.expect(200);
        assert_eq!(answer.json()["totalCount"], 12);
        each(&answer, "user").iter().map(|user| user.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..12).map(|n| format!("u{n}")).collect();
    assert_eq!(page("").await, all, "in the order of acceptance, not of time");
    for query in ["?limit=10000", "?limit=1000&offset=0", "?limit=&offset="] {
        assert_eq!(page(query).await, all);
    }
    assert_eq!(page("?limit=1").await, ["u0"]);
    assert_eq!(page("?limit=5&offset=10").await, ["u10", "u11"]);
    assert!(page("?offset=12").await.is_empty());
    assert!(page("?offset=9223372036854775807").await.is_empty());
    let narrow = search(&tenant, "?limit=1&fields=score,%20user,score", json!({})).await.expect(200);
    assert_eq!(narrow.json()["results"], json!([{ "user": "u0", "score": 1 }]));
    let absent = search(&tenant, "?limit=1&fields=reasonForAllowed,additionalProps", json!({})).await.expect(200);
    assert_eq!(absent.json()["results"], json!([{}]));
}

#[tokio::test]
async fn pages_neither_repeat_nor_lose_while_others_are_inserted() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for n in 0..10 {
        push(&tenant, "ann", "OKTA", NOW_MS - n, &n.to_string()).await;
    }
    let mut seen = Vec::new();
    for round in 0..10 {
        let answer = search(&tenant, &format!("?limit=3&offset={}", seen.len()), json!({})).await.expect(200);
        let page = each(&answer, "anomalyId");
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        // Back-dated far behind everything that was seen; from the third page on nothing comes any more.
        if round < 3 {
            server.clock.advance(1);
            push(&tenant, "bob", "OKTA", NOW_MS - 50 * DAY_MS, "late").await;
        }
    }
    let answer = search(&tenant, "", json!({})).await.expect(200);
    assert_eq!((seen, answer.json()["totalCount"].clone()), (each(&answer, "anomalyId"), json!(13)));
}

#[tokio::test]
async fn one_anomaly_is_shown_in_any_spelling_and_a_foreign_one_does_not_exist() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    let id = tenant.impact("ann", 7, NOW_MS).await;
    let foreign = other.impact("ann", 7, NOW_MS).await;
    for spelling in [&*id, "1", "ANO-1"] {
        let shown = tenant.api.get(&format!("{ANOMALIES}/{spelling}")).await.expect(200).json();
        assert_eq!((&shown["anomalyId"], &shown["score"]), (&json!(id), &json!(7)));
    }
    let unknown = tenant.api.get(&format!("{ANOMALIES}/a1ffffffffffffffffffffff")).await.expect(404);
    for path in [&*foreign, "xxxxx", "0", "A10000000000000000000001", "%FF", "%00", "a1%20"] {
        let refused = tenant.api.get(&format!("{ANOMALIES}/{path}")).await.expect(404);
        assert_eq!(refused.json(), unknown.json(), "{path}");
    }
    // An anomaly that is not of the index is none here.
    let own = tenant.of_user("ann").await;
    tenant.api.get(&format!("{ANOMALIES}/{own}")).await.expect(404);
}
