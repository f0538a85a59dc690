//! One lock per thing that somebody works on, so that equal work is done once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Lock = tokio::sync::Mutex<()>;

/// Locks by key; a lock exists as long as somebody holds it or waits for it.
#[derive(Debug)]
pub struct SingleFlight<K>(Mutex<HashMap<K, Weak<Lock>>>);

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SingleFlight<K> {
    /// The lock of a key. Hold it while working, and look first whether the work is done by now.
    pub fn of(&self, key: K) -> Arc<Lock> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(&key).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(key, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_share_a_lock_while_it_is_held() {
        let flights = SingleFlight::default();
        let first = flights.of(1);
        assert!(Arc::ptr_eq(&first, &flights.of(1)));
        assert!(!Arc::ptr_eq(&first, &flights.of(2)));
        drop(first);
        flights.of(3);
        assert!(flights.0.lock().unwrap().len() <= 1, "locks that nobody holds are forgotten");
    }
}
