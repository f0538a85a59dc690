//! The service as its callers see it, over a registry in a temporary folder and a clock that stands still.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::*;
use crate::domain::clock::ManualClock;
use crate::domain::principal::{Role, Scope};
use crate::domain::tenant::{TenantId, TenantKey};
use crate::domain::token_kind::TokenKind;
use crate::registry::testing::TestRegistry;
use crate::registry::{audit, tenants};

pub(super) const NOW: i64 = 1_763_510_400_000;
pub(super) const EMAIL: &str = "Anna@Example.com";
pub(super) const PASSWORD: &str = "correct horse";
pub(super) const HOME: &str = "192.0.2.1";
pub(super) const AWAY: &str = "198.51.100.7";

pub(super) struct World {
    pub(super) t: TestRegistry,
    pub(super) clock: Arc<ManualClock>,
    pub(super) auth: Authenticator,
    pub(super) tenant: TenantKey,
}

pub(super) fn actor() -> Actor {
    Actor { principal: "root@example.com".to_owned(), address: Some(HOME.parse().unwrap()) }
}

pub(super) fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

impl World {
    /// Tenant 1 with one manager.
    pub(super) async fn new() -> Self {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(1).await;
        let clock = Arc::new(ManualClock::new(NOW));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let auth = Authenticator::new(t.registry.clone(), shared).unwrap();
        auth.create_user(&actor(), tenant.id, EMAIL, secret(PASSWORD), Role::Manager).await.unwrap();
        Self { t, clock, auth, tenant }
    }

    async fn sign_in(
        &self,
        email: &str,
        password: &str,
        tenant: Option<i64>,
        peer: &str,
    ) -> Result<Principal, AuthError> {
        let credential = Credential::Basic { email: email.to_owned(), password: secret(password) };
        self.auth.authenticate(AuthRequest { credential, tenant, peer: peer.parse().unwrap() }).await
    }

    pub(super) async fn anna(&self, password: &str) -> Result<Principal, AuthError> {
        self.sign_in(EMAIL, password, None, HOME).await
    }

    async fn show(&self, token: &str, tenant: Option<i64>) -> Result<Principal, AuthError> {
        self.show_as(TokenPlace::Api, token, tenant).await
    }

    pub(super) async fn show_as(
        &self,
        place: TokenPlace,
        token: &str,
        tenant: Option<i64>,
    ) -> Result<Principal, AuthError> {
        let credential = Credential::Token { text: secret(token), place };
        self.auth.authenticate(AuthRequest { credential, tenant, peer: HOME.parse().unwrap() }).await
    }

    pub(super) async fn token(&self, lifetime: Option<Duration>) -> CreatedToken {
        let new =
            NewApiToken { name: Some("nightly".to_owned()), scopes: "activities:read".parse().unwrap(), lifetime };
        self.auth.create_token(&actor(), self.tenant.id, new).await.unwrap()
    }

    pub(super) async fn begin_drop(&self, id: TenantId) {
        let write = self.t.registry.try_write(move |conn| Box::pin(async move { tenants::begin_drop(conn, id).await }));
        write.await.unwrap();
    }
}

fn is_invalid(result: &Result<Principal, AuthError>) -> bool {
    matches!(result, Err(AuthError::InvalidCredentials))
}

#[tokio::test]
async fn a_user_acts_in_the_only_tenant_with_the_roles_scopes() {
    let w = World::new().await;
    let principal = w.anna(PASSWORD).await.unwrap();
    assert_eq!((principal.tenant, principal.to_string().as_str()), (w.tenant, "anna@example.com"));
    assert!(principal.may(Scope::ActivitiesWrite) && !principal.may(Scope::Admin));
    assert!(is_invalid(&w.anna("correct hors").await));
    assert!(is_invalid(&w.sign_in("nobody@example.com", PASSWORD, None, HOME).await));
    assert!(matches!(w.sign_in(EMAIL, PASSWORD, Some(2), HOME).await, Err(AuthError::TenantNotGranted)));
    assert!(matches!(w.sign_in(EMAIL, PASSWORD, Some(-9), HOME).await, Err(AuthError::TenantNotGranted)));
}

#[tokio::test]
async fn a_user_of_several_tenants_names_one() {
    let w = World::new().await;
    let second = w.t.tenant(2).await;
    w.auth.grant(&actor(), second.id, EMAIL, Role::Reader).await.unwrap();
    assert!(matches!(w.anna(PASSWORD).await, Err(AuthError::TenantChoiceNeeded)));
    let principal = w.sign_in(EMAIL, PASSWORD, Some(2), HOME).await.unwrap();
    assert_eq!(principal.tenant, second);
    assert!(!principal.may(Scope::ActivitiesWrite));
    w.begin_drop(second.id).await;
    assert_eq!(w.anna(PASSWORD).await.unwrap().tenant, w.tenant);
    w.auth.revoke(&actor(), w.tenant.id, EMAIL).await.unwrap();
    assert!(matches!(w.anna(PASSWORD).await, Err(AuthError::TenantNotGranted)));
    let again = w.auth.revoke(&actor(), w.tenant.id, EMAIL).await;
    assert!(matches!(again, Err(AdminError::NoSuchRole { .. })));
}

#[tokio::test]
async fn what_is_remembered_ends_with_every_change() {
    let w = World::new().await;
    w.anna(PASSWORD).await.unwrap();
    assert_eq!(w.auth.verified.entries(), 1);

    w.auth.disable(&actor(), EMAIL).await.unwrap();
    assert!(is_invalid(&w.anna(PASSWORD).await));
    w.auth.enable(&actor(), EMAIL).await.unwrap();
    w.anna(PASSWORD).await.unwrap();

    w.auth.passwd(&actor(), EMAIL, secret("battery staple")).await.unwrap();
    assert!(is_invalid(&w.anna(PASSWORD).await));
    w.anna("battery staple").await.unwrap();

    w.auth.grant(&actor(), w.tenant.id, EMAIL, Role::Reader).await.unwrap();
    assert!(!w.anna("battery staple").await.unwrap().may(Scope::ActivitiesWrite));

    w.begin_drop(w.tenant.id).await;
    assert!(matches!(w.anna("battery staple").await, Err(AuthError::TenantNotGranted)));
}

#[tokio::test]
async fn what_is_remembered_ends_after_a_minute() {
    let w = World::new().await;
    w.anna(PASSWORD).await.unwrap();
    let key = w.auth.verified.key("anna@example.com", &secret(PASSWORD));
    w.clock.advance(59_999);
    assert!(w.auth.remembered(&key).is_some());
    w.clock.advance(1);
    assert!(w.auth.remembered(&key).is_none());
    // The clock set back far is no way to live longer.
    w.clock.set(NOW - 60_000);
    assert!(w.auth.remembered(&key).is_none());
}

#[tokio::test]
async fn guessing_stops_at_ten_and_others_still_get_in() {
    let w = World::new().await;
    w.auth.create_user(&actor(), w.tenant.id, "bob@example.com", secret(PASSWORD), Role::Reader).await.unwrap();
    w.anna(PASSWORD).await.unwrap();
    w.clock.advance(60_000);
    for _ in 0..10 {
        assert!(is_invalid(&w.sign_in(EMAIL, "guess", None, AWAY).await));
    }
    let refused = |result: Result<Principal, AuthError>| match result {
        Err(AuthError::TooManyAttempts { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(w.sign_in(EMAIL, PASSWORD, None, AWAY).await), Duration::from_mins(1));
    w.clock.advance(1_000);
    assert_eq!(refused(w.sign_in("bob@example.com", PASSWORD, None, AWAY).await), Duration::from_secs(59));
    assert_eq!(refused(w.sign_in(EMAIL, PASSWORD, None, "203.0.113.9").await), Duration::from_secs(59));
    w.anna(PASSWORD).await.unwrap();
    w.sign_in("bob@example.com", PASSWORD, None, HOME).await.unwrap();
    w.clock.advance(59_000);
    w.sign_in(EMAIL, PASSWORD, None, AWAY).await.unwrap();
}

#[tokio::test]
async fn one_credential_on_many_connections_costs_one_check() {
    let w = World::new().await;
    let results = join_all((0..100).map(|_| w.anna(PASSWORD))).await;
    assert!(results.iter().all(Result::is_ok), "neither the queue nor the failure count refuses any");
    assert_eq!(w.auth.passwords.done(), 2, "one for creating the user");
    let wrong = join_all((0..100).map(|_| w.sign_in(EMAIL, "wrong", None, AWAY))).await;
    assert_eq!(wrong.iter().filter(|r| is_invalid(r)).count(), 10);
    assert_eq!(w.auth.passwords.done(), 12);
}

#[tokio::test]
async fn an_unknown_user_costs_a_check_as_well() {
    let w = World::new().await;
    let before = w.auth.passwords.done();
    assert!(is_invalid(&w.sign_in("nobody@example.com", PASSWORD, None, HOME).await));
    assert_eq!(w.auth.passwords.done(), before + 1);
}

#[tokio::test]
async fn a_token_opens_its_tenant_until_it_ends() {
    let w = World::new().await;
    w.t.tenant(2).await;
    let created = w.token(Some(Duration::from_mins(1))).await;
    let text = created.token.expose();
    assert_eq!(text.len(), TokenKind::Api.prefix().len() + 43);
    let principal = w.show(text, None).await.unwrap();
    assert_eq!(principal.tenant, w.tenant);
    assert_eq!(principal.to_string(), format!("token {} (nightly)", created.id));
    assert!(principal.may(Scope::ActivitiesRead) && !principal.may(Scope::ActivitiesWrite));
    assert!(w.show(text, Some(1)).await.is_ok());
    assert!(matches!(w.show(text, Some(2)).await, Err(AuthError::TenantNotGranted)));

    let random = text.strip_prefix(TokenKind::Api.prefix()).unwrap();
    for wrong in
        ["", TokenKind::Api.prefix(), random, &text[..text.len() - 1], &format!("{text}A"), &text.to_uppercase()]
    {
        assert!(is_invalid(&w.show(wrong, None).await), "{wrong}");
    }
    w.clock.set(created.expires_at_ms.unwrap() - 1);
    assert!(w.show(text, None).await.is_ok());
    w.clock.set(created.expires_at_ms.unwrap());
    assert!(is_invalid(&w.show(text, None).await));
}

#[tokio::test]
async fn a_revoked_token_and_one_of_a_dropped_tenant_are_refused() {
    let w = World::new().await;
    let (first, second) = (w.token(None).await, w.token(None).await);
    let other = w.t.tenant(2).await;
    let foreign = w.auth.revoke_token(&actor(), other.id, first.id).await;
    assert!(matches!(foreign, Err(AdminError::NoSuchToken { .. })));
    assert!(w.show(first.token.expose(), None).await.is_ok());
    w.auth.revoke_token(&actor(), w.tenant.id, first.id).await.unwrap();
    assert!(is_invalid(&w.show(first.token.expose(), None).await));
    assert!(w.show(second.token.expose(), None).await.is_ok());
    w.begin_drop(w.tenant.id).await;
    assert!(is_invalid(&w.show(second.token.expose(), None).await));
}

#[tokio::test]
async fn last_use_is_noted_once_a_minute() {
    let w = World::new().await;
    let created = w.token(None).await;
    let mut seen = Vec::new();
    for step in [0, 59_999, 1, 30_000] {
        w.clock.advance(step);
        w.show(created.token.expose(), None).await.unwrap();
        w.auth.flush_last_used().await;
        let tokens = w.auth.list_tokens(w.tenant.id).await.unwrap();
        seen.push(tokens[0].last_used_at_ms.unwrap() - NOW);
    }
    assert_eq!(seen, [0, 0, 60_000, 60_000]);
    let jobs = w.t.registry.writer_stats().jobs;
    w.show(created.token.expose(), None).await.unwrap();
    w.auth.flush_last_used().await;
    assert_eq!(w.t.registry.writer_stats().jobs, jobs);
}

#[tokio::test]
async fn bad_requests_of_administration_change_nothing() {
    let w = World::new().await;
    let before = w.t.registry.writer_stats().groups;
    let nobody = TenantId::try_from(99).unwrap();
    let create = |tenant, email: &'static str, password: &'static str| {
        let auth = w.auth.clone();
        async move { auth.create_user(&actor(), tenant, email, secret(password), Role::Admin).await }
    };
    let id = w.tenant.id;
    for email in ["", "anna", "@host", "anna@", "an:na@host", "an na@host", "anna@host\n.example"] {
        assert!(matches!(create(id, email, PASSWORD).await, Err(AdminError::InvalidEmail(_))), "{email}");
    }
    assert!(matches!(create(id, "b@example.com", "1234567").await, Err(AdminError::WeakPassword)));
    assert!(matches!(w.auth.passwd(&actor(), EMAIL, secret("ääää")).await, Err(AdminError::WeakPassword)));
    assert_eq!(w.t.registry.writer_stats().groups, before);
    assert!(matches!(create(id, "anna@example.COM", PASSWORD).await, Err(AdminError::UserExists(_))));
    assert!(matches!(create(nobody, "b@example.com", PASSWORD).await, Err(AdminError::Tenant(_))));
    assert!(matches!(w.auth.disable(&actor(), "b@example.com").await, Err(AdminError::NoSuchUser(_))));
    let no_scopes = w.auth.create_token(&actor(), id, NewApiToken::default()).await;
    assert!(matches!(no_scopes, Err(AdminError::NoScopes)));
    for lifetime in [Duration::ZERO, Duration::MAX] {
        let new = NewApiToken { scopes: "admin".parse().unwrap(), lifetime: Some(lifetime), name: None };
        let refused = w.auth.create_token(&actor(), id, new).await;
        assert!(matches!(refused, Err(AdminError::InvalidLifetime)));
    }
    assert_eq!(w.auth.list_users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_act_leaves_a_trace_and_no_secret() {
    let w = World::new().await;
    w.auth.grant(&actor(), w.tenant.id, EMAIL, Role::Admin).await.unwrap();
    let created = w.token(None).await;
    w.auth.revoke_token(&actor(), w.tenant.id, created.id).await.unwrap();
    w.auth.revoke(&actor(), w.tenant.id, EMAIL).await.unwrap();
    w.auth.passwd(&actor(), EMAIL, secret("battery staple")).await.unwrap();
    w.auth.disable(&actor(), EMAIL).await.unwrap();
    w.auth.enable(&actor(), EMAIL).await.unwrap();

    let mut conn = w.t.registry.read().await.unwrap();
    let of_tenant = audit::list(&mut conn, w.tenant, NOW, 100).await.unwrap();
    let of_server = audit::list_server(&mut conn, NOW, 100).await.unwrap();
    let actions = |entries: &[audit::AuditEntry]| entries.iter().map(|e| e.action.clone()).collect::<Vec<_>>();
    assert_eq!(actions(&of_tenant), ["user.create", "user.grant", "token.create", "token.revoke", "user.revoke"]);
    assert_eq!(actions(&of_server), ["user.passwd", "user.disable", "user.enable"]);
    assert_eq!(of_tenant[0].target.as_deref(), Some("anna@example.com"));
    assert_eq!(of_tenant[0].detail, json!({"role": "manager"}));
    assert_eq!(of_tenant[2].detail, json!({"name": "nightly", "scopes": "activities:read", "expiresAtMs": null}));
    let all = format!("{of_tenant:?}{of_server:?}");
    assert!(all.contains(HOME) && all.contains("root@example.com"));
    let request = AuthRequest {
        credential: Credential::Basic { email: EMAIL.to_owned(), password: secret(PASSWORD) },
        tenant: None,
        peer: HOME.parse().unwrap(),
    };
    let printed = format!("{all}{request:?}{created:?}{:?}{:?}", w.auth, w.auth.list_tokens(w.tenant.id).await);
    for hidden in [PASSWORD, "battery staple", created.token.expose(), "argon2"] {
        assert!(!printed.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn lists_show_a_tenant_its_own_roles_only() {
    let w = World::new().await;
    let second = w.t.tenant(2).await;
    w.auth.create_user(&actor(), second.id, "bob@example.com", secret(PASSWORD), Role::Reader).await.unwrap();
    w.auth.grant(&actor(), second.id, EMAIL, Role::Reader).await.unwrap();
    let all = w.auth.list_users().await.unwrap();
    let anna = UserSummary {
        email: "anna@example.com".to_owned(),
        enabled: true,
        created_at_ms: NOW,
        roles: vec![(w.tenant, Role::Manager), (second, Role::Reader)],
    };
    assert_eq!((all.len(), &all[0]), (2, &anna));
    assert_eq!(
        w.auth.list_users_of(w.tenant.id).await.unwrap(),
        [UserSummary { roles: vec![(w.tenant, Role::Manager)], ..anna }]
    );
}
