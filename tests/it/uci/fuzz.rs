//! Bodies and queries that nobody would send: no answer is a 500, and each keeps to the document.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;
use url::form_urlencoded;

use super::{DATA, EXPORT, FIND, GET_UCI, IMPACT, RESET, SEARCH};
use crate::support::{NOW_MS, TestServer};

/// Names that some route reads, so that a made-up object meets the code behind them.
const NAMES: [&str; 32] = [
    "user",
    "users",
    "username",
    "score",
    "timestamp",
    "source",
    "reason",
    "filters",
    "equals",
    "contains",
    "startTime",
    "endTime",
    "anomalyId",
    "fromTime",
    "capPerUser",
    "timeframe",
    "limit",
    "offset",
    "sortby",
    "sortorder",
    "watchlist",
    "ratingRank",
    "usersActiveInLastDays",
    "name",
    "schedule",
    "at",
    "weekday",
    "dayOfMonth",
    "enabled",
    "idempotencyKey",
    "id",
    "more",
];

const WORDS: [&str; 16] = [
    "ann", " ANN ", "", " ", "time", "asc", "poor", "all", "daily", "weekly", "02:00", "monday", "*", "[a", "\u{0}",
    "%_'\"\\",
];

const POSTED: [&str; 12] = [
    IMPACT,
    SEARCH,
    RESET,
    GET_UCI,
    "/api/v2/incidents/anomalies/1/allow",
    "/api/v2/incidents/anomalies/%F0%9F%92%A5/allow",
    "/api/v2/incidents/uci/resetrules",
    "/api/v2/ubadatasvc/user/uci",
    "/api/v2/incidents/users/getanomalies",
    "/api/v2/incidents/users/getactiveuci",
    "/api/v2/incidents/users/getuci",
    "/api/v1/impacts",
];

const ASKED: [&str; 5] = [SEARCH, "/api/v2/incidents/users/getanomalies", DATA, EXPORT, FIND];

const PARAMETERS: [&str; 12] = [
    "offset",
    "limit",
    "fields",
    "activity",
    "sortby",
    "sortorder",
    "type",
    "starttime",
    "endtime",
    "index",
    "operation",
    "query",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3_i64..1010).prop_map(Value::from),
        (NOW_MS - 10_000_000_000..NOW_MS + 1_000_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&WORDS).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(&NAMES), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

/// An object that is right but for some fields.
fn nearly_right() -> impl Strategy<Value = Value> {
    let right = json!({
        "user": "ann", "users": ["ann"], "score": 5, "timestamp": NOW_MS, "source": "s", "reason": "r", "name": "n",
        "schedule": "daily", "at": "02:00", "fromTime": 0, "filters": { "user": { "equals": ["ann"] } },
    });
    prop::collection::vec((prop::sample::select(&NAMES), value()), 0..4).prop_map(move |changes| {
        let mut body: Map<String, Value> = right.as_object().unwrap().clone();
        body.extend(changes.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Value::Object(body)
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => nearly_right().prop_map(|value| value.to_string().into_bytes()),
        2 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(vec![b'['; 5000]),
    ]
}

/// Cases of each property; more with `PROPTEST_CASES`.
fn runner() -> TestRunner {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200);
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn no_body_makes_the_server_fail() {
    let runtime = Runtime::new().unwrap();
    let (server, tenant) = runtime.block_on(async {
        let server = TestServer::start().await;
        let tenant = server.tenant(5618).await;
        tenant.impact("ann", 5, NOW_MS).await;
        (server, tenant)
    });
    let strategy = (prop::sample::select(&POSTED), body());
    let outcome = runner().run(&strategy, |(path, body)| {
        // Sending checks the answer's form against the document.
        let answer = runtime.block_on(tenant.api.send("POST", path, body));
        prop_assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
        Ok(())
    });
    runtime.block_on(async {
        server.stop();
        server.ended().await;
    });
    outcome.unwrap();
}

#[test]
fn no_query_makes_the_server_fail() {
    let runtime = Runtime::new().unwrap();
    let (server, tenant) = runtime.block_on(async {
        let server = TestServer::start().await;
        let tenant = server.tenant(5618).await;
        tenant.impact("ann", 5, NOW_MS).await;
        (server, tenant)
    });
    let values = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (0_i64..20).prop_map(|n| n.to_string()),
        prop::sample::select(&["next", "resend", "head", "tail", "uba", "user,score", "time", "asc", "$limit", ""])
            .prop_map(str::to_owned),
        r#"(user|alert_name|eq|in|and|[()\[\],"' ]|\PC){0,12}"#,
    ];
    let strategy = (
        prop::sample::select(&ASKED),
        prop::collection::vec((prop::sample::select(&PARAMETERS), values), 0..5),
        any::<bool>(),
    );
    let outcome = runner().run(&strategy, |(path, pairs, raw)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        let query = if raw { query.finish().replace("%2", "%") } else { query.finish() };
        let method = if path.contains("/events/") { "GET" } else { "POST" };
        let answer = runtime.block_on(tenant.api.send(method, &format!("{path}?{query}"), ""));
        prop_assert!(answer.status < 500, "{}: {}", answer.status, answer.text());
        Ok(())
    });
    runtime.block_on(async {
        server.stop();
        server.ended().await;
    });
    outcome.unwrap();
}
