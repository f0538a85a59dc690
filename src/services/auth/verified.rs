//! Credentials that were right a moment ago, and the turns of those being checked.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::credential::{Principal, PrincipalKind, Secret};
use super::error::AuthError;
use crate::registry::roles::Grant;

/// How long a verified credential is remembered, in ms.
const REMEMBERED_MS: i64 = 60_000;

/// Credentials remembered at once.
const CAPACITY: u64 = 10_000;

/// Keyed hash of an address and a password; worthless without this process's key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CredentialKey([u8; 32]);

/// A user whose password was right, with what held then.
#[derive(Debug)]
pub(super) struct VerifiedUser {
    pub(super) id: i64,
    pub(super) email: Arc<str>,
    /// The stored hash that the password was compared with: another one now means another password.
    pub(super) password_hash: Secret,
    pub(super) grants: Vec<Grant>,
    /// The registry's generation of principals, read before the rows.
    pub(super) generation: u64,
    pub(super) at_ms: i64,
}

impl VerifiedUser {
    /// The role in the named tenant, or in the only one.
    pub(super) fn grant_in(&self, tenant: Option<i64>) -> Result<Grant, AuthError> {
        let grant = match (tenant, self.grants.as_slice()) {
            (Some(id), grants) => grants.iter().find(|g| g.tenant.id.get() == id),
            (None, [only]) => Some(only),
            (None, []) => None,
            (None, _) => return Err(AuthError::TenantChoiceNeeded),
        };
        grant.copied().ok_or(AuthError::TenantNotGranted)
    }

    /// The user as a principal of the named tenant, or of the only one.
    pub(super) fn in_tenant(&self, tenant: Option<i64>) -> Result<Principal, AuthError> {
        let grant = self.grant_in(tenant)?;
        Ok(Principal {
            kind: PrincipalKind::User { email: Arc::clone(&self.email) },
            tenant: grant.tenant,
            scopes: grant.role.scopes(),
        })
    }
}

/// The memory; clones share it.
#[derive(Clone)]
pub(super) struct VerifiedCache {
    key: [u8; 32],
    users: Cache<CredentialKey, Arc<VerifiedUser>>,
}

impl fmt::Debug for VerifiedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCache").field("entries", &self.users.entry_count()).finish_non_exhaustive()
    }
}

impl VerifiedCache {
    pub(super) fn new() -> Result<Self, AuthError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(AuthError::Randomness)?;
        let lifetime = Duration::from_millis(REMEMBERED_MS.unsigned_abs());
        Ok(Self { key, users: Cache::builder().max_capacity(CAPACITY).time_to_live(lifetime).build() })
    }

    /// Key of a credential. The key goes around the inner hash as well, so that it is no plain prefix hash.
    pub(super) fn key(&self, email: &str, password: &Secret) -> CredentialKey {
        let inner = Sha256::new()
            .chain_update(self.key)
            .chain_update(email.len().to_le_bytes())
            .chain_update(email)
            .chain_update(password.expose())
            .finalize();
        CredentialKey(Sha256::new().chain_update(self.key).chain_update(inner).finalize().into())
    }

    /// The user, if remembered for less than a minute and no principal changed since.
    pub(super) fn get(&self, key: &CredentialKey, now_ms: i64, generation: u64) -> Option<Arc<VerifiedUser>> {
        self.users
            .get(key)
            .filter(|user| user.generation == generation && now_ms.abs_diff(user.at_ms) < REMEMBERED_MS.unsigned_abs())
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.users.iter().count()
    }

    pub(super) fn insert(&self, key: CredentialKey, user: Arc<VerifiedUser>) {
        self.users.insert(key, user);
    }
}

/// Turns of credentials that are being checked: one check at a time for each.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<CredentialKey, Weak<tokio::sync::Mutex<()>>>>);

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flights")
    }
}

impl Flights {
    /// The lock of this credential, shared by all who check it now.
    pub(super) fn of(&self, key: &CredentialKey) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert(*key, Arc::downgrade(&flight));
        flight
    }
}
