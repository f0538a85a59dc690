//! `POST /api/v1/impacts`.

use serde_json::{Value, json};

use super::impact;
use crate::support::records::ndjson;
use crate::support::{Answer, NOW_MS, TestServer};

const BATCH: &str = "/api/v1/impacts";

fn lines(answer: &Answer) -> Vec<Value> {
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_line_is_answered_and_stands_for_itself() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let mut keyed = impact("ann", 10, NOW_MS);
    keyed["idempotencyKey"] = json!("k");
    let mut conflicting = keyed.clone();
    conflicting["score"] = json!(11);
    let body = format!(
        "{}\n\n{keyed}\r\nnot json\n{}\n{keyed}\n{conflicting}\n{}",
        impact("ann", 1, NOW_MS),
        impact("ann", 1001, NOW_MS),
        impact("bob", 5, NOW_MS + 300_001),
    );
    let answer = tenant.api.send("POST", BATCH, body.clone()).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let found = lines(&answer);
    let numbers: Vec<_> = found.iter().map(|line| line["line"].as_i64().unwrap()).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 8]);
    assert_eq!(found[1]["anomalyId"], found[4]["anomalyId"], "the same key is the same impact");
    assert_ne!(found[0]["anomalyId"], found[1]["anomalyId"]);
    for (index, wanted) in [(2, "the line is wrong"), (3, "`score`"), (5, "`k`"), (6, "`timestamp`")] {
        let error = found[index]["error"].as_str().unwrap();
        assert!(error.contains(wanted) && found[index].get("anomalyId").is_none(), "{error}");
    }
    assert_eq!((tenant.score("ann").await, tenant.score("bob").await), (Some(989), None));
    let again = lines(&tenant.api.send("POST", BATCH, body).await.expect(200));
    assert_eq!((&again[1], &again[4]), (&found[1], &found[4]));
    assert_eq!(tenant.score("ann").await, Some(988), "the line without a key counts again");
}

#[tokio::test]
async fn a_batch_has_bounds_and_its_own_family_of_errors() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let many = vec![impact("ann", 1, NOW_MS); 300];
    let answer = tenant.api.send("POST", BATCH, ndjson(&many)).await.expect(200);
    assert!(lines(&answer).iter().all(|line| line["anomalyId"].is_string()));
    assert_eq!(tenant.score("ann").await, Some(700));
    assert!(tenant.api.send("POST", BATCH, "").await.expect(200).body.is_empty());
    let too_many = "x\n".repeat(10_001);
    assert_eq!(tenant.api.send("POST", BATCH, too_many).await.expect(413).json()["code"], "batch_too_large");
    tenant.api.send("POST", BATCH, vec![b'x'; (8 << 20) + 1]).await.expect(413);
    tenant.api.with("Idempotency-Key", "k").send("POST", BATCH, ndjson(&many)).await.expect(400);
    server.anyone().send("POST", BATCH, "").await.expect(401);
    let reader = tenant.api.bearer(server.token(tenant.id, "uci:read", None).await.token.expose());
    assert_eq!(reader.send("POST", BATCH, "").await.expect(403).json()["target"], "uci:write");
    assert_eq!(tenant.score("ann").await, Some(700));
}
