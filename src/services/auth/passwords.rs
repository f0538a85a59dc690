//! Argon2id on the blocking pool: each hash takes 19 MiB and tens of milliseconds, so only few run at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::credential::Secret;

/// Hashes that run at once.
const RUNNING: usize = 2;

/// Hashes that wait for one of those to end; more are refused.
const WAITING: usize = 32;

/// A full queue is through in about this time.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// Random salt and output in the form of a hash with the default parameters: an unknown user costs as much
/// time as a known one.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$/m3ZGKArjExmrakzDVMLkg$c7HPR3DrovKkg17ua92acZbfWi1VlIY4yPY8ezPXaqc";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PasswordError {
    /// The queue is full.
    #[error("too many password checks at once")]
    Busy { retry_after: Duration },
    /// A stored hash does not read, or the system gave no salt.
    #[error("password hashing failed")]
    Hash(#[from] argon2::password_hash::Error),
    /// A stored hash does not read.
    #[error("stored password hash does not read")]
    Stored(#[from] argon2::password_hash::phc::Error),
    /// The hash panicked or the process is shutting down.
    #[error("password hashing was stopped")]
    Stopped(#[from] tokio::task::JoinError),
}

/// The queue; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    places: Arc<Semaphore>,
    running: Arc<Semaphore>,
    done: Arc<AtomicU64>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(RUNNING + WAITING)),
            running: Arc::new(Semaphore::new(RUNNING)),
            done: Arc::default(),
        }
    }
}

impl Passwords {
    /// The PHC string of a new salted hash.
    pub(super) async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        self.in_turn(move || Ok(Argon2::default().hash_password(password.expose().as_bytes())?.to_string())).await
    }

    /// Whether the password belongs to the hash. Without a hash: no, after the same time.
    pub(super) async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, PasswordError> {
        self.in_turn(move || {
            let parsed = PasswordHash::new(hash.as_deref().unwrap_or(DUMMY_HASH))?;
            match Argon2::default().verify_password(password.expose().as_bytes(), &parsed) {
                Ok(()) => Ok(hash.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Hashes computed so far, for checks and for new passwords.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn in_turn<T, F>(&self, work: F) -> Result<T, PasswordError>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, PasswordError> + Send + 'static,
    {
        let busy = |_| PasswordError::Busy { retry_after: BUSY_RETRY };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        // Both go with the work: a caller that leaves does not make room for a third hash.
        let done = Arc::clone(&self.done);
        tokio::task::spawn_blocking(move || {
            let result = work();
            done.fetch_add(1, Ordering::Relaxed);
            drop((turn, place));
            result
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_passes() {
        let passwords = Passwords::default();
        let hash = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct horsf"), Some(hash)).await.unwrap());
        assert!(!passwords.verify(secret("correct horse"), None).await.unwrap());
        let unreadable = passwords.verify(secret("x"), Some("plain".to_owned())).await;
        assert!(matches!(unreadable, Err(PasswordError::Stored(_))));
    }

    #[tokio::test]
    async fn the_dummy_costs_what_a_new_hash_costs() {
        let fresh = Passwords::default().hash(secret("whatever")).await.unwrap();
        let cost = |hash: &str| hash.split('$').take(4).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(DUMMY_HASH), cost(&fresh));
        assert_eq!(DUMMY_HASH.len(), fresh.len());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_empties_again() {
        let passwords = Passwords::default();
        let gate = Arc::clone(&passwords.running).acquire_many_owned(2).await.unwrap();
        let call = || Box::pin(passwords.in_turn(|| Ok(())));
        let mut waiting: Vec<_> = (0..RUNNING + WAITING).map(|_| call()).collect();
        for call in &mut waiting {
            assert!(call.as_mut().now_or_never().is_none());
        }
        assert!(matches!(passwords.in_turn(|| Ok(())).await, Err(PasswordError::Busy { .. })));
        // One that leaves the queue makes room for another.
        drop(waiting.pop());
        waiting.push(call());
        drop(gate);
        assert!(join_all(waiting).await.into_iter().all(|r| r.is_ok()));
        passwords.in_turn(|| Ok(())).await.unwrap();
    }
}
