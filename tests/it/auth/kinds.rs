//! Every kind of credential in every header, and which one decides when there are several.

use std::time::Duration;

use anomalake::domain::principal::Role;
use serde_json::json;

use super::{EMAIL, LIST, PASSWORD, assert_let_in, assert_refused, iam_token, tokens, with_user};
use crate::support::{Api, TestServer};

/// A token shown in one of the headers.
fn show(server: &TestServer, header: &str, token: &str) -> Api {
    if header == "authorization" { server.anyone().bearer(token) } else { server.anyone().with(header, token) }
}

#[tokio::test]
async fn each_kind_opens_both_families_in_its_headers_and_in_no_other() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    for (kind, token, opens) in [
        ("iam", &iam, ["authorization", "x-iam-token"].as_slice()),
        ("access", &held.access, &["authorization", "x-access-token"]),
        ("refresh", &held.refresh, &[]),
        ("api", &tenant.token, &["authorization", "netskope-api-token"]),
    ] {
        for header in ["authorization", "x-access-token", "x-iam-token", "netskope-api-token", "x-refresh-token"] {
            let api = show(&server, header, token);
            let why = format!("{kind} as {header}");
            if opens.contains(&header) {
                assert_let_in(&api, &why).await;
            } else {
                assert_refused(&api, &why).await;
            }
            // One character off, and cut short.
            let off = format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { "Q" } else { "A" });
            for wrong in [off.as_str(), &token[..token.len() - 1], &token.to_uppercase()] {
                assert_eq!(show(&server, header, wrong).query(1).await.status, 401, "{why}");
            }
        }
        // A token is no password and no user.
        assert_refused(&server.anyone().basic(EMAIL, token), kind).await;
    }
}

#[tokio::test]
async fn the_first_present_decides_without_fall_through() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    let steps = [
        ("x-access-token", held.access.clone()),
        ("netskope-api-token", tenant.token.clone()),
        ("authorization", format!("Bearer {}", held.access)),
        ("x-iam-token", iam),
    ];
    for (i, (first, right)) in steps.iter().enumerate() {
        let (mut wrong_after, mut right_after) =
            (server.anyone().with(first, right), server.anyone().with(first, "Bearer wrong"));
        for (later, its) in &steps[i + 1..] {
            wrong_after = wrong_after.with(later, "Bearer wrong");
            right_after = right_after.with(later, its);
        }
        assert_let_in(&wrong_after, first).await;
        assert_refused(&right_after, first).await;
    }
    let basic = server.anyone().basic(EMAIL, PASSWORD);
    assert_let_in(&basic, "Basic").await;
    assert_refused(&basic.with("x-iam-token", "wrong"), "x-iam-token goes before Basic").await;
    assert_refused(&basic.with("x-access-token", ""), "an empty one is present").await;
}

#[tokio::test]
async fn what_a_kind_allows_is_its_scopes_or_its_users_role() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    let api_token = server.token(tenant.id, "anomalies:read", None).await.token.expose().to_owned();
    let anomaly = json!({ "user": "x", "from": 1, "to": 2 });
    let kinds = [
        server.anyone().basic(EMAIL, PASSWORD),
        server.anyone().with("x-iam-token", iam),
        server.anyone().with("x-access-token", held.access),
        server.anyone().with("netskope-api-token", api_token),
    ];
    for (i, api) in kinds.iter().enumerate() {
        let refused = api.post_json(LIST, &anomaly).await.expect(403).json();
        assert_eq!((&refused["code"], &refused["target"]), (&json!("missing_scope"), &json!("anomalies:write")));
        api.get(LIST).await.expect(200);
        if i == 3 {
            insta::assert_snapshot!(api.query(1).await.shown(), @r#"
            403 application/json
            {
              "code": 403,
              "message": "the credentials are valid but lack the scope activities:read",
              "target": "activities:read"
            }
            "#);
        }
    }
    // The user's tokens follow the role; the token of its own does not.
    let operator = anomalake::services::auth::Actor::command_line();
    server.owner.services.auth.grant(&operator, tenant.id, EMAIL, Role::Manager).await.unwrap();
    for api in &kinds[..3] {
        api.post_json(LIST, &anomaly).await.expect(201);
    }
    kinds[3].post_json(LIST, &anomaly).await.expect(403);
}

#[tokio::test]
async fn each_kind_expires_at_its_time() {
    let server = TestServer::start().await;
    let tenant = with_user(&server, Role::Reader).await;
    let (iam, held) = (iam_token(&server).await, tokens(&server).await);
    let hour = Some(Duration::from_hours(1));
    let api_token = server.token(tenant.id, "activities:read,anomalies:read", hour).await;
    let kinds = [
        (600_000, show(&server, "x-iam-token", &iam)),
        (899_000, show(&server, "x-access-token", &held.access)),
        (3_600_000, show(&server, "netskope-api-token", api_token.token.expose())),
    ];
    let mut now_ms = 0;
    for (expires_ms, api) in &kinds {
        server.clock.advance(expires_ms - 1 - now_ms);
        assert_let_in(api, "a moment before").await;
        server.clock.advance(1);
        assert_refused(api, "expired").await;
        now_ms = *expires_ms;
    }
    super::assert_no_grant(&super::exchange(&server.anyone(), &iam).await);
    server.clock.advance(86_400_000 - 1 - now_ms);
    let next = super::Tokens::of(&super::refresh(&server.anyone(), &held.refresh).await.expect(200));
    server.clock.advance(86_400_000);
    super::assert_no_grant(&super::refresh(&server.anyone(), &next.refresh).await);
}
