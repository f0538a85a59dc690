//! `POST /shnapi/rest/external/api/v1/token`.

use anomalake::domain::principal::Role;
use anomalake::services::auth::Actor;
use serde_json::json;

use super::{EMAIL, IAM, LIST, PASSWORD, assert_let_in, with_user};
use crate::support::TestServer;

const ROUTE: &str = "/shnapi/rest/external/api/v1/token";

#[tokio::test]
async fn a_password_gives_a_token_and_nothing_keeps_it() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let answer = server.anyone().basic(EMAIL, PASSWORD).send("POST", IAM, "").await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let token = body["access_token"].as_str().unwrap();
    assert!(token.starts_with("anomalake_iam_"));
    assert_eq!(body, json!({ "access_token": token, "token_type": "bearer" }));
    assert_let_in(&server.anyone().bearer(token), "Bearer").await;
    assert_let_in(&server.anyone().with("X-IAM-Token", token), "x-iam-token").await;
    // Superfluous headers, parameters and bodies change nothing.
    let noisy = server.anyone().basic(EMAIL, PASSWORD).with("x-access-token", "wrong").with("x-iam-token", "wrong");
    let more = format!("{IAM}&skip_audit=true");
    let again = noisy.send("POST", &more, "not even JSON").await.expect(200);
    assert_ne!(again.json()["access_token"], token);
}

#[tokio::test]
async fn anything_but_a_right_password_is_refused() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let anyone = server.anyone();
    for api in [
        anyone.clone(),
        anyone.basic(EMAIL, "wrong password"),
        anyone.basic("nobody@example.com", PASSWORD),
        anyone.bearer(&tenant.token),
        anyone.with("netskope-api-token", &tenant.token),
        anyone.with("x-auth-username", EMAIL).with("x-auth-password", PASSWORD),
    ] {
        let refused = api.send("POST", IAM, "").await.expect(401);
        assert_eq!(refused.json()["code"], 401);
        assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"anomalake\", charset=\"UTF-8\""));
    }
    server.owner.services.auth.disable(&Actor::command_line(), EMAIL).await.unwrap();
    anyone.basic(EMAIL, PASSWORD).send("POST", IAM, "").await.expect(401);
}

#[tokio::test]
async fn an_unknown_grant_is_a_bad_request_before_any_credential() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    for api in [server.anyone(), server.anyone().basic(EMAIL, PASSWORD)] {
        for (query, target) in [
            ("", "grant_type"),
            ("?token_type=iam", "grant_type"),
            ("?grant_type=client_credentials&token_type=iam", "grant_type"),
            ("?grant_type=Password&token_type=iam", "grant_type"),
            ("?grant_type=password", "token_type"),
            ("?grant_type=password&token_type=access", "token_type"),
        ] {
            let refused = api.send("POST", &format!("{ROUTE}{query}"), "").await.expect(400).json();
            assert_eq!((&refused["code"], &refused["target"]), (&json!(400), &json!(target)), "{query}");
        }
        let twice = format!("{IAM}&grant_type=iam_token");
        api.send("POST", &twice, "").await.expect(400);
    }
    server.anyone().basic(EMAIL, PASSWORD).get(IAM).await.expect(405);
}

#[tokio::test]
async fn a_user_of_several_tenants_gets_the_token_of_the_named_one() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let second = server.tenant(99).await;
    let basic = server.anyone().basic(EMAIL, PASSWORD);
    // One tenant: the header may stay away.
    basic.send("POST", IAM, "").await.expect(200);
    server.owner.services.auth.grant(&Actor::command_line(), second.id, EMAIL, Role::Manager).await.unwrap();
    insta::assert_snapshot!(basic.send("POST", IAM, "").await.shown(), @r#"
    400 application/json
    {
      "code": 400,
      "message": "the user has several tenants; name one in the header bps-tenant-id",
      "target": "bps-tenant-id"
    }
    "#);
    insta::assert_snapshot!(basic.with("bps-tenant-id", "7").send("POST", IAM, "").await.shown(), @r#"
    403 application/json
    {
      "code": 403,
      "message": "the credentials are valid but give no role in the tenant"
    }
    "#);
    let id = tenant.of_user("x").await;
    let path = format!("{LIST}/{id}");
    for (named, other, status) in [("5618", "99", 200), ("99", "5618", 404)] {
        let answer = basic.with("BPS-Tenant-Id", named).send("POST", IAM, "").await.expect(200);
        let api = server.anyone().bearer(answer.json()["access_token"].as_str().unwrap());
        api.get(&path).await.expect(status);
        api.with("bps-tenant-id", named).get(&path).await.expect(status);
        // The token is of one tenant, though its user has both.
        api.with("bps-tenant-id", other).get(&path).await.expect(403);
        api.with("bps-tenant-id", other).query(id).await.expect(403);
    }
}

#[tokio::test]
async fn a_password_beyond_ascii_is_read_in_both_encodings_that_clients_use() {
    use base64::Engine as _;
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    server.user(tenant.id, EMAIL, "schöne Grüße", Role::Reader).await;
    let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let whole = format!("{EMAIL}:schöne Grüße");
    for bytes in [whole.clone().into_bytes(), latin(&whole)] {
        let value = format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(bytes));
        server.anyone().with("authorization", value).send("POST", IAM, "").await.expect(200);
    }
}
