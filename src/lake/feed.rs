//! What all tables of a lake tell upkeep: which of them got new files, and how many bytes were written why.
//!
//! Upkeep sleeps until a table says something. Thousands of tables that nobody writes to cost nothing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::tenant::TenantKey;

/// Appends after which the small files of a table are looked at again: a day gains at most one file by
/// each, so with [`SMALL_FILES`](super::upkeep::plan::SMALL_FILES) left it stays within 32.
pub const MERGE_AFTER: u32 = 8;

/// Appends after which the log of a table is tidied, whatever else is due.
pub const TIDY_AFTER: u32 = 1_000;

/// Why bytes of data files were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenBy {
    /// Ingests.
    Ingest,
    /// Merging small files of a day.
    Merge,
    /// Sorting a day.
    Sort,
}

/// Bytes of committed data files since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BytesWritten {
    /// By ingests.
    pub ingest: u64,
    /// By merging small files.
    pub merge: u64,
    /// By sorting days.
    pub sort: u64,
}

/// Tables that got new files, and bytes written.
#[derive(Debug, Default)]
pub struct Feed {
    touched: Mutex<Touched>,
    notify: Notify,
    bytes: [AtomicU64; 3],
}

#[derive(Debug, Default)]
struct Touched {
    /// Appends since the table was last taken for merging.
    appends: HashMap<TenantKey, u32>,
    /// Appends since the table was last taken for tidying its log.
    logged: HashMap<TenantKey, u32>,
    /// Tables touched since they were last taken for planning.
    fresh: HashSet<TenantKey>,
}

impl Feed {
    fn touched(&self) -> std::sync::MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table was opened: nobody knows how many small files it has and how long its log is, so its next append counts
    /// as enough.
    pub(super) fn opened(&self, tenant: TenantKey) {
        let mut touched = self.touched();
        touched.appends.insert(tenant, MERGE_AFTER - 1);
        touched.logged.insert(tenant, TIDY_AFTER - 1);
    }

    /// A table is gone.
    pub(super) fn dropped(&self, tenant: TenantKey) {
        let mut touched = self.touched();
        touched.appends.remove(&tenant);
        touched.logged.remove(&tenant);
        touched.fresh.remove(&tenant);
    }

    /// A table got files of this size by an append.
    pub(super) fn appended(&self, tenant: TenantKey, bytes: u64) {
        self.count(WrittenBy::Ingest, bytes);
        let mut touched = self.touched();
        let Touched { appends, logged, .. } = &mut *touched;
        for count in [appends, logged] {
            let count = count.entry(tenant).or_default();
            *count = count.saturating_add(1);
        }
        touched.fresh.insert(tenant);
        drop(touched);
        self.notify.notify_one();
    }

    /// Counts bytes of committed files.
    pub(super) fn count(&self, by: WrittenBy, bytes: u64) {
        self.bytes[by as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes written so far.
    #[must_use]
    pub fn bytes_written(&self) -> BytesWritten {
        let [ingest, merge, sort] = [0, 1, 2].map(|by: usize| self.bytes[by].load(Ordering::Relaxed));
        BytesWritten { ingest, merge, sort }
    }

    /// Waits for an append to any table, since the last wait.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Tables with [`MERGE_AFTER`] appends since they were last taken here.
    pub fn take_busy(&self) -> Vec<TenantKey> {
        take(&mut self.touched().appends, MERGE_AFTER)
    }

    /// Tables with [`TIDY_AFTER`] appends since they were last taken here.
    pub fn take_logged(&self) -> Vec<TenantKey> {
        take(&mut self.touched().logged, TIDY_AFTER)
    }

    /// Tables with appends since they were last taken here.
    pub fn take_fresh(&self) -> Vec<TenantKey> {
        self.touched().fresh.drain().collect()
    }
}

/// Those that have come to this number.
fn take(counts: &mut HashMap<TenantKey, u32>, enough: u32) -> Vec<TenantKey> {
    counts.extract_if(|_, count| *count >= enough).map(|(tenant, _)| tenant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::testing::tenant;

    #[test]
    fn a_table_is_taken_once_it_has_enough_appends_and_right_after_it_was_opened() {
        let feed = Feed::default();
        feed.opened(tenant());
        assert!(feed.take_busy().is_empty(), "opening alone is no work");
        feed.appended(tenant(), 5);
        assert_eq!((feed.take_fresh(), feed.take_fresh()), (vec![tenant()], vec![]));
        assert_eq!(feed.take_busy(), [tenant()]);
        for _ in 1..MERGE_AFTER {
            feed.appended(tenant(), 5);
        }
        assert!(feed.take_busy().is_empty());
        feed.appended(tenant(), 5);
        assert_eq!((feed.take_busy(), feed.take_busy()), (vec![tenant()], vec![]));
        assert_eq!(feed.take_logged(), [tenant()], "it was opened");
        for _ in 1..TIDY_AFTER {
            feed.appended(tenant(), 0);
        }
        assert!(feed.take_logged().is_empty());
        feed.appended(tenant(), 0);
        assert_eq!((feed.take_logged(), feed.take_logged()), (vec![tenant()], vec![]));
        assert_eq!(feed.bytes_written(), BytesWritten { ingest: 45, ..BytesWritten::default() });
    }

    #[tokio::test]
    async fn an_append_wakes_whoever_waits_or_will_wait() {
        let feed = Feed::default();
        feed.appended(tenant(), 1);
        feed.changed().await;
    }
}
