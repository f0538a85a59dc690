//! What this process makes at the moment, and where the files are.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::domain::tenant::TenantKey;

/// An attempt under way.
#[derive(Debug)]
pub struct Attempt {
    tenant: TenantKey,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) stop: CancellationToken,
}

impl Attempt {
    /// Rows encoded so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The attempts of this process by export.
#[derive(Debug)]
pub(in super::super) struct SavedExports {
    folder: PathBuf,
    attempts: Arc<Mutex<HashMap<i64, Arc<Attempt>>>>,
    wake: Notify,
}

/// Keeps an attempt listed until it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    id: i64,
    attempts: Arc<Mutex<HashMap<i64, Arc<Attempt>>>>,
    pub(super) attempt: Arc<Attempt>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl SavedExports {
    pub(in super::super) fn new(folder: PathBuf) -> Self {
        Self { folder, attempts: Arc::default(), wake: Notify::new() }
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<i64, Arc<Attempt>>) -> T) -> T {
        look(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lists an attempt; none when one of this export is listed already.
    pub(super) fn enter(&self, id: i64, tenant: TenantKey) -> Option<Listed> {
        let attempt = Arc::new(Attempt {
            tenant,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        self.with(|attempts| match attempts.entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => None,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(Arc::clone(&attempt));
                Some(Listed { id, attempts: Arc::clone(&self.attempts), attempt })
            }
        })
    }

    pub(super) fn attempt(&self, id: i64) -> Option<Arc<Attempt>> {
        self.with(|attempts| attempts.get(&id).cloned())
    }

    pub(super) fn is_listed(&self, id: i64) -> bool {
        self.with(|attempts| attempts.contains_key(&id))
    }

    /// Attempts of a tenant, and the bytes that they have written.
    pub(super) fn of_tenant(&self, tenant: TenantKey) -> (usize, u64) {
        self.with(|attempts| {
            let own = attempts.values().filter(|attempt| attempt.tenant == tenant);
            own.fold((0, 0), |(count, bytes), attempt| (count + 1, bytes + attempt.bytes()))
        })
    }

    pub(in super::super) fn cancel(&self, id: i64) {
        if let Some(attempt) = self.attempt(id) {
            attempt.stop.cancel();
        }
    }

    pub(super) fn cancel_tenant(&self, tenant: TenantKey) {
        self.with(|attempts| {
            attempts.values().filter(|attempt| attempt.tenant == tenant).for_each(|attempt| attempt.stop.cancel());
        });
    }

    pub(super) fn cancel_all(&self) {
        self.with(|attempts| attempts.values().for_each(|attempt| attempt.stop.cancel()));
    }

    /// Says that there may be something to make.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn folder_of(&self, tenant: TenantKey) -> PathBuf {
        self.folder.join(tenant.folder())
    }

    /// Deletes a file that the registry names no more. A failure leaves garbage and harms nobody.
    pub(in super::super) async fn remove_file(&self, tenant: TenantKey, file: &str) {
        let path = self.folder_of(tenant).join(file);
        match tokio::fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "could not delete a saved export's file");
            }
            _ => {}
        }
    }

    pub(super) async fn remove_tenant(&self, tenant: TenantKey) -> io::Result<()> {
        match tokio::fs::remove_dir_all(self.folder_of(tenant)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}
