//! Tokens shown with a request, and the administration of those that stand for themselves.

use std::time::Duration;

use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::credential::{Actor, Principal, PrincipalKind, Secret};
use super::token_text::{hash_of_kind, mint};
use super::users::entry;
use super::{AdminError, AuthError, Authenticator};
use crate::domain::day::DAY_MS;
use crate::domain::principal::Scopes;
use crate::domain::tenant::TenantId;
use crate::domain::token_kind::TokenKind;
use crate::registry::audit;
use crate::registry::tokens::{self as rows, FoundToken, NewToken, Token, TokenHash};
use crate::registry::{RegistryError, tenants};

/// A token's last use is noted at most this often, in ms.
const LAST_USED_STEP_MS: i64 = 60_000;

/// How long an expired token of its own stays listed, so that people see why a program is refused, in ms.
const EXPIRED_LISTED_MS: i64 = 30 * DAY_MS;

/// Expired tokens deleted in one transaction; other writes wait for it.
const PURGE_STEP: u32 = 1_000;

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewApiToken {
    /// Name for people.
    pub name: Option<String>,
    /// What it allows.
    pub scopes: Scopes,
    /// How long it is valid; none for ever.
    pub lifetime: Option<Duration>,
}

/// A token just made. This is the only time that its text exists.
#[derive(Debug, Clone)]
pub struct CreatedToken {
    /// Number by which it is revoked.
    pub id: i64,
    /// Its text.
    pub token: Secret,
    /// First moment at which it is no longer valid, ms since epoch.
    pub expires_at_ms: Option<i64>,
}

pub(super) fn last_used_cache() -> Cache<i64, i64> {
    // An evicted entry costs one write too many, nothing else.
    Cache::builder().max_capacity(100_000).time_to_live(Duration::from_mins(2)).build()
}

/// Whether what was found belongs to the hash and is of this time.
pub(super) fn is_current(found: &FoundToken, hash: TokenHash, now_ms: i64) -> bool {
    bool::from(found.token.hash.0.ct_eq(&hash.0)) && found.token.is_valid_at(now_ms)
}

impl Authenticator {
    pub(super) async fn token(
        &self,
        text: &Secret,
        kinds: &[TokenKind],
        tenant: Option<i64>,
    ) -> Result<Principal, AuthError> {
        let (hash, now_ms) = (hash_of_kind(text, kinds).ok_or(AuthError::InvalidCredentials)?, self.clock.now_ms());
        let found = rows::by_hash(&mut *self.registry.read().await?, hash).await?;
        let found = found
            .filter(|found| is_current(found, hash, now_ms) && kinds.contains(&found.token.kind))
            .ok_or(AuthError::InvalidCredentials)?;
        if tenant.is_some_and(|id| id != found.token.tenant.id.get()) {
            return Err(AuthError::TenantNotGranted);
        }
        let (scopes, tenant) = (found.scopes(), found.token.tenant);
        let kind = if let Some(holder) = found.holder {
            PrincipalKind::User { email: holder.email.into() }
        } else {
            self.note_use(&found.token, now_ms);
            PrincipalKind::Token { id: found.token.id, name: found.token.name }
        };
        Ok(Principal { kind, tenant, scopes })
    }

    /// Notes that a token was used, at most once a minute and without making the request wait.
    fn note_use(&self, token: &Token, now_ms: i64) {
        let stored = token.last_used_at_ms;
        let noted = self.last_used.entry(token.id).and_compute_with(|entry| {
            let last = entry.map(moka::Entry::into_value).max(stored);
            // By distance: a clock that was set back must not stop the notes.
            if last.is_some_and(|at| now_ms.abs_diff(at) < LAST_USED_STEP_MS.unsigned_abs()) {
                Op::Nop
            } else {
                Op::Put(now_ms)
            }
        });
        if !matches!(noted, CompResult::Inserted(_) | CompResult::ReplacedWith(_)) {
            return;
        }
        let (registry, id) = (self.registry.clone(), token.id);
        self.background.spawn(async move {
            match registry.write(move |conn| Box::pin(async move { rows::touch(conn, id, now_ms).await })).await {
                Ok(()) => {}
                Err(RegistryError::Closed) => tracing::debug!(token = id, "last use not noted: registry is closed"),
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(token = id, error, "last use of a token was not noted");
                }
            }
        });
    }

    /// Waits until every use noted so far is stored; before the registry is closed.
    pub async fn flush_last_used(&self) {
        self.background.close();
        self.background.wait().await;
        self.background.reopen();
    }

    /// Makes a long-lived token of one tenant.
    ///
    /// # Errors
    /// [`AdminError::NoScopes`], [`AdminError::InvalidLifetime`], [`AdminError::Tenant`], [`AdminError::Randomness`].
    pub async fn create_token(
        &self,
        actor: &Actor,
        tenant: TenantId,
        new: NewApiToken,
    ) -> Result<CreatedToken, AdminError> {
        if new.scopes.is_empty() {
            return Err(AdminError::NoScopes);
        }
        let now_ms = self.clock.now_ms();
        let expires_at_ms = match new.lifetime {
            None => None,
            Some(lifetime) => {
                let ms = i64::try_from(lifetime.as_millis()).ok().filter(|&ms| ms > 0);
                let at_ms = ms.and_then(|ms| now_ms.checked_add(ms));
                Some(at_ms.ok_or(AdminError::InvalidLifetime)?)
            }
        };
        let (token, hash) = mint(TokenKind::Api).map_err(AdminError::Randomness)?;
        let actor = actor.clone();
        let id = self
            .registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::get_active(conn, tenant).await?.key;
                    let detail = json!({
                        "name": new.name,
                        "scopes": new.scopes.to_string(),
                        "expiresAtMs": expires_at_ms,
                    });
                    let row = NewToken::api(key, new.name, hash, new.scopes, expires_at_ms);
                    let id = rows::insert(conn, &row, now_ms).await?;
                    let entry = entry(&actor, now_ms, Some(key), "token.create", format!("token {id}"), detail);
                    audit::append(conn, &entry).await?;
                    Ok::<_, AdminError>(id)
                })
            })
            .await?;
        Ok(CreatedToken { id, token, expires_at_ms })
    }

    /// Ends a token from the answer on, with all of its session if it is a user's; ending it again is harmless.
    ///
    /// # Errors
    /// [`AdminError::NoSuchToken`], [`AdminError::Tenant`].
    pub async fn revoke_token(&self, actor: &Actor, tenant: TenantId, id: i64) -> Result<(), AdminError> {
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::get_active(conn, tenant).await?.key;
                    if !rows::revoke(conn, key, id, now_ms).await? {
                        return Err(AdminError::NoSuchToken { tenant, id });
                    }
                    let entry = entry(&actor, now_ms, Some(key), "token.revoke", format!("token {id}"), json!({}));
                    audit::append(conn, &entry).await?;
                    Ok(())
                })
            })
            .await
    }

    /// All long-lived tokens of a tenant by number, also those no longer valid; their texts are known to nobody
    /// here.
    ///
    /// # Errors
    /// [`AdminError::Tenant`].
    pub async fn list_tokens(&self, tenant: TenantId) -> Result<Vec<Token>, AdminError> {
        let mut conn = self.registry.read().await?;
        let key = tenants::get_active(&mut conn, tenant).await?.key;
        Ok(rows::list(&mut conn, key).await?)
    }

    /// Deletes expired tokens: those that users got at once, those of their own after 30 days. Refused they are
    /// from the moment they expire.
    ///
    /// # Errors
    /// [`RegistryError`]; what was deleted until then stays deleted.
    pub async fn purge_expired(&self) -> Result<u64, RegistryError> {
        let now_ms = self.clock.now_ms();
        let mut total = 0;
        loop {
            let purge = self
                .registry
                .write(move |conn| Box::pin(rows::purge_expired(conn, now_ms, now_ms - EXPIRED_LISTED_MS, PURGE_STEP)));
            let purged = purge.await?;
            total += purged;
            if purged < u64::from(PURGE_STEP) {
                return Ok(total);
            }
        }
    }
}
