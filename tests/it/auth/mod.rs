//! Tokens of users and every other credential, as clients of the wire contract use them.

mod create_access_token;
mod create_iam_token;
mod ends;
mod guessing;
mod kinds;

use anomalake::domain::principal::Role;
use serde_json::Value;

use crate::support::{Answer, Api, TestServer, TestTenant};

const EMAIL: &str = "ann@example.com";
const PASSWORD: &str = "correct horse battery";
const IAM: &str = "/shnapi/rest/external/api/v1/token?grant_type=password&token_type=iam";
const BY_IAM_TOKEN: &str = "/neo/neo-auth-service/oauth/token?grant_type=iam_token";
const BY_PASSWORD: &str = "/neo/neo-auth-service/oauth/token?grant_type=password";
const BY_REFRESH_TOKEN: &str = "/neo/neo-auth-service/oauth/token?grant_type=refresh_token";
const LIST: &str = "/api/v1/anomalies";

/// A tenant with one user.
async fn with_user(server: &TestServer, role: Role) -> TestTenant {
    let tenant = server.tenant(5618).await;
    server.user(tenant.id, EMAIL, PASSWORD, role).await;
    tenant
}

/// Tokens as a client holds them.
#[derive(Debug, Clone)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        let body = answer.json();
        Self { access: text(&body, "access_token"), refresh: text(&body, "refresh_token") }
    }
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_else(|| panic!("no {key} in {body}")).to_owned()
}

async fn iam_token(server: &TestServer) -> String {
    let answer = server.anyone().basic(EMAIL, PASSWORD).send("POST", IAM, "").await.expect(200);
    text(&answer.json(), "access_token")
}

async fn exchange(api: &Api, iam: &str) -> Answer {
    api.with("x-iam-token", iam).send("POST", BY_IAM_TOKEN, "{}").await
}

async fn refresh(api: &Api, token: &str) -> Answer {
    api.with("x-refresh-token", token).send("POST", BY_REFRESH_TOKEN, "").await
}

async fn sign_in(api: &Api, email: &str, password: &str) -> Answer {
    api.with("x-auth-username", email).with("x-auth-password", password).send("POST", BY_PASSWORD, "").await
}

async fn tokens(server: &TestServer) -> Tokens {
    Tokens::of(&sign_in(&server.anyone(), EMAIL, PASSWORD).await.expect(200))
}

/// Both route families refuse the caller as one without valid credentials, with status, body and challenge.
async fn assert_refused(api: &Api, why: &str) {
    let external = api.query(1).await;
    assert_eq!(external.status, 401, "{why}");
    let message = "the credentials are missing, wrong, expired or revoked";
    assert_eq!(external.json(), serde_json::json!({ "code": 401, "message": message }), "{why}");
    assert_eq!(external.header("www-authenticate"), Some("Basic realm=\"anomalake\", charset=\"UTF-8\""));
    let own = api.get(LIST).await;
    assert_eq!((own.status, own.header("www-authenticate")), (401, Some("Bearer")), "{why}");
    assert_eq!((&own.json()["code"], &own.json()["message"]), (&"unauthenticated".into(), &message.into()));
}

/// Both route families let the caller in.
async fn assert_let_in(api: &Api, why: &str) {
    assert_eq!(api.query(1).await.status, 200, "{why}");
    assert_eq!(api.get(LIST).await.status, 200, "{why}");
}

/// A token route refuses what it was shown, without a Basic challenge under `/neo`.
fn assert_no_grant(answer: &Answer) {
    assert_eq!(answer.status, 401, "{}", answer.text());
    let message = "the credentials are missing, wrong, expired or revoked";
    assert_eq!(answer.json(), serde_json::json!({ "code": 401, "message": message }));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}
