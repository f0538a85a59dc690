//! What a statement may ask, in which forms it comes and its rows leave, and what it says when it is wrong.

use serde_json::{Value, json};

use anomalake::services::auth::Actor;
use anomalake::services::uci::ImpactRequest;

use super::{ask, rows, store, value, varied};
use crate::support::wait::until;
use crate::support::{DAY_MS, HOUR_MS, NOW_MS, TestServer, TestTenant};

const PATH: &str = "/api/v1/sql";

async fn with_rows(count: i64) -> (TestServer, TestTenant) {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    store(&tenant, count).await;
    (server, tenant)
}

#[tokio::test]
async fn a_statement_comes_as_json_or_as_text() {
    let (_server, tenant) = with_rows(3).await;
    let text = "SELECT activityId, city, deviceManaged, noOfObjects FROM activities ORDER BY timeStamp";
    let as_text = tenant.api.with("content-type", "application/sql; charset=utf-8").send("POST", PATH, text).await;
    let as_text = as_text.expect(200);
    assert_eq!(as_text.header("content-type"), Some("text/csv;charset=utf-8;header=present"));
    assert_eq!(as_text.header("content-disposition"), Some("attachment; filename=\"rows.csv\""));
    insta::assert_snapshot!(as_text.text().replace("\r\n", "~\n"), @r"
    activityId,city,deviceManaged,noOfObjects~
    a000000,berlin,true,0.0~
    a000001,berlin,false,0.125~
    a000002,berlin,false,0.25~
    ");
    let as_json = tenant.api.post_json(PATH, &json!({ "sql": text })).await.expect(200);
    assert_eq!(as_json.body, as_text.body);
}

#[tokio::test]
async fn each_format_gives_the_same_rows() {
    let (_server, tenant) = with_rows(40).await;
    let text = "SELECT activityId, time, day, 1.5::decimal(5,2) AS amount, row_number() OVER (ORDER BY timeStamp) AS n,
        array_agg(actionName) OVER () IS NULL AS none, [1, NULL] AS list, {a: 'x'} AS object, sha256('x') AS digest, NULL AS nothing
        FROM activities ORDER BY timeStamp LIMIT 1";
    let refused = ask(&tenant.api, text).await.expect(400).json();
    assert!(refused["message"].as_str().unwrap().contains("array_agg"), "{refused}");
    let text = text.replace("array_agg(actionName) OVER () IS NULL AS none, ", "");
    insta::assert_json_snapshot!(rows(&tenant.api, &text).await, @r#"
    [
      {
        "activityId": "a000000",
        "amount": "1.50",
        "day": "2026-11-19",
        "digest": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        "list": [
          1,
          null
        ],
        "n": 1,
        "object": {
          "a": "x"
        },
        "time": "2026-11-19T00:00:00Z"
      }
    ]
    "#);
    for accept in [
        "text/csv;dialect=wire",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.parquet",
    ] {
        let answer = tenant.api.with("accept", accept).post_json(PATH, &json!({ "sql": text })).await.expect(200);
        assert!(!answer.body.is_empty(), "{accept}");
    }
    let wire =
        tenant.api.with("accept", "text/csv;dialect=wire").post_json(PATH, &json!({ "sql": text })).await.expect(200);
    insta::assert_snapshot!(wire.text(), @r#"
    activityId,time,day,amount,n,list,object,digest,nothing
    a000000,2026-11-19T00:00:00Z,2026-11-19,1.50,1,"[1,null]","{""a"":""x""}","2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    "#);
    for coding in ["gzip", "zstd"] {
        let packed =
            tenant.api.with("accept-encoding", coding).post_json(PATH, &json!({ "sql": text })).await.expect(200);
        assert_eq!(packed.header("content-encoding"), Some(coding));
    }
    for accept in ["application/xml", "text/csv;dialect=excel"] {
        tenant.api.with("accept", accept).post_json(PATH, &json!({ "sql": text })).await.expect(406);
    }
}

#[tokio::test]
async fn columns_of_one_name_get_numbers() {
    let (_server, tenant) = with_rows(1).await;
    let found =
        rows(&tenant.api, "SELECT a.activityId, b.activityId, a.activityId AS x FROM activities a, activities b").await;
    assert_eq!(found, json!([{ "activityId": "a000000", "activityId_2": "a000000", "x": "a000000" }]));
}

#[tokio::test]
async fn without_rows_there_is_the_form_of_the_format() {
    let (_server, tenant) = with_rows(1).await;
    let text = json!({ "sql": "SELECT activityId, asn FROM activities WHERE false" });
    for (accept, expected) in [
        ("text/csv", "activityId,asn\r\n"),
        ("application/json", "[]"),
        ("application/x-ndjson", ""),
        ("text/csv;dialect=wire", "activityId,asn\n"),
    ] {
        let answer = tenant.api.with("accept", accept).post_json(PATH, &text).await.expect(200);
        assert_eq!(answer.text(), expected, "{accept}");
    }
}

#[tokio::test]
async fn the_row_count_is_a_trailer_for_those_who_take_one() {
    let (_server, tenant) = with_rows(40).await;
    let api = tenant.api.with("te", "trailers");
    let answer = api.post_json(PATH, &json!({ "sql": "SELECT * FROM activities" })).await.expect(200);
    assert_eq!(answer.trailers.get("anomalake-rows").map(|rows| rows.to_str().unwrap()), Some("40"));
}

#[tokio::test]
async fn parameters_by_place_and_by_name() {
    let (_server, tenant) = with_rows(40).await;
    let ask = async |sql: &str, params: Value| {
        let body = json!({ "sql": sql, "params": params, "timeout": "20s" });
        tenant.api.with("accept", "application/json").post_json(PATH, &body).await
    };
    let count = async |sql: &str, params: Value| ask(sql, params).await.expect(200).json()[0]["n"].clone();
    assert_eq!(
        count("SELECT count(*) AS n FROM activities WHERE userKey = $1 AND asn < $2", json!(["ann@example.com", 20]))
            .await,
        0
    );
    assert_eq!(
        count("SELECT count(*) AS n FROM activities WHERE userKey = $user", json!({ "user": "bob@example.com" })).await,
        8
    );
    let at = json!({ "type": "timestamp", "value": "2026-11-19T00:30:00Z" });
    assert_eq!(count("SELECT count(*) AS n FROM activities WHERE time < $1", json!([at])).await, 19);
    let users = json!([["ann@example.com", "bob@example.com"]]);
    assert_eq!(count("SELECT count(*) AS n FROM activities WHERE array_has($1, userKey)", users).await, 16);
    for (sql, params, code) in [
        ("SELECT $1", json!([]), "sql_parameter"),
        ("SELECT $2", json!([1]), "sql_parameter"),
        ("SELECT $a", json!({ "b": 1 }), "sql_parameter"),
        ("SELECT 1", json!("x"), "sql_parameter"),
        ("SELECT 1", json!([{ "type": "date", "value": "x" }]), "sql_parameter"),
    ] {
        let refused = ask(sql, params).await.expect(400).json();
        assert_eq!(refused["code"], code, "{sql}: {refused}");
    }
    // A value is never a part of the statement.
    assert_eq!(count("SELECT count(*) AS n FROM activities WHERE userKey = $1", json!(["' OR 1=1 --"])).await, 0);
    tenant.api.post_json(PATH, &json!({ "sql": "SELECT 1", "timeout": "soon" })).await.expect(400);
    tenant.api.post_json(PATH, &json!({ "sql": "SELECT 1", "limit": 1 })).await.expect(400);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place() {
    let (_server, tenant) = with_rows(1).await;
    for (text, code, line, column, wanted) in [
        ("SELECT 1,\n  nope FROM activities", "sql_invalid", 2, 3, "nope"),
        ("SELECT *\nFROM elsewhere", "sql_invalid", 2, 6, "elsewhere"),
        ("SELECT\n\n read_parquet('x')", "sql_invalid", 3, 2, "read_parquet"),
        ("SELECT (1", "sql_syntax", 1, 10, "no SQL"),
        ("SELECT 'open", "sql_syntax", 1, 8, "no SQL"),
        ("", "sql_syntax", 1, 1, "empty"),
        ("\n DROP TABLE activities", "sql_not_allowed", 2, 2, "queries"),
        ("SELECT asn + country::interval FROM activities", "sql_invalid", 1, 1, ""),
        ("SELECT 1; SELECT 2", "sql_not_allowed", 1, 1, "one at a time"),
    ] {
        let refused = ask(&tenant.api, text).await.expect(400).json();
        assert_eq!(refused["code"], code, "{text}: {refused}");
        assert!(refused["message"].as_str().unwrap().contains(wanted), "{text}: {refused}");
        if !wanted.is_empty() {
            assert_eq!(refused["details"], json!({ "line": line, "column": column }), "{text}: {refused}");
        }
    }
    let failed = ask(&tenant.api, "SELECT cast(city AS bigint) FROM activities").await.expect(400).json();
    assert_eq!(failed["code"], "sql_failed", "{failed}");
    let failed = ask(&tenant.api, "SELECT 1 / (asn - asn) FROM (SELECT count(*) AS asn FROM activities)")
        .await
        .expect(400)
        .json();
    assert_eq!(failed["code"], "sql_failed", "{failed}");
}

#[tokio::test]
async fn the_schema_can_be_looked_at() {
    let (_server, tenant) = with_rows(1).await;
    let tables = rows(&tenant.api, "SHOW TABLES").await;
    let names: Vec<_> = tables.as_array().unwrap().iter().map(|row| row["table_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["activities", "evidence", "anomalies", "impacts", "users", "alerts"]);
    let columns = rows(&tenant.api, "DESCRIBE anomalies").await;
    assert!(columns.as_array().unwrap().iter().any(|column| column["column_name"] == "windowFrom"), "{columns}");
    let columns = rows(&tenant.api, "SHOW COLUMNS FROM activities").await;
    assert_eq!(columns.as_array().unwrap().len(), 63);
    let unit = "SELECT column_unit AS u FROM information_schema.columns WHERE table_name = 'activities' AND column_name = 'downloadBytes'";
    assert_eq!(value(&tenant.api, unit).await, "bytes");
    // What is told of a table is what it has.
    for table in names {
        let told = rows(&tenant.api, &format!("SELECT column_name AS c FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position")).await;
        let has = tenant
            .api
            .post_json(PATH, &json!({ "sql": format!("SELECT * FROM {table} WHERE false") }))
            .await
            .expect(200);
        let told: Vec<_> = told.as_array().unwrap().iter().map(|row| row["c"].as_str().unwrap()).collect();
        assert_eq!(has.text().trim_end(), told.join(","), "{table}");
    }
}

#[tokio::test]
async fn every_table_has_this_tenant_s_rows_only() {
    let (server, tenant) = with_rows(40).await;
    let other = server.tenant(7).await;
    store(&other, 30).await;
    let anomaly = json!({ "user": "Ann@example.com", "from": NOW_MS - 9 * DAY_MS, "to": NOW_MS, "category": "Insider Threats", "score": 7.5 });
    let (ours, theirs) = (tenant.anomaly(anomaly.clone()).await, other.anomaly(anomaly).await);
    server.clock.advance(crate::support::DELAY_MS);
    assert_eq!(tenant.query(ours).await.rows().len(), 8);
    assert_eq!(other.query(theirs).await.rows().len(), 6);
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 40);
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM evidence").await, 8);
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM anomalies").await, 1);
    assert_eq!(value(&tenant.api, &format!("SELECT count(*) FROM evidence WHERE anomalyId = {theirs}")).await, 0);
    assert_eq!(value(&tenant.api, &format!("SELECT count(*) FROM anomalies WHERE anomalyId = {theirs}")).await, 0);
    let joined = format!(
        "SELECT a.category, count(*) AS n, min(e.time) AS first FROM anomalies a JOIN evidence e USING (anomalyId)
         WHERE e.anomalyId IN ({ours}, {theirs}) AND e.time > now() - INTERVAL '4 days' GROUP BY 1"
    );
    assert_eq!(
        rows(&tenant.api, &joined).await,
        json!([{ "category": "Insider Threats", "n": 8, "first": "2026-11-19T00:00:00Z" }])
    );
    let anomaly =
        rows(&tenant.api, "SELECT userKey, windowTo, status, score, evidenceRows, serviceNames FROM anomalies").await;
    assert_eq!(
        anomaly,
        json!([{ "userKey": "ann@example.com", "windowTo": "2026-11-22T00:00:00Z", "status": "new", "score": 7.5, "evidenceRows": 8, "serviceNames": [] }])
    );
}

#[tokio::test]
async fn the_index_of_confidence_is_in_three_tables() {
    let (server, tenant) = with_rows(1).await;
    let other = server.tenant(7).await;
    let services = &server.owner.services;
    for (id, user, score, hours) in [
        (tenant.id, "Ann@x", 300, 1),
        (tenant.id, "bob@x", 400, 2),
        (tenant.id, "ann@x", 100, 3),
        (other.id, "eve@x", 700, 1),
    ] {
        let at = services.tenant(id).await.unwrap();
        let impact = ImpactRequest {
            user: user.to_owned(),
            score,
            timestamp_ms: NOW_MS - hours * HOUR_MS,
            source: "proxy".to_owned(),
            reason: "many downloads".to_owned(),
            idempotency_key: None,
        };
        services.record_impact(&at, impact).await.unwrap();
    }
    let scores = "SELECT userKey, score FROM users ORDER BY score";
    let both = json!([{ "userKey": "ann@x", "score": 600 }, { "userKey": "bob@x", "score": 600 }]);
    assert_eq!(rows(&tenant.api, &format!("{scores}, userKey")).await, both);
    assert_eq!(value(&tenant.api, "SELECT sum(points) FROM impacts WHERE userKey = 'ann@x'").await, 400);
    assert_eq!(
        value(
            &tenant.api,
            "SELECT count(DISTINCT a.anomalyId) FROM alerts a JOIN impacts i ON a.anomalyId = i.anomalyId AND a.userKey = i.userKey"
        )
        .await,
        3
    );
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM alerts WHERE userKey = 'eve@x'").await, 0);
    // The score is that of the moment, whatever is remembered.
    let whole = services.tenant(tenant.id).await.unwrap();
    services.reset_users(&Actor::command_line(), &whole, vec!["bob@x".to_owned()]).await.unwrap();
    let window_ms = services.uci_settings(&whole).window_ms;
    for (advance, ann) in [(0, 600), (window_ms - 3 * HOUR_MS, 700), (2 * HOUR_MS, 1000)] {
        server.clock.advance(advance);
        let told = rows(&tenant.api, "SELECT userKey, score FROM users ORDER BY userKey").await;
        assert_eq!(
            told,
            json!([{ "userKey": "ann@x", "score": ann }, { "userKey": "bob@x", "score": 1000 }]),
            "after {advance} ms"
        );
        assert_eq!(services.explain_user(&whole, "ann@x").await.unwrap().score, ann);
    }
    assert_eq!(
        rows(&tenant.api, "SELECT activity, points FROM impacts WHERE userKey = 'bob@x' ORDER BY anomalyId").await,
        json!([{ "activity": "impact", "points": 400 }, { "activity": "reset", "points": 0 }])
    );
}

#[tokio::test]
async fn functions_of_the_field() {
    let (_server, tenant) = with_rows(40).await;
    assert_eq!(value(&tenant.api, "SELECT count_users(userCount) FROM activities").await, 5);
    let by_action = "SELECT count_users(merged) AS n FROM (SELECT actionName, merge_user_count(userCount) AS merged FROM activities GROUP BY 1)";
    assert_eq!(value(&tenant.api, by_action).await, 5);
    let single = "SELECT merge_user_count(userCount) FROM activities WHERE userKey = 'ann@example.com'";
    let stored = "SELECT userCount FROM activities WHERE userKey = 'ann@example.com' LIMIT 1";
    assert_eq!(value(&tenant.api, single).await, value(&tenant.api, stored).await);
    assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities WHERE ip_in(sourceIP, '10.1.0.0/16')").await, 13);
    assert_eq!(value(&tenant.api, "SELECT ip_in('2001:db8::1', '2001:db8::/32')").await, true);
    ask(&tenant.api, "SELECT ip_in(sourceIP, 'x') FROM activities").await.expect(400);
    ask(&tenant.api, "SELECT count_users(city) FROM activities").await.expect(400);
}

#[tokio::test]
async fn a_predicate_on_time_opens_few_files() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    // A file for each of 20 days and each of 3 users.
    for day in 0..20 {
        for user in ["ann", "bob", "cem"] {
            let records: Vec<Value> = (0..24)
                .map(|hour| json!({ "timeStamp": NOW_MS - day * DAY_MS + hour * HOUR_MS, "user": user, "activityId": format!("{user}{day}-{hour}") }))
                .collect();
            tenant.ingest(&records).await;
        }
    }
    let at = NOW_MS - 7 * DAY_MS + 5 * HOUR_MS;
    let hour = "'2026-11-15T05:00:00Z' AND time < '2026-11-15T06:00:00Z'";
    for (condition, files) in [
        (format!("timeStamp >= {at} AND timeStamp < {}", at + HOUR_MS), 1),
        (format!("timeStamp BETWEEN {at} AND {}", at + HOUR_MS - 1), 1),
        (format!("time >= {hour}"), 1),
        (
            "time >= TIMESTAMP '2026-11-15 05:00:00' AND time < TIMESTAMP '2026-11-15 05:00:00' + INTERVAL '1 hour'"
                .to_owned(),
            1,
        ),
        ("date_trunc('hour', time) = '2026-11-15T05:00:00Z'".to_owned(), 1),
        (format!("to_timestamp_millis(timeStamp) >= to_timestamp_millis({at}) AND timeStamp < {}", at + HOUR_MS), 1),
        ("time::date = '2026-11-15' AND date_part('hour', time) = 5".to_owned(), 3),
        ("day = '2026-11-15' AND date_part('hour', time) = 5".to_owned(), 1),
    ] {
        let before = server.metric("anomalake_sql_files_opened_total").await;
        let found =
            rows(&tenant.api, &format!("SELECT activityId FROM activities WHERE userKey = 'ann' AND {condition}"))
                .await;
        assert_eq!(found, json!([{ "activityId": "ann7-5" }]), "{condition}");
        let opened = server.metric("anomalake_sql_files_opened_total").await - before;
        assert!(opened <= files, "{condition} opened {opened} files");
    }
}

#[tokio::test]
async fn explain_shows_a_plan_without_files_and_settings() {
    let (_server, tenant) = with_rows(40).await;
    for text in ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE", "EXPLAIN FORMAT TREE"] {
        let plan = ask(&tenant.api, &format!("{text} SELECT count(*) FROM activities WHERE asn > 5")).await.expect(200);
        let shown = plan.text();
        assert!(shown.contains("DataSourceExec") || shown.contains("DeltaScan"), "{text}: {shown}");
        for secret in [".parquet", "lake://", "day=", "datafusion.", "/tmp"] {
            assert!(!shown.contains(secret), "{text} shows {secret}: {shown}");
        }
    }
}

#[tokio::test]
async fn the_scope_is_asked_for_and_every_statement_is_audited() {
    let (server, tenant) = with_rows(40).await;
    let without = server.token(tenant.id, "activities:read", None).await;
    let refused = server.anyone().bearer(without.token.expose()).post_json(PATH, &json!({ "sql": "SELECT 1" })).await;
    assert!(refused.expect(403).text().contains("sql:read"));
    server.anyone().post_json(PATH, &json!({ "sql": "SELECT 1" })).await.expect(401);
    let only = server.token(tenant.id, "sql:read", None).await;
    let analyst = server.anyone().bearer(only.token.expose());
    assert_eq!(value(&analyst, "SELECT count(*) FROM anomalies").await, 0);
    ask(&analyst, "SELECT activityId FROM activities").await.expect(200);
    ask(&analyst, "SELECT nope").await.expect(400);
    let entries = async || {
        let mut entries = server.audit(&tenant).await;
        entries.retain(|entry| entry.action == "sql");
        entries
    };
    until("three entries", async || entries().await.len() == 3).await;
    let mut told: Vec<_> = entries()
        .await
        .into_iter()
        .map(|e| (e.target.unwrap(), e.rows, e.detail["outcome"].as_str().unwrap().to_owned()))
        .collect();
    told.sort();
    assert_eq!(
        (told[0].0.as_str(), told[0].1, told[0].2.as_str()),
        ("SELECT activityId FROM activities", Some(40), "complete")
    );
    assert_eq!(
        (told[1].0.as_str(), told[1].1, told[1].2.as_str()),
        ("SELECT count(*) FROM anomalies", Some(1), "complete")
    );
    assert!(told[2].2.contains("nope"), "{:?}", told[2]);
}

#[tokio::test]
async fn formulas_are_escaped_on_request() {
    let (_server, tenant) = with_rows(1).await;
    let body = json!({ "sql": "SELECT '=1+1' AS a, -1 AS b" });
    let answer = tenant.api.post_json(&format!("{PATH}?escape_formulas=true"), &body).await.expect(200);
    assert_eq!(answer.text(), "a,b\r\n\"'=1+1\",-1\r\n");
    assert_eq!(tenant.api.post_json(PATH, &body).await.expect(200).text(), "a,b\r\n=1+1,-1\r\n");
    assert_eq!(varied(0)["user"], "ann@example.com");
}
