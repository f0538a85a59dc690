//! How far long work is, for whoever waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::lake::watch::Watch;

/// Counts what is done; shared by the work and its watcher.
#[derive(Debug, Default)]
pub struct Meter {
    planned: AtomicU64,
    done: AtomicU64,
    stopped: AtomicBool,
}

/// How far the work is, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// What is to be gone through, as far as known.
    pub planned: u64,
    /// What is done of it.
    pub done: u64,
}

impl Meter {
    /// How far the work is.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading { planned: self.planned.load(Ordering::Relaxed), done: self.done.load(Ordering::Relaxed) }
    }

    /// Says that nobody waits any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Watch for Meter {
    fn planned(&self, bytes: u64) {
        self.planned.fetch_add(bytes, Ordering::Relaxed);
    }

    fn done(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
