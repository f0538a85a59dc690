//! What ends a user's tokens: for good, at once, and also over a restart.

use anomalake::domain::principal::Role;
use anomalake::services::auth::{Actor, Secret};

use super::{
    EMAIL, IAM, PASSWORD, Tokens, assert_let_in, assert_no_grant, assert_refused, exchange, iam_token, refresh,
    sign_in, tokens, with_user,
};
use crate::support::TestServer;

/// An IAM token and a session from it.
async fn all(server: &TestServer) -> (String, Tokens) {
    (iam_token(server).await, tokens(server).await)
}

async fn assert_all_ended(server: &TestServer, (iam, held): &(String, Tokens), why: &str) {
    let anyone = server.anyone();
    assert_refused(&anyone.with("x-iam-token", &**iam), why).await;
    assert_refused(&anyone.bearer(iam), why).await;
    assert_refused(&anyone.with("x-access-token", &*held.access), why).await;
    assert_refused(&anyone.bearer(&held.access), why).await;
    assert_no_grant(&exchange(&anyone, iam).await);
    assert_no_grant(&refresh(&anyone, &held.refresh).await);
}

#[tokio::test]
async fn a_disabled_user_has_no_token_then_or_later() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let held = all(&server).await;
    let auth = &server.owner.services.auth;
    auth.disable(&Actor::command_line(), EMAIL).await.unwrap();
    assert_all_ended(&server, &held, "disabled").await;
    assert_no_grant(&sign_in(&server.anyone(), EMAIL, PASSWORD).await);
    server.anyone().basic(EMAIL, PASSWORD).send("POST", IAM, "").await.expect(401);
    assert_let_in(&tenant.api, "a token of its own").await;
    auth.enable(&Actor::command_line(), EMAIL).await.unwrap();
    assert_all_ended(&server, &held, "enabled again").await;
    tokens(&server).await;
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_gave() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let held = all(&server).await;
    let new = || Secret::new("battery staple".to_owned());
    server.owner.services.auth.passwd(&Actor::command_line(), EMAIL, new()).await.unwrap();
    assert_all_ended(&server, &held, "password changed").await;
    assert_no_grant(&sign_in(&server.anyone(), EMAIL, PASSWORD).await);
    sign_in(&server.anyone(), EMAIL, "battery staple").await.expect(200);
}

#[tokio::test]
async fn a_lost_role_ends_the_tokens_of_its_tenant_only() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let held = all(&server).await;
    let second = server.tenant(99).await;
    let (auth, operator) = (&server.owner.services.auth, Actor::command_line());
    auth.grant(&operator, second.id, EMAIL, Role::Reader).await.unwrap();
    let there = server.anyone().with("bps-tenant-id", "99");
    let other = Tokens::of(&sign_in(&there, EMAIL, PASSWORD).await.expect(200));
    auth.revoke(&operator, tenant.id, EMAIL).await.unwrap();
    assert_all_ended(&server, &held, "role revoked").await;
    auth.grant(&operator, tenant.id, EMAIL, Role::Admin).await.unwrap();
    assert_all_ended(&server, &held, "role given back").await;
    assert_let_in(&server.anyone().bearer(&other.access), "another tenant's").await;
}

#[tokio::test]
async fn a_dropped_tenant_takes_its_tokens_along() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let held = all(&server).await;
    server.owner.services.drop_tenant(&Actor::command_line(), tenant.id).await.unwrap();
    assert_all_ended(&server, &held, "dropped").await;
    assert_refused(&tenant.api, "dropped").await;
    // The same number again is another tenant.
    server.tenant(5618).await;
    server.owner.services.auth.grant(&Actor::command_line(), tenant.id, EMAIL, Role::Reader).await.unwrap();
    assert_all_ended(&server, &held, "made anew").await;
    assert_refused(&tenant.api, "made anew").await;
}

#[tokio::test]
async fn tokens_and_their_ends_outlive_a_restart() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let (iam, held) = all(&server).await;
    let ended = tokens(&server).await;
    refresh(&server.anyone(), &ended.refresh).await.expect(200);
    assert_no_grant(&refresh(&server.anyone(), &ended.refresh).await);
    let server = server.restart().await;
    assert_let_in(&server.anyone().bearer(&held.access), "access").await;
    assert_let_in(&server.anyone().with("x-iam-token", iam), "iam").await;
    assert_refused(&server.anyone().bearer(&ended.access), "ended before").await;
    refresh(&server.anyone(), &held.refresh).await.expect(200);
    assert_no_grant(&refresh(&server.anyone(), &held.refresh).await);
}
