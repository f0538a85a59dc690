//! `POST …/uba/getuci`, `POST …/ubadatasvc/user/uci` and `GET /api/v1/users/{user}/uci`.

use serde_json::{Value, json};

use super::{GET_UCI, RESET, told};
use crate::support::{DAY_MS, HOUR_MS, NOW_MS, TestServer, TestTenant};

const ONE: &str = "/api/v2/ubadatasvc/user/uci";

async fn uci(tenant: &TestTenant, body: Value) -> Value {
    tenant.api.post_json(GET_UCI, &body).await.expect(200).json()["usersUci"].clone()
}

fn days(days: &[(i64, i64)]) -> Value {
    days.iter().map(|(start, score)| json!({ "start": start, "confidenceScore": score })).collect()
}

#[tokio::test]
async fn there_is_an_entry_for_every_user_in_the_order_asked() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.impact("Ann", 100, NOW_MS).await;
    let ann = |as_asked: &str| json!({ "userId": as_asked, "confidences": days(&[(NOW_MS, 900)]) });
    let nobody = json!({ "userId": "Nobody", "confidences": [] });
    let asked = json!({ "users": ["Nobody", " aNN ", "ann", "Nobody"] });
    assert_eq!(uci(&tenant, asked).await, json!([nobody, ann("Ann"), ann("Ann"), nobody]));
    let most: Vec<_> = (0..512).map(|n| format!("user{}", n % 7)).collect();
    assert_eq!(uci(&tenant, json!({ "users": most })).await.as_array().unwrap().len(), 512);
    let too_many = vec!["ann"; 513];
    let refused = tenant.api.post_json(GET_UCI, &json!({ "users": too_many })).await.expect(400);
    assert!(told(&refused).contains("512"), "{}", told(&refused));
    for wrong in [
        json!({}),
        json!({ "users": [] }),
        json!({ "users": "ann" }),
        json!({ "users": [1] }),
        json!({ "users": ["ann", " "] }),
        json!({ "users": ["ann"], "fromTime": "yesterday" }),
        json!({ "users": ["ann"], "fromTime": -1 }),
        json!({ "users": ["ann"], "capPerUser": 0 }),
        json!({ "users": ["ann"], "capPerUser": 1.5 }),
        json!({ "users": ["ann"], "capPerUser": "7" }),
    ] {
        tenant.api.post_json(GET_UCI, &wrong).await.expect(400);
    }
    let seconds = json!({ "users": ["ann"], "fromTime": NOW_MS / 1000 });
    let refused = tenant.api.post_json(GET_UCI, &seconds).await.expect(400);
    assert!(told(&refused).contains("looks like seconds"), "{}", told(&refused));
    assert!(told(&refused).contains(&NOW_MS.to_string()), "{}", told(&refused));
}

#[tokio::test]
async fn days_ascend_to_now_and_the_newest_are_given() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    server.clock.set(NOW_MS + 12 * HOUR_MS);
    tenant.impact("ann", 100, NOW_MS - 9 * DAY_MS + 5).await;
    tenant.impact("ann", 200, NOW_MS - DAY_MS - 1).await;
    tenant.impact("ann", 50, NOW_MS + HOUR_MS).await;
    let day = |n: i64| NOW_MS + n * DAY_MS;
    let whole: Vec<_> = (-9..=0)
        .map(|n| {
            (
                day(n),
                match n {
                    ..-2 => 900,
                    -2 | -1 => 700,
                    _ => 650,
                },
            )
        })
        .collect();
    let asked = async |more: Value| {
        let mut body = json!({ "users": ["ann"] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        uci(&tenant, body).await[0]["confidences"].clone()
    };
    assert_eq!(asked(json!({})).await, days(&whole[3..]));
    assert_eq!(asked(json!({ "fromTime": 0, "capPerUser": 1000 })).await, days(&whole));
    assert_eq!(asked(json!({ "fromTime": 0, "capPerUser": i64::MAX })).await, days(&whole));
    assert_eq!(asked(json!({ "fromTime": 1, "capPerUser": 1000 })).await, days(&whole));
    assert_eq!(asked(json!({ "capPerUser": 1 })).await, days(&whole[9..]));
    assert_eq!(asked(json!({ "fromTime": day(-1) })).await, days(&whole[8..]));
    assert_eq!(asked(json!({ "fromTime": day(0) - 1 })).await, days(&whole[8..]), "the day that holds it");
    assert_eq!(
        asked(json!({ "fromTime": serde_json::from_str::<Value>(&format!("{}.5", day(0))).unwrap() })).await,
        days(&whole[9..])
    );
    assert_eq!(asked(json!({ "fromTime": day(1) })).await, days(&[]));
    server.clock.advance(DAY_MS);
    let next = asked(json!({ "capPerUser": 2 })).await;
    assert_eq!(next, days(&[(day(0), 650), (day(1), 650)]));

    let one = tenant.api.post_json(ONE, &json!({ "user": "ANN", "fromTime": day(0) })).await.expect(200).json();
    assert_eq!(one, json!({ "userId": "ann", "confidences": days(&[(day(0), 650), (day(1), 650)]) }));
    let one = tenant.api.post_json(ONE, &json!({ "username": "ann" })).await.expect(200).json();
    assert_eq!(one["confidences"].as_array().unwrap().len(), 11, "all days");
    let one = tenant.api.post_json(ONE, &json!({ "user": "Nobody" })).await.expect(200).json();
    assert_eq!(one, json!({ "userId": "Nobody", "confidences": [] }));
    for wrong in [json!({}), json!({ "user": "" }), json!({ "username": 5 }), json!({ "user": "ann", "fromTime": [] })]
    {
        let refused = tenant.api.post_json(ONE, &wrong).await.expect(400).json();
        assert_eq!(refused["errorMsg"], refused["message"]);
    }
}

#[tokio::test]
async fn every_missing_point_is_explained() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let first = tenant.impact("ann@example.com", 300, NOW_MS - DAY_MS).await;
    let second = tenant.impact("ann@example.com", 75, NOW_MS).await;
    tenant.impact("ann@example.com", 10, NOW_MS - 31 * DAY_MS).await;
    let explain = "/api/v1/users/ann%40example.com/uci";
    let shown = tenant.api.get(explain).await.expect(200);
    assert_eq!(shown.json()["score"], 625);
    assert_eq!(shown.json()["band"], "moderate");
    assert_eq!(shown.json()["windowMs"], 30 * DAY_MS);
    let impacts = shown.json()["impacts"].clone();
    let ids: Vec<_> = impacts.as_array().unwrap().iter().map(|i| i["anomalyId"].clone()).collect();
    assert_eq!(ids, [json!(first), json!(second)]);
    assert_eq!(impacts[0]["until"], "2026-12-21T00:00:00.000Z");
    tenant.api.send("POST", &format!("{}/{first}/allow", super::ANOMALIES), "").await.expect(200);
    assert_eq!(tenant.api.get(explain).await.expect(200).json()["score"], 925);
    tenant.api.post_json(RESET, &json!({ "users": ["ann@example.com"] })).await.expect(200);
    let shown = tenant.api.get(explain).await.expect(200).json();
    assert_eq!((&shown["score"], &shown["impacts"]), (&json!(1000), &json!([])));
    let unknown = tenant.api.get("/api/v1/users/nobody/uci").await.expect(404).json();
    assert_eq!((&unknown["code"], &unknown["target"]), (&json!("not_found"), &json!("user")));
    for path in ["/api/v1/users/%FF/uci", "/api/v1/users/%20/uci"] {
        tenant.api.get(path).await.expect(404);
    }
    let blind = tenant.api.bearer(server.token(tenant.id, "anomalies:read", None).await.token.expose());
    assert_eq!(blind.get(explain).await.expect(403).json()["target"], "uci:read");
}
