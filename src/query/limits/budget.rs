//! Memory that several statements share: all of a tenant, all of the server.
//!
//! A statement is admitted with a floor of memory that is its own whatever the others do. Without a floor a large pool
//! could in effect be a tiny one, and grouping under a tiny pool can wait for ever in the engine
//! (apache/datafusion#24883). Beyond the floor it takes more while there is some.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit in which shared memory is handed out, in bytes: coarse, so that few allocations touch what is shared.
pub const UNIT_BYTES: usize = 1 << 20;

/// Memory of a tenant or of the server.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
}

/// Memory taken from a budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    permit: OwnedSemaphorePermit,
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

impl Budget {
    /// A budget of this many bytes, in whole [units](UNIT_BYTES).
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { units: Arc::new(Semaphore::new((bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS))) }
    }

    /// Waits for a floor; none when it did not come free in time.
    pub async fn admit(&self, floor_bytes: usize, within: Duration) -> Option<Share> {
        let floor = Arc::clone(&self.units).acquire_many_owned(units(floor_bytes));
        let permit = tokio::time::timeout(within, floor).await.ok()?.ok()?;
        Some(Share { budget: self.clone(), permit })
    }
}

impl Share {
    /// Bytes that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.permit.num_permits() * UNIT_BYTES
    }

    /// Takes so much more that at least `bytes` are held; false when the budget has not got them.
    pub fn raise_to(&mut self, bytes: usize) -> bool {
        let missing = bytes.saturating_sub(self.bytes());
        match Arc::clone(&self.budget.units).try_acquire_many_owned(units(missing)) {
            Ok(more) => {
                self.permit.merge(more);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives back what is held beyond `bytes`.
    pub fn lower_to(&mut self, bytes: usize) {
        let kept = usize::try_from(units(bytes)).unwrap_or(usize::MAX);
        let surplus = self.permit.num_permits().saturating_sub(kept);
        drop(self.permit.split(surplus));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test]
    async fn a_floor_is_waited_for_and_more_is_taken_while_there_is_some() {
        let budget = Budget::new(10 * MIB);
        let mut first = budget.admit(4 * MIB, Duration::ZERO).await.unwrap();
        let second = budget.admit(4 * MIB, Duration::ZERO).await.unwrap();
        assert!(budget.admit(4 * MIB, Duration::from_millis(1)).await.is_none());
        assert!(first.raise_to(6 * MIB) && first.raise_to(3 * MIB));
        assert_eq!(first.bytes(), 6 * MIB);
        assert!(!first.raise_to(6 * MIB + 1), "nothing is left");
        drop(second);
        assert!(first.raise_to(6 * MIB + 1));
        assert_eq!(first.bytes(), 7 * MIB);
        first.lower_to(4 * MIB);
        assert_eq!(first.bytes(), 4 * MIB);
        drop(first);
        assert_eq!(budget.admit(10 * MIB, Duration::ZERO).await.unwrap().bytes(), 10 * MIB);
    }
}
