//! `POST /neo/neo-auth-service/oauth/token`.

use anomalake::domain::principal::Role;
use anomalake::services::auth::Actor;
use serde_json::json;

use super::{
    BY_IAM_TOKEN, BY_PASSWORD, BY_REFRESH_TOKEN, EMAIL, IAM, LIST, PASSWORD, Tokens, assert_let_in, assert_no_grant,
    assert_refused, exchange, iam_token, refresh, sign_in, text, tokens, with_user,
};
use crate::support::{Answer, TestServer};

/// The whole answer, its secrets replaced.
fn shown(answer: &Answer) -> String {
    let mut body = answer.json();
    for (key, prefix) in [("access_token", "anomalake_access_"), ("refresh_token", "anomalake_refresh_")] {
        let random = text(&body, key);
        assert_eq!(random.strip_prefix(prefix).unwrap().len(), 43);
        body[key] = format!("{prefix}[random]").into();
    }
    serde_json::to_string_pretty(&body).unwrap()
}

#[tokio::test]
async fn an_iam_token_gives_the_full_answer() {
    let server = TestServer::start().await;
    with_user(&server, Role::Manager).await;
    let iam = iam_token(&server).await;
    let answer = exchange(&server.anyone(), &iam).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    insta::assert_snapshot!(shown(&answer), @r#"
    {
      "access_token": "anomalake_access_[random]",
      "email": "ann@example.com",
      "expires_in": 899,
      "refresh_token": "anomalake_refresh_[random]",
      "scope": "read write",
      "tenantID": 5618,
      "tenantName": "Example",
      "token_type": "bearer",
      "user": "ann@example.com",
      "userId": 1
    }
    "#);
    let access = Tokens::of(&answer).access;
    assert_let_in(&server.anyone().bearer(&access), "Bearer").await;
    // Clients send both at once, and much of the answer as headers.
    let client = server.anyone().bearer(&access).with("x-access-token", &*access);
    assert_let_in(&client, "both").await;
    assert_let_in(&client.with("x-refresh-token", Tokens::of(&answer).refresh).with("user-id", "1"), "all").await;
    // The IAM token lives on, and the body may be empty.
    server.anyone().with("x-iam-token", &*iam).send("POST", BY_IAM_TOKEN, "").await.expect(200);
    let more = format!("{BY_IAM_TOKEN}&skip_audit=true");
    server.anyone().with("X-IAM-TOKEN", &*iam).send("POST", &more, "{}").await.expect(200);
}

#[tokio::test]
async fn a_password_and_a_refresh_token_give_the_same_form() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let first = sign_in(&server.anyone(), "Ann@Example.com", PASSWORD).await.expect(200);
    let second = refresh(&server.anyone(), &Tokens::of(&first).refresh).await.expect(200);
    for answer in [&first, &second] {
        let body = answer.json();
        assert_eq!((&body["scope"], &body["expires_in"]), (&json!("read"), &json!(899)));
        assert_eq!(shown(answer), shown(&first));
        assert_let_in(&server.anyone().with("x-access-token", Tokens::of(answer).access), "access").await;
    }
}

#[tokio::test]
async fn the_grant_names_its_header_and_no_other_counts() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    let wrong = server
        .anyone()
        .with("x-access-token", "wrong")
        .with("netskope-api-token", "wrong")
        .bearer("wrong")
        .with("x-refresh-token", "wrong")
        .with("x-auth-password", "wrong");
    exchange(&wrong, &iam).await.expect(200);
    refresh(&wrong.with("x-iam-token", "wrong"), &held.refresh).await.expect(200);
    sign_in(&wrong.with("x-iam-token", "wrong"), EMAIL, PASSWORD).await.expect(200);
    // And none that would be right elsewhere helps.
    let right = server.anyone().basic(EMAIL, PASSWORD).with("x-access-token", &*held.access);
    for route in [BY_IAM_TOKEN, BY_PASSWORD, BY_REFRESH_TOKEN] {
        assert_no_grant(&right.send("POST", route, "{}").await);
        assert_no_grant(&tenant.api.send("POST", route, "{}").await);
        assert_no_grant(&server.anyone().send("POST", route, "").await);
    }
    assert_no_grant(&server.anyone().with("x-auth-username", EMAIL).send("POST", BY_PASSWORD, "").await);
}

#[tokio::test]
async fn only_tokens_of_the_grants_kind_are_exchanged() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    for wrong in ["", "wrong", &*tenant.token, &*held.access, &*held.refresh] {
        assert_no_grant(&exchange(&server.anyone(), wrong).await);
    }
    for wrong in ["", "wrong", &*tenant.token, &*held.access, &*iam] {
        assert_no_grant(&refresh(&server.anyone(), wrong).await);
    }
    refresh(&server.anyone(), &held.refresh).await.expect(200);
}

#[tokio::test]
async fn an_unknown_grant_is_a_bad_request() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let iam = iam_token(&server).await;
    for query in ["", "?grant_type=", "?grant_type=client_credentials", "?grant_type=IAM_TOKEN", "?grant=iam_token"] {
        let path = format!("/neo/neo-auth-service/oauth/token{query}");
        let refused = server.anyone().with("x-iam-token", &*iam).send("POST", &path, "").await.expect(400);
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused.shown(), @r#"
            400 application/json
            {
              "code": 400,
              "message": "grant_type must be iam_token, password or refresh_token",
              "target": "grant_type"
            }
            "#);
        }
    }
    let unknown = server.anyone().send("POST", "/neo/neo-auth-service/oauth/authorize", "").await.expect(404);
    assert_eq!(unknown.json()["code"], 404);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_second_use_ends_the_session() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let first = tokens(&server).await;
    let other = tokens(&server).await;
    let second = Tokens::of(&refresh(&server.anyone(), &first.refresh).await.expect(200));
    assert_ne!((&second.access, &second.refresh), (&first.access, &first.refresh));
    // A refresh does not end the access token before it.
    assert_let_in(&server.anyone().bearer(&first.access), "first").await;
    let third = Tokens::of(&refresh(&server.anyone(), &second.refresh).await.expect(200));

    assert_no_grant(&refresh(&server.anyone(), &first.refresh).await);
    for ended in [&first, &second, &third] {
        assert_refused(&server.anyone().bearer(&ended.access), "the session has ended").await;
        assert_no_grant(&refresh(&server.anyone(), &ended.refresh).await);
    }
    assert_let_in(&server.anyone().bearer(&other.access), "another sign-in of the same user").await;
    refresh(&server.anyone(), &other.refresh).await.expect(200);
    let trail = server.audit(&tenant).await;
    assert_eq!(trail.iter().filter(|entry| entry.action == "token.reuse").count(), 1);
    // Five sessions: two sign-ins, three refreshes.
    let issued: Vec<_> = trail.iter().filter(|entry| entry.action == "token.issue").collect();
    assert_eq!(issued.len(), 5);
    assert!(issued.iter().all(|entry| entry.principal == EMAIL && entry.address.as_deref() == Some("127.0.0.1")));
}

#[tokio::test]
async fn a_token_of_another_tenant_than_the_named_one_is_forbidden_and_not_used_up() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let second = server.tenant(99).await;
    server.owner.services.auth.grant(&Actor::command_line(), second.id, EMAIL, Role::Manager).await.unwrap();
    sign_in(&server.anyone(), EMAIL, PASSWORD).await.expect(400);
    sign_in(&server.anyone().with("bps-tenant-id", "7"), EMAIL, PASSWORD).await.expect(403);
    let here = server.anyone().with("bps-tenant-id", "5618");
    let there = server.anyone().with("bps-tenant-id", "99");
    let held = sign_in(&there, EMAIL, PASSWORD).await.expect(200);
    assert_eq!((&held.json()["tenantID"], &held.json()["scope"]), (&json!(99), &json!("read write")));
    let held = Tokens::of(&held);

    refresh(&here, &held.refresh).await.expect(403);
    let held = Tokens::of(&refresh(&there, &held.refresh).await.expect(200));
    let held = Tokens::of(&refresh(&server.anyone(), &held.refresh).await.expect(200));
    here.with("x-access-token", &*held.access).get(LIST).await.expect(403);
    there.with("x-access-token", &*held.access).get(LIST).await.expect(200);

    let iam = text(&here.basic(EMAIL, PASSWORD).send("POST", IAM, "").await.expect(200).json(), "access_token");
    insta::assert_snapshot!(exchange(&there, &iam).await.shown(), @r#"
    403 application/json
    {
      "code": 403,
      "message": "the credentials are valid but give no role in the tenant"
    }
    "#);
    assert_eq!(exchange(&here, &iam).await.expect(200).json()["tenantID"], 5618);
    exchange(&here.with("bps-tenant-id", "skyhigh"), &iam).await.expect(400);
}

#[tokio::test]
async fn expires_in_tells_the_truth_of_a_setting() {
    let server = TestServer::start_with(|settings| settings.tokens.access = std::time::Duration::from_secs(5)).await;
    with_user(&server, Role::Reader).await;
    let answer = sign_in(&server.anyone(), EMAIL, PASSWORD).await.expect(200);
    assert_eq!(answer.json()["expires_in"], 5);
    let api = server.anyone().bearer(&Tokens::of(&answer).access);
    server.clock.advance(4_999);
    assert_let_in(&api, "still").await;
    server.clock.advance(1);
    assert_refused(&api, "expired").await;
}
