//! Sessions of users: a password or an IAM token gives an access token and a refresh token, and the refresh
//! token, once, the next pair.
//!
//! A refresh token that is shown a second time was copied, or its owner's copy was: nobody can tell which of the
//! two showed it first. So everything that came from the session's first refresh token ends, and the
//! owner signs in again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqliteConnection;

use super::credential::Secret;
use super::issue::{Issue, Subject};
use super::token_text::hash_of_kind;
use super::tokens::is_current;
use super::verified::VerifiedUser;
use super::{AuthError, Authenticator};
use crate::domain::principal::Role;
use crate::domain::tenant::TenantKey;
use crate::domain::token_kind::TokenKind;
use crate::registry::sessions;
use crate::registry::tokens::{self as rows, FoundToken, TokenHash};

/// How long the tokens that users get are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetimes {
    /// IAM tokens.
    pub iam: Duration,
    /// Access tokens.
    pub access: Duration,
    /// Refresh tokens, each from its own making.
    pub refresh: Duration,
}

impl Default for TokenLifetimes {
    /// 10 minutes, 899 seconds, 24 hours (design, section 3; wire contract, section 4).
    fn default() -> Self {
        Self { iam: Duration::from_mins(10), access: Duration::from_secs(899), refresh: Duration::from_hours(24) }
    }
}

/// What a session is opened with.
#[derive(Debug, Clone)]
pub enum SessionGrant {
    /// E-mail address and password.
    Password {
        /// The address, in any case.
        email: String,
        /// The password.
        password: Secret,
    },
    /// An IAM token; it stays valid.
    IamToken(Secret),
    /// A refresh token; it is worth nothing afterwards.
    RefreshToken(Secret),
}

/// A grant with what decides about it.
#[derive(Debug, Clone)]
pub struct SessionRequest {
    /// What the caller shows.
    pub grant: SessionGrant,
    /// The tenant that the caller names; needed only with a password and by users of several.
    pub tenant: Option<i64>,
    /// Where the request comes from.
    pub peer: IpAddr,
}

/// An opened or refreshed session. This is the only time that the texts of its tokens exist.
#[derive(Debug, Clone)]
pub struct Session {
    /// Opens routes as the user.
    pub access_token: Secret,
    /// Opens the next session, once.
    pub refresh_token: Secret,
    /// How long the access token is valid from now on.
    pub expires_in: Duration,
    /// The one tenant that the tokens open.
    pub tenant: TenantKey,
    /// Its name.
    pub tenant_name: String,
    /// Number of the user.
    pub user_id: i64,
    /// The user's e-mail address, lower-cased.
    pub email: String,
    /// The user's role in the tenant now; the tokens follow it.
    pub role: Role,
}

/// What became of a refresh token.
enum Refreshed {
    Session(Box<Session>),
    /// It had been used before; so many tokens of its session were still valid.
    Reused(u64),
}

async fn find(
    conn: &mut SqliteConnection,
    kind: TokenKind,
    hash: TokenHash,
    now_ms: i64,
) -> Result<FoundToken, AuthError> {
    let found = rows::by_hash(conn, hash).await?;
    found
        .filter(|found| is_current(found, hash, now_ms) && found.token.kind == kind)
        .ok_or(AuthError::InvalidCredentials)
}

fn check_tenant(named: Option<i64>, tenant: TenantKey) -> Result<(), AuthError> {
    if named.is_some_and(|id| id != tenant.id.get()) { Err(AuthError::TenantNotGranted) } else { Ok(()) }
}

impl Authenticator {
    /// Gives an IAM token for a password; durable on success. It counts as a sign-in in every limit.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`] with the same password.
    pub async fn issue_iam_token(
        &self,
        email: &str,
        password: Secret,
        tenant: Option<i64>,
        peer: IpAddr,
    ) -> Result<Secret, AuthError> {
        let user = self.verified_user(email, password, peer).await?;
        let tenant = user.grant_in(tenant)?.tenant;
        let issue = self.issue("password", peer);
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let subject = Subject::of_user(conn, &user, tenant).await?;
                    issue.iam(conn, &subject).await
                })
            })
            .await
    }

    /// Opens a session or refreshes one; durable on success.
    ///
    /// A used refresh token is refused, and its session has ended by the time of the answer. After a crash the
    /// token is either unused or its successors are stored; should their answer be lost, the user signs in again.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`]; a token that is no valid one of the grant's kind counts as wrong
    /// credentials.
    pub async fn open_session(&self, request: SessionRequest) -> Result<Session, AuthError> {
        let SessionRequest { grant, tenant, peer } = request;
        match grant {
            SessionGrant::Password { email, password } => {
                let user = self.verified_user(&email, password, peer).await?;
                self.session_of_user(user, tenant, peer).await
            }
            SessionGrant::IamToken(text) => {
                let hash = self.known(&text, TokenKind::Iam).await?;
                self.session_of_iam_token(hash, tenant, peer).await
            }
            SessionGrant::RefreshToken(text) => {
                let hash = self.known(&text, TokenKind::Refresh).await?;
                self.refreshed_session(hash, tenant, peer).await
            }
        }
    }

    fn issue(&self, grant: &'static str, peer: IpAddr) -> Issue {
        Issue { grant, lifetimes: self.lifetimes, peer, now_ms: self.clock.now_ms() }
    }

    /// Refuses what is no valid token without a turn of the registry's writer, which all others wait for. The
    /// transaction looks again.
    async fn known(&self, text: &Secret, kind: TokenKind) -> Result<TokenHash, AuthError> {
        let hash = hash_of_kind(text, &[kind]).ok_or(AuthError::InvalidCredentials)?;
        find(&mut *self.registry.read().await?, kind, hash, self.clock.now_ms()).await?;
        Ok(hash)
    }

    pub(super) async fn session_of_user(
        &self,
        user: Arc<VerifiedUser>,
        tenant: Option<i64>,
        peer: IpAddr,
    ) -> Result<Session, AuthError> {
        let (tenant, issue) = (user.grant_in(tenant)?.tenant, self.issue("password", peer));
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let subject = Subject::of_user(conn, &user, tenant).await?;
                    issue.session(conn, subject, None).await
                })
            })
            .await
    }

    async fn session_of_iam_token(
        &self,
        hash: TokenHash,
        tenant: Option<i64>,
        peer: IpAddr,
    ) -> Result<Session, AuthError> {
        let issue = self.issue("iam_token", peer);
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let found = find(conn, TokenKind::Iam, hash, issue.now_ms).await?;
                    check_tenant(tenant, found.token.tenant)?;
                    issue.session(conn, Subject::of_token(found)?, None).await
                })
            })
            .await
    }

    async fn refreshed_session(
        &self,
        hash: TokenHash,
        tenant: Option<i64>,
        peer: IpAddr,
    ) -> Result<Session, AuthError> {
        let issue = self.issue("refresh_token", peer);
        let refreshed = self
            .registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let found = find(conn, TokenKind::Refresh, hash, issue.now_ms).await?;
                    let (id, key, used) = (found.token.id, found.token.tenant, found.token.used_at_ms.is_some());
                    let family = found.token.family.unwrap_or(id);
                    let subject = Subject::of_token(found)?;
                    if used {
                        // Not refused in here: a refusal would take the session's end back.
                        return Ok(Refreshed::Reused(issue.end_reused(conn, &subject, id, family).await?));
                    }
                    check_tenant(tenant, key)?;
                    sessions::mark_used(conn, id, issue.now_ms).await?;
                    let session = issue.session(conn, subject, Some(family)).await?;
                    Ok::<_, AuthError>(Refreshed::Session(Box::new(session)))
                })
            })
            .await?;
        match refreshed {
            Refreshed::Session(session) => Ok(*session),
            Refreshed::Reused(ended) => {
                tracing::warn!(ended, "a refresh token was used twice; its session has ended");
                Err(AuthError::InvalidCredentials)
            }
        }
    }
}
