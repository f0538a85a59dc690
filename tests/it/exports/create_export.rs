//! `POST /api/v1/exports`.

use serde_json::{Value, json};

use super::{PATH, ask, content, make, show, tenant_with};
use crate::support::TestServer;

#[tokio::test]
async fn an_export_holds_what_the_anomaly_has_in_every_format() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 300).await;
    let direct = format!("/api/v1/anomalies/{anomaly}/activities");
    for (format, media_type) in [
        ("csv", "text/csv;charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("json", "application/json"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ] {
        let wish = json!({ "anomaly": format!("ANO-{anomaly}"), "format": format, "name": format!("night {format}") });
        let answer = tenant.api.post_json(PATH, &wish).await.expect(202);
        let id = answer.json()["id"].as_i64().unwrap();
        assert_eq!(answer.header("location"), Some(&*format!("{PATH}/{id}")));
        assert_eq!((&answer.json()["state"], &answer.json()["anomaly"]), (&json!("pending"), &json!(anomaly)));
        make(&server).await;
        let shown = show(&tenant, id).await;
        assert_eq!((&shown["state"], &shown["rows"]), (&json!("ready"), &json!(300)), "{shown}");
        let file = content(&tenant, id).await.expect(200);
        assert_eq!(shown["bytes"], file.body.len());
        assert_eq!(file.header("content-type"), Some(media_type));
        assert_eq!(file.header("anomalake-rows"), Some("300"));
        let name = format!("attachment; filename=\"night {format}\"");
        assert_eq!(file.header("content-disposition"), Some(&*name));
        let wanted = tenant.api.with("accept", media_type).get(&direct).await.expect(200);
        assert!(file.body == wanted.body, "{format}: other bytes");
    }
    let actions: Vec<String> = server.audit(&tenant).await.into_iter().map(|entry| entry.action).collect();
    let of_first: Vec<_> = actions.iter().filter(|action| action.starts_with("export.")).take(3).collect();
    assert_eq!(of_first, ["export.create", "export.ready", "export.download"]);
}

#[tokio::test]
async fn an_export_holds_what_a_statement_gives() {
    let server = TestServer::start().await;
    let (tenant, _) = tenant_with(&server, 300).await;
    let sql =
        "SELECT fileName, \"time\", count(*) AS n FROM activities WHERE fileName < $limit GROUP BY 1, 2 ORDER BY 1";
    let params = json!({ "limit": "2" });
    for (format, media_type) in [
        ("csv", "text/csv"),
        ("ndjson", "application/x-ndjson"),
        ("json", "application/json"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ] {
        let wish = json!({ "sql": sql, "params": params, "format": format });
        let id = tenant.api.post_json(PATH, &wish).await.expect(202).json()["id"].as_i64().unwrap();
        make(&server).await;
        let shown = show(&tenant, id).await;
        assert_eq!(
            (&shown["state"], &shown["rows"], &shown["params"]),
            (&json!("ready"), &json!(112), &params),
            "{shown}"
        );
        let direct = tenant.api.with("accept", media_type);
        let direct = direct.post_json("/api/v1/sql", &json!({ "sql": sql, "params": params })).await.expect(200);
        assert!(content(&tenant, id).await.expect(200).body == direct.body, "{format}: other bytes");
    }
}

#[tokio::test]
async fn statements_are_refused_when_asked_for_and_what_they_meet_later_is_told() {
    let server = TestServer::start().await;
    let (tenant, _) = tenant_with(&server, 3).await;
    for (wish, code) in [
        (json!({ "sql": "selec 1" }), "sql_syntax"),
        (json!({ "sql": "SELECT nothing FROM activities" }), "sql_invalid"),
        (json!({ "sql": "SELECT * FROM tokens" }), "sql_invalid"),
        (json!({ "sql": "CREATE TABLE a (b INT)" }), "sql_not_allowed"),
        (json!({ "sql": "SELECT $1" }), "sql_parameter"),
        (json!({ "sql": "SELECT $1", "params": 5 }), "sql_parameter"),
        (json!({ "sql": "" }), "sql_syntax"),
    ] {
        assert_eq!(tenant.api.post_json(PATH, &wish).await.expect(400).json()["code"], code, "{wish}");
    }
    let wish = json!({ "sql": "SELECT 1 / (asn - asn) FROM (SELECT coalesce(asn, 1) AS asn FROM activities)" });
    let id = tenant.api.post_json(PATH, &wish).await.expect(202).json()["id"].as_i64().unwrap();
    make(&server).await;
    let shown = show(&tenant, id).await;
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("failed"), &json!(1)), "{shown}");
    assert!(shown["error"].as_str().unwrap().to_lowercase().contains("divide by zero"), "{shown}");
    assert!(server.export_files().is_empty());
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_at_once() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 1).await;
    for (wish, target) in [
        (json!({}), "sql"),
        (json!({ "anomaly": anomaly, "sql": "select 1" }), "sql"),
        (json!({ "anomaly": anomaly, "params": [1] }), "params"),
        (json!({ "anomaly": 4711 }), "anomaly"),
        (json!({ "anomaly": "ANO-x" }), "anomaly"),
        (json!({ "anomaly": -1 }), "anomaly"),
        (json!({ "anomaly": anomaly, "format": "xlsx" }), "format"),
        (json!({ "anomaly": anomaly, "name": "../../x" }), "name"),
        (json!({ "anomaly": anomaly, "name": "" }), "name"),
        (json!({ "anomaly": anomaly, "name": "a\r\nset-cookie: b" }), "name"),
    ] {
        let answer = tenant.api.post_json(PATH, &wish).await.expect(400).json();
        assert_eq!((&answer["code"], &answer["target"]), (&json!("bad_value"), &json!(target)), "{wish}");
    }
    let refused = tenant.api.post_json(PATH, &json!({ "anomaly": anomaly, "colour": "red" })).await.expect(400).json();
    assert_eq!(refused["code"], "bad_json");
    let other = server.token(tenant.id, "activities:write,anomalies:write", None).await;
    let answer = server.anyone().bearer(other.token.expose()).post_json(PATH, &json!({ "anomaly": anomaly })).await;
    assert_eq!(answer.expect(403).json()["target"], "sql:read");
    assert_eq!(tenant.api.get(PATH).await.expect(200).json()["exports"], json!([]));
}

#[tokio::test]
async fn a_tenant_has_so_many_exports_and_bytes_and_no_more() {
    let server = TestServer::start_with(|settings| settings.exports.per_tenant = 2).await;
    let (tenant, anomaly) = tenant_with(&server, 100).await;
    let (first, _) = (ask(&tenant, anomaly).await, ask(&tenant, anomaly).await);
    let wish = json!({ "anomaly": anomaly });
    let refused = tenant.api.post_json(PATH, &wish).await.expect(409).json();
    assert_eq!((&refused["code"], &refused["details"]["limit"]), (&json!("too_many_exports"), &json!(2)));
    tenant.api.send("DELETE", &format!("{PATH}/{first}"), "").await.expect(204);
    ask(&tenant, anomaly).await;
    make(&server).await;

    let server = server.restart_with(|settings| settings.exports.bytes_per_tenant = 20_000).await;
    let tenant = tenant.at(&server);
    let page = tenant.api.get(PATH).await.expect(200).json();
    let bytes: i64 = page["exports"].as_array().unwrap().iter().map(|export| export["bytes"].as_i64().unwrap()).sum();
    assert!(bytes > 20_000, "{page}");
    tenant.api.send("DELETE", &format!("{PATH}/{}", page["exports"][0]["id"]), "").await.expect(204);
    let wish_answer = tenant.api.post_json(PATH, &wish).await;
    let state: Value = match wish_answer.status {
        // What is there takes all of it already.
        507 => wish_answer.json()["code"].clone(),
        202 => {
            make(&server).await;
            let shown = show(&tenant, wish_answer.json()["id"].as_i64().unwrap()).await;
            assert!(shown["error"].as_str().unwrap().contains("19.5 KiB"), "{shown}");
            shown["state"].clone()
        }
        _ => panic!("{wish_answer:?}"),
    };
    assert!(state == "exports_full" || state == "failed", "{state}");
}
