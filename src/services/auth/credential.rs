//! What a caller shows, and what it is worth.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::principal::{Scope, Scopes};
use crate::domain::tenant::TenantKey;
use crate::domain::token_kind::TokenKind;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One credential; which of several counts is decided by the caller of the service.
#[derive(Debug, Clone)]
pub enum Credential {
    /// E-mail address and password.
    Basic {
        /// The address, in any case.
        email: String,
        /// The password.
        password: Secret,
    },
    /// A token.
    Token {
        /// Its text.
        text: Secret,
        /// Where it was shown.
        place: TokenPlace,
    },
}

/// Where a token was shown; it decides which kinds count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// Where every kind that opens routes counts.
    Bearer,
    /// Where access tokens count.
    Access,
    /// Where IAM tokens count.
    Iam,
    /// Where our long-lived tokens count.
    Api,
}

impl TokenPlace {
    /// The kinds that count there. A refresh token counts nowhere: it is exchanged and opens nothing.
    pub(super) const fn kinds(self) -> &'static [TokenKind] {
        match self {
            Self::Bearer => &[TokenKind::Iam, TokenKind::Access, TokenKind::Api],
            Self::Access => &[TokenKind::Access],
            Self::Iam => &[TokenKind::Iam],
            Self::Api => &[TokenKind::Api],
        }
    }
}

/// A credential with what decides about it.
#[derive(Debug, Clone)]
pub struct AuthRequest {
    /// What the caller shows.
    pub credential: Credential,
    /// The tenant that the caller names; needed only by users of several. Any number: one that is no tenant's
    /// is simply not granted.
    pub tenant: Option<i64>,
    /// Where the request comes from; failures are counted by it.
    pub peer: IpAddr,
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalKind {
    /// A user, by password or by a token that stands for the user.
    User {
        /// E-mail address, lower-cased.
        email: Arc<str>,
    },
    /// A token of its own.
    Token {
        /// Number of the token.
        id: i64,
        /// Its name for people.
        name: Option<String>,
    },
}

/// Who is calling, where, and what is allowed there. Displayed as the audit trail names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who.
    pub kind: PrincipalKind,
    /// The one tenant that the request acts in.
    pub tenant: TenantKey,
    /// What is allowed in it.
    pub scopes: Scopes,
}

impl Principal {
    /// Whether the scope, or one that includes it, is held.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allow(scope)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PrincipalKind::User { email } => f.write_str(email),
            PrincipalKind::Token { id, name: Some(name) } => write!(f, "token {id} ({name})"),
            PrincipalKind::Token { id, name: None } => write!(f, "token {id}"),
        }
    }
}

/// Who an act is put down to in the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Name of the principal, or of the part of the program that acts.
    pub principal: String,
    /// From where; none for the machine itself.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// A person at the machine's command line.
    #[must_use]
    pub fn command_line() -> Self {
        Self { principal: "command line".to_owned(), address: None }
    }

    /// A principal that calls from an address.
    #[must_use]
    pub fn caller(principal: &Principal, peer: IpAddr) -> Self {
        Self { principal: principal.to_string(), address: Some(peer) }
    }
}
