//! IAM, access and refresh tokens as their callers see them.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::tests::{AWAY, EMAIL, HOME, NOW, PASSWORD, World, actor, secret};
use super::*;
use crate::domain::principal::{Role, Scope};
use crate::domain::token_kind::TokenKind;
use crate::registry::audit;

const PLACES: [TokenPlace; 4] = [TokenPlace::Access, TokenPlace::Api, TokenPlace::Bearer, TokenPlace::Iam];

impl World {
    async fn iam(&self, password: &str, tenant: Option<i64>) -> Result<Secret, AuthError> {
        self.auth.issue_iam_token(EMAIL, secret(password), tenant, HOME.parse().unwrap()).await
    }

    async fn open(&self, grant: SessionGrant, tenant: Option<i64>) -> Result<Session, AuthError> {
        self.auth.open_session(SessionRequest { grant, tenant, peer: HOME.parse().unwrap() }).await
    }

    async fn sign_in_session(&self) -> Session {
        let grant = SessionGrant::Password { email: EMAIL.to_owned(), password: secret(PASSWORD) };
        self.open(grant, None).await.unwrap()
    }

    async fn refresh(&self, token: &Secret) -> Result<Session, AuthError> {
        self.open(SessionGrant::RefreshToken(token.clone()), None).await
    }

    async fn exchange(&self, iam: &Secret) -> Result<Session, AuthError> {
        self.open(SessionGrant::IamToken(iam.clone()), None).await
    }

    async fn bearer(&self, token: &Secret) -> Result<Principal, AuthError> {
        self.show_as(TokenPlace::Bearer, token.expose(), None).await
    }

    /// One token of each kind in force: iam, access, refresh.
    async fn tokens(&self) -> (Secret, Session) {
        let iam = self.iam(PASSWORD, None).await.unwrap();
        let session = self.exchange(&iam).await.unwrap();
        (iam, session)
    }

    async fn all_dead(&self, (iam, session): &(Secret, Session)) -> bool {
        invalid(&self.bearer(iam).await)
            && invalid(&self.exchange(iam).await)
            && invalid(&self.bearer(&session.access_token).await)
            && invalid(&self.refresh(&session.refresh_token).await)
    }
}

fn invalid<T>(result: &Result<T, AuthError>) -> bool {
    matches!(result, Err(AuthError::InvalidCredentials))
}

#[tokio::test]
async fn each_kind_opens_in_its_places_only() {
    let w = World::new().await;
    let (iam, session) = w.tokens().await;
    let api = w.token(None).await.token;
    for (token, kind, opens) in [
        (&iam, TokenKind::Iam, vec![TokenPlace::Bearer, TokenPlace::Iam]),
        (&session.access_token, TokenKind::Access, vec![TokenPlace::Access, TokenPlace::Bearer]),
        (&session.refresh_token, TokenKind::Refresh, vec![]),
        (&api, TokenKind::Api, vec![TokenPlace::Api, TokenPlace::Bearer]),
    ] {
        assert!(token.expose().starts_with(kind.prefix()));
        assert_eq!(token.expose().len(), kind.prefix().len() + 43);
        for place in PLACES {
            let shown = w.show_as(place, token.expose(), None).await;
            assert_eq!(shown.is_ok(), opens.contains(&place), "{kind} in {place:?}");
            assert!(shown.is_ok() || invalid(&shown));
        }
        assert_eq!(w.exchange(token).await.is_ok(), kind == TokenKind::Iam, "{kind}");
        // Last, since it ends the refresh token.
        assert_eq!(w.refresh(token).await.is_ok(), kind == TokenKind::Refresh, "{kind}");
        // Another kind's prefix does not turn it into one of that kind.
        let random = &token.expose()[kind.prefix().len()..];
        for other in TokenKind::ALL.into_iter().filter(|&other| other != kind) {
            let text = format!("{}{random}", other.prefix());
            for place in PLACES {
                assert!(invalid(&w.show_as(place, &text, None).await));
            }
        }
    }
}

#[tokio::test]
async fn a_session_tells_who_and_where() {
    let w = World::new().await;
    let session = w.sign_in_session().await;
    assert_eq!((session.tenant, session.tenant_name.as_str()), (w.tenant, "a tenant"));
    assert_eq!((session.email.as_str(), session.role), ("anna@example.com", Role::Manager));
    assert_eq!(session.expires_in, Duration::from_secs(899));
    let principal = w.bearer(&session.access_token).await.unwrap();
    assert_eq!((principal.tenant, principal.to_string().as_str()), (w.tenant, "anna@example.com"));
    assert!(principal.may(Scope::ActivitiesWrite) && !principal.may(Scope::Admin));
}

#[tokio::test]
async fn each_kind_ends_at_its_time() {
    let w = World::new().await;
    let (iam, session) = w.tokens().await;
    for (until, iam_lives, access_lives) in
        [(599_999, true, true), (600_000, false, true), (898_999, false, true), (899_000, false, false)]
    {
        w.clock.set(NOW + until);
        assert_eq!(w.bearer(&iam).await.is_ok(), iam_lives, "{until}");
        assert_eq!(w.show_as(TokenPlace::Access, session.access_token.expose(), None).await.is_ok(), access_lives);
    }
    assert!(invalid(&w.exchange(&iam).await));
    w.clock.set(NOW + 86_399_999);
    let next = w.refresh(&session.refresh_token).await.unwrap();
    w.clock.set(NOW + 86_399_999 + 86_400_000);
    assert!(invalid(&w.refresh(&next.refresh_token).await));
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_session_and_no_other() {
    let w = World::new().await;
    let (iam, first) = w.tokens().await;
    let other = w.exchange(&iam).await.unwrap();
    let second = w.refresh(&first.refresh_token).await.unwrap();
    let third = w.refresh(&second.refresh_token).await.unwrap();
    for access in [&first, &second, &third] {
        assert!(w.bearer(&access.access_token).await.is_ok());
    }
    for _ in 0..2 {
        assert!(invalid(&w.refresh(&first.refresh_token).await));
    }
    for ended in [&first, &second, &third] {
        assert!(invalid(&w.bearer(&ended.access_token).await));
        assert!(invalid(&w.refresh(&ended.refresh_token).await));
    }
    assert!(w.bearer(&iam).await.is_ok());
    assert!(w.bearer(&other.access_token).await.is_ok() && w.refresh(&other.refresh_token).await.is_ok());
    let entries = audit::list(&mut w.t.registry.read().await.unwrap(), w.tenant, NOW, 100).await.unwrap();
    let reuse: Vec<_> = entries.iter().filter(|e| e.action == "token.reuse").collect();
    assert_eq!(reuse.len(), 1, "shown again after the end it is just a bad token");
    // The used one, its successor, the third, and their access tokens.
    assert_eq!(reuse[0].detail["ended"], json!(6));
}

#[tokio::test]
async fn of_many_uses_at_once_one_wins_and_the_session_ends() {
    let w = World::new().await;
    let session = w.sign_in_session().await;
    let results = join_all((0..20).map(|_| w.refresh(&session.refresh_token))).await;
    let won: Vec<_> = results.iter().flatten().collect();
    assert_eq!(won.len(), 1);
    assert!(invalid(&w.bearer(&won[0].access_token).await));
}

#[tokio::test]
async fn tokens_die_with_disable_password_and_role_for_good() {
    let w = World::new().await;
    let tokens = w.tokens().await;
    w.auth.disable(&actor(), EMAIL).await.unwrap();
    assert!(w.all_dead(&tokens).await);
    w.auth.enable(&actor(), EMAIL).await.unwrap();
    assert!(w.all_dead(&tokens).await);

    let tokens = w.tokens().await;
    w.auth.revoke(&actor(), w.tenant.id, EMAIL).await.unwrap();
    assert!(w.all_dead(&tokens).await);
    w.auth.grant(&actor(), w.tenant.id, EMAIL, Role::Manager).await.unwrap();
    assert!(w.all_dead(&tokens).await);

    let tokens = w.tokens().await;
    let api = w.token(None).await.token;
    w.auth.passwd(&actor(), EMAIL, secret("battery staple")).await.unwrap();
    assert!(w.all_dead(&tokens).await);
    assert!(w.bearer(&api).await.is_ok(), "a token of its own is no user's");

    let iam = w.iam("battery staple", None).await.unwrap();
    let tokens = (iam.clone(), w.exchange(&iam).await.unwrap());
    w.begin_drop(w.tenant.id).await;
    assert!(w.all_dead(&tokens).await);
}

#[tokio::test]
async fn tokens_of_one_tenant_outlive_the_loss_of_another() {
    let w = World::new().await;
    let second = w.t.tenant(2).await;
    w.auth.grant(&actor(), second.id, EMAIL, Role::Reader).await.unwrap();
    assert!(matches!(w.iam(PASSWORD, None).await, Err(AuthError::TenantChoiceNeeded)));
    assert!(matches!(w.iam(PASSWORD, Some(3)).await, Err(AuthError::TenantNotGranted)));
    let here = w.iam(PASSWORD, Some(1)).await.unwrap();
    let there = w.iam(PASSWORD, Some(2)).await.unwrap();
    let session = w.open(SessionGrant::IamToken(there.clone()), Some(2)).await.unwrap();
    assert_eq!((session.tenant, session.role), (second, Role::Reader));
    // The token has its tenant; naming another one that the user has does not change it.
    for (token, named) in [(&here, 2), (&there, 1), (&session.access_token, 1)] {
        let shown = w.show_as(TokenPlace::Bearer, token.expose(), Some(named)).await;
        assert!(matches!(shown, Err(AuthError::TenantNotGranted)));
    }
    let wrong = w.open(SessionGrant::IamToken(here.clone()), Some(2)).await;
    assert!(matches!(wrong, Err(AuthError::TenantNotGranted)));
    let wrong = w.open(SessionGrant::RefreshToken(session.refresh_token.clone()), Some(1)).await;
    assert!(matches!(wrong, Err(AuthError::TenantNotGranted)));
    let session = w.refresh(&session.refresh_token).await.expect("a refusal does not use the token up");
    w.auth.revoke(&actor(), second.id, EMAIL).await.unwrap();
    assert!(w.all_dead(&(there, session)).await);
    assert!(w.bearer(&here).await.is_ok());
}

#[tokio::test]
async fn what_tokens_allow_follows_the_role() {
    let w = World::new().await;
    let (iam, session) = w.tokens().await;
    w.auth.grant(&actor(), w.tenant.id, EMAIL, Role::Reader).await.unwrap();
    for token in [&iam, &session.access_token] {
        let principal = w.bearer(token).await.unwrap();
        assert!(principal.may(Scope::ActivitiesRead) && !principal.may(Scope::ActivitiesWrite));
    }
    w.auth.grant(&actor(), w.tenant.id, EMAIL, Role::Admin).await.unwrap();
    assert!(w.bearer(&session.access_token).await.unwrap().may(Scope::Admin));
    assert_eq!(w.refresh(&session.refresh_token).await.unwrap().role, Role::Admin);
}

#[tokio::test]
async fn a_change_between_check_and_issue_gives_no_token() {
    let w = World::new().await;
    let peer = HOME.parse().unwrap();
    let issue = |user| w.auth.session_of_user(user, None, peer);
    let verified = || w.auth.verified_user(EMAIL, secret(PASSWORD), peer);

    let user = verified().await.unwrap();
    assert!(issue(Arc::clone(&user)).await.is_ok());
    w.auth.disable(&actor(), EMAIL).await.unwrap();
    assert!(invalid(&issue(Arc::clone(&user)).await));
    w.auth.enable(&actor(), EMAIL).await.unwrap();
    w.auth.passwd(&actor(), EMAIL, secret(PASSWORD)).await.unwrap();
    assert!(invalid(&issue(user).await), "set anew, even to the same");

    let user = verified().await.unwrap();
    w.auth.revoke(&actor(), w.tenant.id, EMAIL).await.unwrap();
    assert!(matches!(issue(user).await, Err(AuthError::TenantNotGranted)));
}

#[tokio::test]
async fn password_grants_count_as_sign_ins() {
    let w = World::new().await;
    let away = AWAY.parse().unwrap();
    let grant = || SessionGrant::Password { email: EMAIL.to_owned(), password: secret("guess") };
    for i in 0..10 {
        let refused = match i % 2 {
            0 => w.auth.issue_iam_token(EMAIL, secret("guess"), None, away).await.map(|_| ()),
            _ => w.auth.open_session(SessionRequest { grant: grant(), tenant: None, peer: away }).await.map(|_| ()),
        };
        assert!(invalid(&refused));
    }
    let closed = w.auth.issue_iam_token(EMAIL, secret(PASSWORD), None, away).await;
    assert!(matches!(closed, Err(AuthError::TooManyAttempts { .. })));
    let before = w.auth.password_hashes();
    let closed = w.auth.open_session(SessionRequest { grant: grant(), tenant: None, peer: away }).await;
    assert!(matches!(closed, Err(AuthError::TooManyAttempts { .. })));
    assert_eq!(w.auth.password_hashes(), before);
}

#[tokio::test]
async fn bad_tokens_do_not_reach_the_writer() {
    let w = World::new().await;
    let (_, session) = w.tokens().await;
    let jobs = w.t.registry.writer_stats().jobs;
    for text in ["", "anomalake_refresh_", session.access_token.expose()] {
        assert!(invalid(&w.refresh(&secret(text)).await));
        assert!(invalid(&w.exchange(&secret(text)).await));
    }
    let guess = format!("{}{}", TokenKind::Refresh.prefix(), "A".repeat(43));
    assert!(invalid(&w.refresh(&secret(&guess)).await));
    assert_eq!(w.t.registry.writer_stats().jobs, jobs);
}

#[tokio::test]
async fn issued_tokens_leave_a_trace_without_their_text() {
    let w = World::new().await;
    let (iam, session) = w.tokens().await;
    let next = w.refresh(&session.refresh_token).await.unwrap();
    let entries = audit::list(&mut w.t.registry.read().await.unwrap(), w.tenant, NOW, 100).await.unwrap();
    let issued: Vec<_> = entries.iter().filter(|e| e.action == "token.issue").collect();
    let grants: Vec<_> = issued.iter().map(|e| (e.detail["kind"].clone(), e.detail["grant"].clone())).collect();
    let pair = |kind: &str, grant: &str| (json!(kind), json!(grant));
    assert_eq!(grants, [pair("iam", "password"), pair("access", "iam_token"), pair("access", "refresh_token")]);
    assert!(issued.iter().all(|e| e.principal == "anna@example.com" && e.address.as_deref() == Some(HOME)));
    assert_eq!(issued[0].detail["expiresAtMs"], json!(NOW + 600_000));
    let request = SessionRequest {
        grant: SessionGrant::RefreshToken(next.refresh_token.clone()),
        tenant: None,
        peer: HOME.parse().unwrap(),
    };
    let printed = format!("{entries:?}{session:?}{next:?}{request:?}{:?}", w.auth);
    for kept in [&iam, &session.access_token, &session.refresh_token, &next.access_token, &next.refresh_token] {
        assert!(!printed.contains(kept.expose()));
    }
    assert_eq!(w.auth.list_tokens(w.tenant.id).await.unwrap(), [], "lists show tokens of their own");
}

#[tokio::test]
async fn an_administrator_ends_a_users_session_by_any_of_its_numbers() {
    let w = World::new().await;
    let session = w.sign_in_session().await;
    let entries = audit::list(&mut w.t.registry.read().await.unwrap(), w.tenant, NOW, 100).await.unwrap();
    let target = entries.last().unwrap().target.clone().unwrap();
    let id = target.strip_prefix("token ").unwrap().parse().unwrap();
    w.auth.revoke_token(&actor(), w.tenant.id, id).await.unwrap();
    assert!(invalid(&w.bearer(&session.access_token).await));
    assert!(invalid(&w.refresh(&session.refresh_token).await));
}

#[tokio::test]
async fn expired_tokens_are_forgotten() {
    let w = World::new().await;
    let (_, session) = w.tokens().await;
    w.token(Some(Duration::from_mins(1))).await;
    assert_eq!(w.auth.purge_expired().await.unwrap(), 0);
    w.clock.set(NOW + 899_000);
    assert_eq!(w.auth.purge_expired().await.unwrap(), 2, "iam and access");
    let next = w.refresh(&session.refresh_token).await.unwrap();
    w.clock.set(NOW + 86_400_000);
    // The used refresh token and the second access token.
    assert_eq!(w.auth.purge_expired().await.unwrap(), 2);
    assert!(w.refresh(&next.refresh_token).await.is_ok());
    assert_eq!(w.auth.list_tokens(w.tenant.id).await.unwrap().len(), 1);
    w.clock.set(NOW + 32 * 86_400_000);
    w.auth.purge_expired().await.unwrap();
    assert_eq!(w.auth.list_tokens(w.tenant.id).await.unwrap(), []);
}
