//! Who is calling, and what may they do: passwords, tokens, and their administration.
//!
//! Rules of the design, section 3. Password checks are dear on purpose, so three things stand before
//! them: verified credentials are remembered for a minute, requests with the same credential wait for one
//! check, and failures are counted per address and per e-mail. A change of users, roles or tenants makes
//! everything remembered worthless at the moment it is committed.

mod credential;
mod error;
mod issue;
mod passwords;
mod sessions;
mod throttle;
mod token_text;
mod tokens;
mod users;
mod verified;

use std::net::IpAddr;
use std::sync::Arc;

use moka::sync::Cache;
use tokio_util::task::TaskTracker;

pub use credential::{Actor, AuthRequest, Credential, Principal, PrincipalKind, Secret, TokenPlace};
pub use error::{AdminError, AuthError};
pub use sessions::{Session, SessionGrant, SessionRequest, TokenLifetimes};
pub use tokens::{CreatedToken, NewApiToken};
pub use users::{MIN_PASSWORD_CHARS, UserSummary};

use crate::domain::clock::Clock;
use crate::registry::{Registry, roles, users as user_rows};
use passwords::{PasswordError, Passwords};
use throttle::Throttle;
use verified::{Flights, VerifiedCache, VerifiedUser};

/// The service; clones share their state.
#[derive(Debug, Clone)]
pub struct Authenticator {
    registry: Registry,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    throttle: Arc<Throttle>,
    verified: VerifiedCache,
    flights: Arc<Flights>,
    lifetimes: TokenLifetimes,
    /// When each token's last use was last noted, ms since epoch.
    last_used: Cache<i64, i64>,
    background: TaskTracker,
}

impl Authenticator {
    /// A service over an open registry. What it remembers of credentials is keyed with a secret of this
    /// value, never stored.
    ///
    /// # Errors
    /// [`AuthError::Randomness`] when the system gives no random bytes.
    pub fn new(registry: Registry, clock: Arc<dyn Clock>) -> Result<Self, AuthError> {
        Ok(Self {
            registry,
            clock,
            passwords: Passwords::default(),
            throttle: Arc::default(),
            verified: VerifiedCache::new()?,
            flights: Arc::default(),
            lifetimes: TokenLifetimes::default(),
            last_used: tokens::last_used_cache(),
            background: TaskTracker::new(),
        })
    }

    /// The service with other lifetimes of the tokens that users get.
    #[must_use]
    pub fn with_lifetimes(self, lifetimes: TokenLifetimes) -> Self {
        Self { lifetimes, ..self }
    }

    /// Tells who a request comes from and in which tenant it acts.
    ///
    /// # Errors
    /// [`AuthError`]; an unknown user, a wrong password, a disabled user and a bad token are not told apart.
    pub async fn authenticate(&self, request: AuthRequest) -> Result<Principal, AuthError> {
        match request.credential {
            Credential::Basic { email, password } => {
                let user = self.verified_user(&email, password, request.peer).await?;
                user.in_tenant(request.tenant)
            }
            Credential::Token { text, place } => self.token(&text, place.kinds(), request.tenant).await,
        }
    }

    async fn verified_user(&self, email: &str, password: Secret, peer: IpAddr) -> Result<Arc<VerifiedUser>, AuthError> {
        let email = user_rows::email_key(email);
        let key = self.verified.key(&email, &password);
        if let Some(user) = self.remembered(&key) {
            return Ok(user);
        }
        // A client that opens many connections at once costs one check, not one each.
        let flight = self.flights.of(&key);
        let _turn = flight.lock().await;
        if let Some(user) = self.remembered(&key) {
            return Ok(user);
        }
        let user = Arc::new(self.check_password(&email, password, peer).await?);
        self.verified.insert(key, Arc::clone(&user));
        Ok(user)
    }

    /// Password hashes computed so far: what sign-ins cost.
    #[must_use]
    pub fn password_hashes(&self) -> u64 {
        self.passwords.done()
    }

    fn remembered(&self, key: &verified::CredentialKey) -> Option<Arc<VerifiedUser>> {
        self.verified.get(key, self.clock.now_ms(), self.registry.principals_generation())
    }

    async fn check_password(&self, email: &str, password: Secret, peer: IpAddr) -> Result<VerifiedUser, AuthError> {
        let attempt = self
            .throttle
            .begin(email, peer, self.clock.now_ms())
            .map_err(|retry_after| AuthError::TooManyAttempts { retry_after })?;
        match self.check_counted(email, password).await {
            Ok(user) => {
                attempt.succeeded();
                Ok(user)
            }
            Err(AuthError::InvalidCredentials) => Err(AuthError::InvalidCredentials),
            // Our trouble is not the caller's failure.
            Err(error) => {
                attempt.withdrawn();
                Err(error)
            }
        }
    }

    async fn check_counted(&self, email: &str, password: Secret) -> Result<VerifiedUser, AuthError> {
        let hash = user_rows::by_email(&mut *self.registry.read().await?, email).await?.map(|u| u.password_hash);
        let right = self.passwords.verify(password, hash.clone()).await.map_err(|error| match error {
            PasswordError::Busy { retry_after } => AuthError::TooManyAttempts { retry_after },
            error => AuthError::Hashing(error.into()),
        })?;
        if !right {
            return Err(AuthError::InvalidCredentials);
        }
        // Read after the slow check, and the generation before the rows: a change from here on makes the
        // generation, and with it what is remembered, stale.
        let (generation, at_ms) = (self.registry.principals_generation(), self.clock.now_ms());
        let mut conn = self.registry.read().await?;
        let user = user_rows::by_email(&mut conn, email).await?;
        let Some(user) = user.filter(|u| u.enabled && Some(&u.password_hash) == hash.as_ref()) else {
            return Err(AuthError::InvalidCredentials);
        };
        let grants = roles::of_user(&mut conn, user.id).await?;
        let (email, password_hash) = (user.email.into(), Secret::new(user.password_hash));
        Ok(VerifiedUser { id: user.id, email, password_hash, grants, generation, at_ms })
    }
}

#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;
