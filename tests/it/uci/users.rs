//! `POST …/users/getanomalies`, `…/users/getactiveuci` and `…/users/getuci`.

use serde_json::{Value, json};

use super::{RESET, each, told};
use crate::support::{DAY_MS, HOUR_MS, NOW_MS, TestServer};

const LIST: &str = "/api/v2/incidents/users/getanomalies";
const ACTIVE: &str = "/api/v2/incidents/users/getactiveuci";
const BANDS: &str = "/api/v2/incidents/users/getuci";

#[tokio::test]
async fn anomalies_of_users_are_listed_by_time() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (user, points, age) in [("Ann", 300, 3 * DAY_MS), ("bob", 60, DAY_MS), ("ann", 10, 0), ("cid", 1, 95 * DAY_MS)]
    {
        tenant.impact(user, points, NOW_MS - age).await;
    }
    let list = async |query: &str, body: Value| {
        let answer = tenant.api.post_json(&format!("{LIST}{query}"), &body).await.expect(200);
        (answer.json()["totalCount"].clone(), Value::from(each(&answer, "score")))
    };
    assert_eq!(list("", json!({})).await, (json!(3), json!([10, 60, 300])));
    assert_eq!(list("", json!({ "users": ["ANN"], "timeframe": 90 })).await, (json!(2), json!([10, 300])));
    assert_eq!(list("", json!({ "users": ["ann"], "timeframe": 2 })).await, (json!(1), json!([10])));
    assert_eq!(list("", json!({ "timeframe": i64::MAX })).await, (json!(3), json!([10, 60, 300])));
    assert_eq!(list("?sortorder=asc&sortby=time", json!({})).await, (json!(3), json!([300, 60, 10])));
    assert_eq!(list("", json!({ "sortorder": "ASC", "limit": 2 })).await, (json!(3), json!([300, 60])));
    assert_eq!(list("?limit=1&offset=1", json!({})).await, (json!(3), json!([60])));
    assert_eq!(list("?limit=1", json!({ "limit": 3, "offset": 2 })).await, (json!(3), json!([300])));
    assert_eq!(list("?limit=10000&offset=3", json!({})).await, (json!(3), json!([])));
    let answer = tenant.api.send("POST", LIST, "").await.expect(200).json();
    let mut oldest = answer["results"][2].clone();
    for name in ["anomalyId", "eventId", "alertId", "anomalyCreatedTime"] {
        assert!(oldest[name].take().is_string());
    }
    assert_eq!(
        oldest,
        json!({
            "anomalyId": null, "eventId": null, "alertId": null, "anomalyCreatedTime": null, "user": "Ann",
            "time": NOW_MS - 3 * DAY_MS, "score": 300, "severity": "Critical", "activity": "ActivityForUciImpactAPI",
            "alertName": "External UCI impact", "source": "OKTA", "reason": "login failed", "markAsAllowed": false,
        })
    );
    for (query, body, wanted) in [
        ("?limit=0", json!({}), "`limit`"),
        ("?limit=10001", json!({}), "`limit`"),
        ("", json!({ "limit": 0 }), "`limit`"),
        ("", json!({ "limit": 10_001 }), "`limit`"),
        ("", json!({ "offset": -1 }), "`offset`"),
        ("", json!({ "users": [] }), "`users`"),
        ("", json!({ "users": ["ann", ""] }), "`users`"),
        ("", json!({ "timeframe": 0 }), "`timeframe`"),
        ("", json!({ "timeframe": "7" }), "`timeframe`"),
        ("?sortby=score", json!({}), "`sortby`"),
        ("", json!({ "sortorder": "up" }), "`sortorder`"),
    ] {
        let refused = tenant.api.post_json(&format!("{LIST}{query}"), &body).await.expect(400);
        assert!(told(&refused).contains(wanted), "{query} {body}: {}", told(&refused));
    }
}

#[tokio::test]
async fn active_users_and_bands() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    other.impact("foreign", 900, NOW_MS).await;
    for (user, points, age) in [
        ("Ann@example.com", 650, 0),
        ("bob@example.com", 500, 47 * HOUR_MS),
        ("cid@example.com", 349, 49 * HOUR_MS),
        ("dan@test.example", 1, 40 * DAY_MS),
    ] {
        tenant.impact(user, points, NOW_MS - age).await;
    }
    let active = async |body: Value| {
        let answer = tenant.api.post_json(ACTIVE, &body).await.expect(200);
        assert_eq!(answer.json()["totalCount"], each(&answer, "user").len());
        answer.json()["results"].clone()
    };
    let ann = json!({ "user": "Ann@example.com", "startTime": NOW_MS, "uciScore": 350 });
    let bob = json!({ "user": "bob@example.com", "startTime": NOW_MS, "uciScore": 500 });
    assert_eq!(active(json!({})).await, json!([ann, bob]));
    assert_eq!(active(json!({ "ratingRank": "all" })).await, json!([ann, bob]));
    assert_eq!(active(json!({ "ratingRank": "Poor" })).await, json!([ann]));
    assert_eq!(active(json!({ "ratingRank": "good" })).await, json!([]));
    assert_eq!(active(json!({ "watchlist": ["BOB@example.com", "cid@example.com"] })).await, json!([bob]));

    let bands = async |body: Value| {
        let answer = tenant.api.post_json(BANDS, &body).await.expect(200).json();
        let users: Vec<Value> = answer["results"].as_array().unwrap().iter().map(|u| u["user"].clone()).collect();
        assert_eq!(answer["totalCount"], users.len());
        (answer["counts"].clone(), Value::from(users))
    };
    let counts = |poor: i64, moderate: i64, good: i64| json!({ "poor": poor, "moderate": moderate, "good": good });
    let all = json!(["Ann@example.com", "bob@example.com", "cid@example.com", "dan@test.example"]);
    assert_eq!(bands(json!({})).await, (counts(1, 1, 2), all.clone()));
    let good = json!({ "ratingRank": "good", "user": { "contains": "@EXAMPLE" } });
    assert_eq!(bands(good).await, (counts(1, 1, 1), json!(["cid@example.com"])));
    let lately = json!({ "usersActiveInLastDays": 2 });
    assert_eq!(bands(lately).await, (counts(1, 1, 0), json!(["Ann@example.com", "bob@example.com"])));
    assert_eq!(bands(json!({ "usersActiveInLastDays": i64::MAX, "user": {} })).await, (counts(1, 1, 2), all));
    assert_eq!(bands(json!({ "user": { "contains": "%" } })).await, (counts(0, 0, 0), json!([])));
    let first = tenant.api.send("POST", BANDS, "").await.expect(200).json()["results"][0].clone();
    assert_eq!(
        first,
        json!({
            "user": "Ann@example.com", "startTime": NOW_MS, "uciScore": 350, "ratingRank": "poor", "lastImpactTime": NOW_MS,
        })
    );
    tenant.api.post_json(RESET, &json!({ "users": ["ann@example.com"] })).await.expect(200);
    assert_eq!(bands(json!({})).await.0, counts(0, 1, 3));
    for (path, body, wanted) in [
        (ACTIVE, json!({ "ratingRank": "bad" }), "`ratingRank`"),
        (ACTIVE, json!({ "ratingRank": 5 }), "`ratingRank`"),
        (ACTIVE, json!({ "watchlist": "ann" }), "`watchlist`"),
        (BANDS, json!({ "usersActiveInLastDays": 0 }), "`usersActiveInLastDays`"),
        (BANDS, json!({ "user": "ann" }), "`user`"),
        (BANDS, json!({ "user": { "contains": 5 } }), "`contains`"),
    ] {
        let refused = tenant.api.post_json(path, &body).await.expect(400);
        assert!(told(&refused).contains(wanted), "{body}: {}", told(&refused));
    }
}
