//! Who may call, and what callers learn who may not.

use std::time::Duration;

use anomalake::domain::principal::Role;
use anomalake::services::auth::{Actor, Secret};
use serde_json::json;

use crate::support::api::QUERY;
use crate::support::{Answer, Api, TestServer, TestTenant};

const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "correct horse battery";
const LIST: &str = "/api/v1/anomalies";

async fn query(api: &Api) -> Answer {
    api.query(1).await
}

/// The caller is refused under both families, with the challenge of each, and nothing secret is repeated.
async fn assert_unauthenticated(api: &Api, secrets: &[&str]) {
    let (external, own) = (query(api).await.expect(401), api.get(LIST).await.expect(401));
    assert_eq!(external.header("www-authenticate"), Some("Basic realm=\"anomalake\", charset=\"UTF-8\""));
    assert_eq!(own.header("www-authenticate"), Some("Bearer"));
    for answer in [external, own] {
        assert!(answer.text().contains("credentials"), "{}", answer.text());
        for secret in secrets {
            assert!(!answer.text().contains(secret), "a secret in {}", answer.text());
            assert!(
                answer
                    .headers
                    .values()
                    .all(|value| !value.as_bytes().windows(secret.len()).any(|w| w == secret.as_bytes()))
            );
        }
    }
}

async fn with_user(server: &TestServer, role: Role) -> TestTenant {
    let tenant = server.tenant(5618).await;
    server.user(tenant.id, EMAIL, PASSWORD, role).await;
    tenant
}

#[tokio::test]
async fn basic_bearer_and_the_token_header_open_both_families() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let anyone = server.anyone();
    for api in [
        anyone.basic(EMAIL, PASSWORD),
        anyone.basic("ANN@Example.COM", PASSWORD),
        anyone.bearer(&tenant.token),
        anyone.with("AUTHORIZATION", format!("bearer {}", tenant.token)),
        anyone.with("Netskope-Api-Token", &tenant.token),
        anyone.with("netskope-api-token", &tenant.token).with("bps-tenant-id", "5618"),
        // The first one present decides; what is superfluous is ignored.
        anyone.with("netskope-api-token", &tenant.token).basic(EMAIL, "wrong"),
        anyone.bearer(&tenant.token).with("x-iam-token", "wrong"),
    ] {
        query(&api).await.expect(200);
        api.get(LIST).await.expect(200);
    }
}

#[tokio::test]
async fn absent_malformed_and_wrong_credentials_are_refused_alike() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let anyone = server.anyone();
    let wrong = format!("{}x", &tenant.token[..tenant.token.len() - 1]);
    for api in [
        anyone.clone(),
        anyone.with("authorization", ""),
        anyone.with("authorization", "Basic"),
        anyone.with("authorization", "Basic !!!"),
        anyone.with("authorization", "Basic bm8gY29sb24="),
        anyone.with("authorization", &*tenant.token),
        anyone.with("authorization", format!("Digest {}", tenant.token)),
        anyone.bearer(""),
        anyone.bearer(&wrong),
        anyone.bearer(&tenant.token[14..]),
        anyone.bearer(&tenant.token.to_lowercase()),
        anyone.basic(EMAIL, "wrong password"),
        anyone.basic("nobody@example.com", PASSWORD),
        // No fall-through to a credential that would be right.
        anyone.with("netskope-api-token", "wrong").bearer(&tenant.token),
        anyone.with("x-access-token", &tenant.token).bearer(&tenant.token),
        anyone.with("x-iam-token", &tenant.token),
    ] {
        assert_unauthenticated(&api, &[&tenant.token, &wrong, "wrong password", PASSWORD]).await;
    }
}

#[tokio::test]
async fn expired_and_revoked_tokens_end_at_that_moment() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let hour = Some(Duration::from_hours(1));
    let (expiring, revoked) = (
        server.token(tenant.id, "activities:read,anomalies:read", hour).await,
        server.token(tenant.id, "activities:read,anomalies:read", None).await,
    );
    let (expiring_api, revoked_api) =
        (tenant.api.bearer(expiring.token.expose()), tenant.api.bearer(revoked.token.expose()));
    query(&revoked_api).await.expect(200);
    server.owner.services.auth.revoke_token(&Actor::command_line(), tenant.id, revoked.id).await.unwrap();
    assert_unauthenticated(&revoked_api, &[revoked.token.expose()]).await;
    server.clock.advance(3_600_000 - 1);
    query(&expiring_api).await.expect(200);
    server.clock.advance(1);
    assert_unauthenticated(&expiring_api, &[expiring.token.expose()]).await;
}

#[tokio::test]
async fn a_changed_password_a_disabled_user_and_a_lost_role_end_at_once() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (auth, operator) = (&server.owner.services.auth, Actor::command_line());
    let api = server.anyone().basic(EMAIL, PASSWORD);
    query(&api).await.expect(200);
    auth.disable(&operator, EMAIL).await.unwrap();
    assert_unauthenticated(&api, &[PASSWORD]).await;
    auth.enable(&operator, EMAIL).await.unwrap();
    query(&api).await.expect(200);
    auth.passwd(&operator, EMAIL, Secret::new("another password".to_owned())).await.unwrap();
    assert_unauthenticated(&api, &[PASSWORD]).await;
    let api = server.anyone().basic(EMAIL, "another password");
    query(&api).await.expect(200);
    auth.revoke(&operator, tenant.id, EMAIL).await.unwrap();
    query(&api).await.expect(403);
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let reader = server.anyone().basic(EMAIL, PASSWORD);
    query(&reader).await.expect(200);
    let refused = reader.ingest("{}").await;
    insta::assert_snapshot!(refused.shown(), @r#"
    403 application/json
    {
      "code": "missing_scope",
      "message": "the credentials are valid but lack the scope activities:write",
      "requestId": "[id]",
      "target": "activities:write"
    }
    "#);
    let anomaly = json!({ "user": "x", "from": 1, "to": 2 });
    reader.post_json(LIST, &anomaly).await.expect(403);

    let only_ingest = tenant.api.bearer(server.token(tenant.id, "anomalies:read", None).await.token.expose());
    insta::assert_snapshot!(query(&only_ingest).await.shown(), @r#"
    403 application/json
    {
      "code": 403,
      "message": "the credentials are valid but lack the scope activities:read",
      "target": "activities:read"
    }
    "#);
    only_ingest.get(LIST).await.expect(200);
    only_ingest.get("/api/v1/anomalies/1/activities").await.expect(403);
    // `x:write` includes `x:read`.
    let writer = tenant.api.bearer(server.token(tenant.id, "activities:write", None).await.token.expose());
    query(&writer).await.expect(200);
    writer.get(LIST).await.expect(403);
}

#[tokio::test]
async fn a_user_of_several_tenants_names_one() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (second, third) = (server.tenant(99).await, server.tenant(7).await);
    server.owner.services.auth.grant(&Actor::command_line(), second.id, EMAIL, Role::Manager).await.unwrap();
    let api = server.anyone().basic(EMAIL, PASSWORD);
    insta::assert_snapshot!(query(&api).await.shown(), @r#"
    400 application/json
    {
      "code": 400,
      "message": "the user has several tenants; name one in the header bps-tenant-id",
      "target": "bps-tenant-id"
    }
    "#);
    assert_eq!(api.get(LIST).await.expect(400).json()["code"], "tenant_needed");

    let id = tenant.of_user("x").await;
    let path = format!("{LIST}/{id}");
    api.with("bps-tenant-id", "5618").get(&path).await.expect(200);
    api.with("BPS-Tenant-Id", " 99 ").get(&path).await.expect(404);
    // The role of one tenant does not count in another.
    let anomaly = json!({ "user": "x", "from": 1, "to": 2 });
    api.with("bps-tenant-id", "99").post_json(LIST, &anomaly).await.expect(201);
    api.with("bps-tenant-id", "5618").post_json(LIST, &anomaly).await.expect(403);

    for unknown in [third.id.to_string(), "12345".to_owned(), "-1".to_owned()] {
        query(&api.with("bps-tenant-id", unknown)).await.expect(403);
    }
    query(&api.with("bps-tenant-id", "skyhigh")).await.expect(400);
    // A token belongs to one tenant and may name no other.
    query(&tenant.api.with("bps-tenant-id", "99")).await.expect(403);
}

#[tokio::test]
async fn guessing_is_slowed_down() {
    let server = TestServer::start().await;
    with_user(&server, Role::Reader).await;
    let guess = server.anyone().basic("nobody@example.com", "guess after guess");
    let mut refused = None;
    for _ in 0..11 {
        let answer = query(&guess).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect(401);
    }
    let refused = refused.expect("the eleventh guess within a minute is refused");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    server.clock.advance(60_001);
    query(&guess).await.expect(401);
    query(&server.anyone().basic(EMAIL, PASSWORD)).await.expect(200);
}

#[tokio::test]
async fn the_control_routes_are_not_on_the_network() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Admin).await;
    let admin = server.anyone().basic(EMAIL, PASSWORD).with("anomalake-tenant", "5618");
    for (method, path) in
        [("GET", "/control/tenants"), ("POST", "/control/users"), ("GET", "/control/tenants/5618/audit")]
    {
        admin.send(method, path, "{}").await.expect(404);
    }
    server.anyone().with("anomalake-tenant", tenant.id.to_string()).get(LIST).await.expect(401);
    // The contract's route without its body still asks for credentials first.
    server.anyone().send("POST", QUERY, "").await.expect(401);
}
