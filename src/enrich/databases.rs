//! The databases in force: read once, and each again when its file changes.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::database::{Database, DatabaseError};
use super::facts::Facts;
use super::metrics::EnrichmentMetrics;
use crate::domain::address::{canonical, is_public};

/// What a file looks like from outside; another look means that it may hold something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Look {
    /// None for a file that is not there, because it is being replaced or was deleted.
    fn at(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self { inode: data.ino(), bytes: data.len(), changed: (data.mtime(), data.mtime_nsec()) })
    }
}

/// What earlier looks at a file have shown.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The file that was last read, also when it could not be used.
    read: Option<Look>,
    before: Option<Look>,
}

/// Databases in the order in which they are asked; the first that knows a place decides it.
#[derive(Debug)]
pub struct Databases {
    current: RwLock<Arc<[Arc<Database>]>>,
    seen: tokio::sync::Mutex<Vec<Seen>>,
    metrics: EnrichmentMetrics,
}

/// Databases as they are at one moment, for one input.
#[derive(Debug, Clone)]
pub(super) struct Snapshot(Arc<[Arc<Database>]>);

impl Databases {
    /// Reads all files into memory. It blocks.
    ///
    /// # Errors
    /// [`DatabaseError`] of the first file that cannot be used.
    pub fn open(paths: &[PathBuf], metrics: EnrichmentMetrics) -> Result<Self, DatabaseError> {
        let mut seen = Vec::with_capacity(paths.len());
        let mut databases = Vec::with_capacity(paths.len());
        for path in paths {
            // Looked at first: a change while it is read is then seen as one.
            let look = Look::at(path);
            databases.push(Arc::new(Database::open(path, &metrics)?));
            seen.push(Seen { read: look, before: look });
        }
        Ok(Self { current: RwLock::new(databases.into()), seen: tokio::sync::Mutex::new(seen), metrics })
    }

    /// Looks at the files again and again, for as long as it is polled. Polling and no notification: it also sees
    /// swapped links and changes on network disks.
    pub async fn follow(self: Arc<Self>, every: Duration) {
        if self.current().0.is_empty() {
            return;
        }
        loop {
            tokio::time::sleep(every).await;
            self.look().await;
        }
    }

    /// Looks at the files, and takes over what is new, whole and not being written: what looks the same twice. A file
    /// that is gone, or that cannot be used, leaves the database that was read before in force.
    pub async fn look(self: &Arc<Self>) {
        let mut seen = self.seen.lock().await;
        for (place, seen) in seen.iter_mut().enumerate() {
            let Some(path) = self.current().0.get(place).map(|database| database.path.clone()) else { continue };
            let this = Arc::clone(self);
            let (mut state, before) = (*seen, seen.before);
            let looked = tokio::task::spawn_blocking(move || {
                let now = Look::at(&path);
                if now.is_some() && now != state.read && now == before {
                    state.read = now;
                    this.reload(place, &path);
                }
                Seen { before: now, ..state }
            });
            match looked.await {
                Ok(state) => *seen = state,
                Err(error) => tracing::error!(%error, "could not look at a database"),
            }
        }
    }

    fn reload(&self, place: usize, path: &Path) {
        let new = Database::open(path, &self.metrics).and_then(|new| new.verify().map(|()| new));
        match new {
            Ok(new) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let mut databases = current.to_vec();
                if let Some(old) = databases.get_mut(place) {
                    *old = Arc::new(new);
                }
                *current = databases.into();
                tracing::info!(file = %path.display(), "took over a new database");
            }
            Err(error) => {
                self.metrics.reloads_failed.inc();
                let error: &dyn std::error::Error = &error;
                let source = error.source().map(ToString::to_string);
                tracing::error!(%error, source, "the new database cannot be used; the old one stays in force");
            }
        }
    }

    pub(super) fn current(&self) -> Snapshot {
        Snapshot(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Sets the gauges that are read and not counted.
    pub fn observe(&self, now_ms: i64) {
        for database in &*self.current().0 {
            let age_ms = now_ms.saturating_sub(database.built_ms()).max(0);
            self.metrics.age_seconds.get_or_create(&database.labels()).set(age_ms / 1_000);
        }
    }
}

impl Snapshot {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is known about an address; nothing about one that is not public.
    pub(super) fn look_up(&self, address: IpAddr) -> Facts {
        let address = canonical(address);
        let mut facts = Facts::default();
        if is_public(address) {
            for found in self.0.iter().filter_map(|database| database.look_up(address)) {
                facts.add(found);
            }
        }
        facts
    }
}
