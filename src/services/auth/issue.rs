//! Making the tokens that stand for a user, each with its audit entry in the same transaction.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::AuthError;
use super::credential::{Actor, Secret};
use super::sessions::{Session, TokenLifetimes};
use super::token_text::mint;
use super::users::entry;
use super::verified::VerifiedUser;
use crate::domain::tenant::TenantKey;
use crate::domain::token_kind::TokenKind;
use crate::registry::tokens::{self as rows, FoundToken, Holder, NewToken};
use crate::registry::{audit, roles, sessions, tenants, users};

/// Whom tokens are made for, as the transaction that makes them sees it.
#[derive(Debug)]
pub(super) struct Subject {
    tenant: TenantKey,
    tenant_name: String,
    holder: Holder,
}

impl Subject {
    /// The user that a valid token stands for.
    pub(super) fn of_token(found: FoundToken) -> Result<Self, AuthError> {
        let holder = found.holder.ok_or(AuthError::InvalidCredentials)?;
        Ok(Self { tenant: found.token.tenant, tenant_name: found.tenant_name, holder })
    }

    /// The user whose password was right, unless something changed since: what ended between the check and
    /// this transaction must not come back as a token.
    pub(super) async fn of_user(
        conn: &mut SqliteConnection,
        user: &VerifiedUser,
        tenant: TenantKey,
    ) -> Result<Self, AuthError> {
        let now = users::by_email(conn, &user.email).await?;
        now.filter(|now| now.enabled && now.id == user.id && now.password_hash == user.password_hash.expose())
            .ok_or(AuthError::InvalidCredentials)?;
        let grants = roles::of_user(conn, user.id).await?;
        let grant = grants.into_iter().find(|g| g.tenant == tenant).ok_or(AuthError::TenantNotGranted)?;
        let live = tenants::get(conn, tenant.id).await?.ok_or(AuthError::TenantNotGranted)?;
        let holder = Holder { user_id: user.id, email: user.email.to_string(), role: grant.role };
        Ok(Self { tenant, tenant_name: live.name, holder })
    }
}

/// Why, when, from where and for how long tokens are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Issue {
    /// Name of the grant.
    pub(super) grant: &'static str,
    pub(super) lifetimes: TokenLifetimes,
    pub(super) peer: IpAddr,
    /// ms since epoch.
    pub(super) now_ms: i64,
}

impl Issue {
    /// Stores a new IAM token and returns its text.
    pub(super) async fn iam(&self, conn: &mut SqliteConnection, subject: &Subject) -> Result<Secret, AuthError> {
        let kind = (TokenKind::Iam, self.lifetimes.iam);
        let (text, id, expires_at_ms) = self.store(conn, subject, kind, None).await?;
        let detail = json!({ "kind": TokenKind::Iam.as_str(), "grant": self.grant, "expiresAtMs": expires_at_ms });
        self.audit(conn, subject, "token.issue", id, detail).await?;
        Ok(text)
    }

    /// Stores the next access and refresh token of a session, or the first ones of a new session.
    pub(super) async fn session(
        &self,
        conn: &mut SqliteConnection,
        subject: Subject,
        family: Option<i64>,
    ) -> Result<Session, AuthError> {
        let kind = (TokenKind::Refresh, self.lifetimes.refresh);
        let (refresh_token, refresh_id, _) = self.store(conn, &subject, kind, family).await?;
        if family.is_none() {
            sessions::begin_family(conn, refresh_id).await?;
        }
        let family = family.unwrap_or(refresh_id);
        let kind = (TokenKind::Access, self.lifetimes.access);
        let (access_token, id, expires_at_ms) = self.store(conn, &subject, kind, Some(family)).await?;
        let detail = json!({
            "kind": TokenKind::Access.as_str(),
            "grant": self.grant,
            "expiresAtMs": expires_at_ms,
            "refreshToken": refresh_id,
            "session": family,
        });
        self.audit(conn, &subject, "token.issue", id, detail).await?;
        let Subject { tenant, tenant_name, holder: Holder { user_id, email, role } } = subject;
        let expires_in = self.lifetimes.access;
        Ok(Session { access_token, refresh_token, expires_in, tenant, tenant_name, user_id, email, role })
    }

    /// Ends the session of a refresh token that was shown a second time, and returns how many of its tokens
    /// were still valid.
    pub(super) async fn end_reused(
        &self,
        conn: &mut SqliteConnection,
        subject: &Subject,
        id: i64,
        family: i64,
    ) -> Result<u64, AuthError> {
        let ended = sessions::revoke_family(conn, family, self.now_ms).await?;
        self.audit(conn, subject, "token.reuse", id, json!({ "session": family, "ended": ended })).await?;
        Ok(ended)
    }

    /// Text, number and expiry of a new token.
    async fn store(
        &self,
        conn: &mut SqliteConnection,
        subject: &Subject,
        (kind, lifetime): (TokenKind, Duration),
        family: Option<i64>,
    ) -> Result<(Secret, i64, i64), AuthError> {
        let expires_at_ms = self.now_ms.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
        let (text, hash) = mint(kind).map_err(AuthError::Randomness)?;
        let token =
            NewToken { family, ..NewToken::of_user(subject.tenant, subject.holder.user_id, kind, hash, expires_at_ms) };
        Ok((text, rows::insert(conn, &token, self.now_ms).await?, expires_at_ms))
    }

    async fn audit(
        &self,
        conn: &mut SqliteConnection,
        subject: &Subject,
        action: &str,
        id: i64,
        detail: Value,
    ) -> Result<(), AuthError> {
        let actor = Actor { principal: subject.holder.email.clone(), address: Some(self.peer) };
        let entry = entry(&actor, self.now_ms, Some(subject.tenant), action, format!("token {id}"), detail);
        Ok(audit::append(conn, &entry).await?)
    }
}
