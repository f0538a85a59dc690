//! Refusals, told apart by what the caller can do.

use std::time::Duration;

use super::passwords::PasswordError;
use super::users::MIN_PASSWORD_CHARS;
use crate::domain::tenant::TenantId;
use crate::registry::RegistryError;
use crate::registry::tenants::TenantError;

/// Why a request has no principal.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown user, wrong password, disabled user, or a token that is unknown, expired or revoked.
    #[error("the credentials are not valid")]
    InvalidCredentials,
    /// The user has roles in several tenants: name one.
    #[error("the user has several tenants; name one")]
    TenantChoiceNeeded,
    /// The credentials are valid, but not in the named tenant, or in none at all.
    #[error("the credentials give no access to the tenant")]
    TenantNotGranted,
    /// Too many failures from this address or for this e-mail, or too many checks at once: wait.
    #[error("too many attempts; try again in {} s", retry_after.as_secs_f64().ceil())]
    TooManyAttempts {
        /// When an attempt may be worth it.
        retry_after: Duration,
    },
    /// Checking the password failed for a reason of ours.
    #[error("cannot check the password")]
    Hashing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gave no random bytes.
    #[error("no random bytes from the system")]
    Randomness(#[source] getrandom::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Why an act of administration was not done; nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such tenant, or it is being dropped.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The address is taken: grant that user a role instead.
    #[error("user {0} already exists; use grant to give a role in another tenant")]
    UserExists(String),
    /// No user has this address.
    #[error("there is no user {0}")]
    NoSuchUser(String),
    /// The user has no role there.
    #[error("user {email} has no role in tenant {tenant}")]
    NoSuchRole {
        /// The user's address.
        email: String,
        /// The tenant.
        tenant: TenantId,
    },
    /// The tenant has no token with this number.
    #[error("tenant {tenant} has no token {id}")]
    NoSuchToken {
        /// The tenant.
        tenant: TenantId,
        /// The number.
        id: i64,
    },
    /// Not an address that a user could sign in with.
    #[error("`{0}` is no e-mail address; it needs an @ and may hold no colon, space or control character")]
    InvalidEmail(String),
    /// The password is too short.
    #[error("a password has at least {MIN_PASSWORD_CHARS} characters")]
    WeakPassword,
    /// A token without scopes could do nothing.
    #[error("a token needs at least one scope")]
    NoScopes,
    /// A life of no length, or one that ends beyond all time.
    #[error("a token's lifetime must be longer than 0 and end within reach of the calendar")]
    InvalidLifetime,
    /// Too many password hashes at once: wait.
    #[error("too many password checks at once; try again in {} s", retry_after.as_secs_f64().ceil())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// Hashing the password failed.
    #[error("cannot hash the password")]
    Hashing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gave no random bytes.
    #[error("no random bytes from the system")]
    Randomness(#[source] getrandom::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<PasswordError> for AdminError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy { retry_after } => Self::Busy { retry_after },
            error => Self::Hashing(error.into()),
        }
    }
}
