//! Errors: the body of the route's family, the id of the request, and no way around the policy.

use serde_json::json;

use crate::support::{Answer, TestServer};

#[tokio::test]
async fn each_family_has_its_own_body() {
    let server = TestServer::start().await;
    let anyone = server.anyone();
    insta::assert_snapshot!(anyone.get("/api/v1/anomalies").await.shown(), @r#"
    401 application/json
    {
      "code": "unauthenticated",
      "message": "the credentials are missing, wrong, expired or revoked",
      "requestId": "[id]"
    }
    "#);
    insta::assert_snapshot!(anyone.query(1).await.shown(), @r#"
    401 application/json
    {
      "code": 401,
      "message": "the credentials are missing, wrong, expired or revoked"
    }
    "#);
}

#[tokio::test]
async fn the_callers_request_id_is_kept_and_otherwise_one_is_made() {
    let server = TestServer::start().await;
    let anyone = server.anyone();
    let named = anyone.with("x-request-id", "mine-1").get("/api/v1/anomalies").await.expect(401);
    assert_eq!((named.header("x-request-id"), &named.json()["requestId"]), (Some("mine-1"), &json!("mine-1")));
    let id = |answer: Answer| answer.header("x-request-id").unwrap().to_owned();
    let (first, second) = (id(anyone.get("/healthz").await), id(anyone.get("/healthz").await));
    assert_ne!(first, second);
    assert_eq!(first.len(), 36);
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_tell_so_in_their_family() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for path in
        ["/", "/api/v1", "/api/v1/nothing", "/api/v2/activities", "/shnapi/rest/external/api/v1/nothing", "/etc/passwd"]
    {
        tenant.api.get(path).await.expect(404);
    }
    for (method, path) in [
        ("GET", crate::support::api::QUERY),
        ("PUT", "/api/v1/activities"),
        ("DELETE", "/api/v1/anomalies/1"),
        ("POST", "/healthz"),
        ("BREW", "/api/v1/anomalies"),
    ] {
        let answer = tenant.api.send(method, path, "").await.expect(405);
        assert!(answer.header("allow").is_some_and(|allow| !allow.is_empty()), "{method} {path}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_refused_whatever_their_credentials() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let page = tenant.api.with("sec-fetch-site", "cross-site");
    let refused = page.get("/api/v1/anomalies").await.expect(403).json();
    assert_eq!(refused["code"], "cross_site");
    page.query(1).await.expect(403);
    page.ingest("{\"timeStamp\":1}").await.expect(403);
    assert!(tenant.stored().await.is_empty());
    for site in ["same-origin", "same-site", "none"] {
        tenant.api.with("sec-fetch-site", site).get("/api/v1/anomalies").await.expect(200);
    }
    // Nobody is told that another site may read an answer.
    let answer = tenant.api.with("origin", "https://evil.example").get("/api/v1/anomalies").await.expect(200);
    assert!(answer.header("access-control-allow-origin").is_none());
}
