//! Tokens: 256 random bits behind a prefix that names their kind, known to the registry by their hash.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::ops::compute::{CompResult, Op};
use moka::sync::Cache;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::credential::{Actor, Principal, PrincipalKind, Secret};
use super::users::entry;
use super::{AdminError, AuthError, Authenticator};
use crate::domain::principal::Scopes;
use crate::domain::tenant::TenantId;
use crate::registry::audit;
use crate::registry::tokens::{self as rows, KIND_API, NewToken, Token, TokenHash};
use crate::registry::{RegistryError, tenants};

/// Start of every long-lived token, so that people and secret scanners recognise one.
pub const API_TOKEN_PREFIX: &str = "anomalake_api_";

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Base64 characters of that many bytes.
const TOKEN_CHARS: usize = TOKEN_BYTES.div_ceil(3) * 4 - 1;

/// A token's last use is noted at most this often, in ms.
const LAST_USED_STEP_MS: i64 = 60_000;

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

fn hash_of(text: &str) -> TokenHash {
    TokenHash(Sha256::digest(text).into())
}

fn random_token(prefix: &str) -> Result<Secret, AdminError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(AdminError::Randomness)?;
    Ok(Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

impl Authenticator {
    pub(super) async fn api_token(&self, text: &Secret, tenant: Option<i64>) -> Result<Principal, AuthError> {
        let text = text.expose();
        if text.strip_prefix(API_TOKEN_PREFIX).is_none_or(|random| random.len() != TOKEN_CHARS) {
            return Err(AuthError::InvalidCredentials);
        }
        let (hash, now_ms) = (hash_of(text), self.clock.now_ms());
        let token = rows::by_hash(&mut *self.registry.read().await?, hash).await?;
        let token = token
            .filter(|t| bool::from(t.hash.0.ct_eq(&hash.0)) && t.kind == KIND_API && t.is_valid_at(now_ms))
            .ok_or(AuthError::InvalidCredentials)?;
        if tenant.is_some_and(|id| id != token.tenant.id.get()) {
            return Err(AuthError::TenantNotGranted);
        }
        self.note_use(&token, now_ms);
        Ok(Principal {
            kind: PrincipalKind::Token { id: token.id, name: token.name },
            tenant: token.tenant,
            scopes: token.scopes,
        })
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
        let token = random_token(API_TOKEN_PREFIX)?;
        let (actor, hash) = (actor.clone(), hash_of(token.expose()));
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

    /// Ends a token from the answer on; ending it again is harmless.
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

    /// All tokens of a tenant by number, also those no longer valid; their texts are known to nobody here.
    ///
    /// # Errors
    /// [`AdminError::Tenant`].
    pub async fn list_tokens(&self, tenant: TenantId) -> Result<Vec<Token>, AdminError> {
        let mut conn = self.registry.read().await?;
        let key = tenants::get_active(&mut conn, tenant).await?.key;
        Ok(rows::list(&mut conn, key).await?)
    }
}
