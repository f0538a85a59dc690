//! Upkeep of tenants' lakes: in the background, and by hand.
//!
//! Two lanes. Small files are merged as soon as a day has too many, and long logs tidied, whatever else goes on.
//! Everything else (sorting, retention, all logs, vacuum, old rows) is done when a tenant is *due*, one tenant at a
//! time; the registry knows when that is, so idle tenants are not opened to find out. Whatever a crash interrupts is
//! done again.

mod by_hand;
mod steps;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::Services;
use super::evidence::chain;
use super::room::NoRoom;
use super::single_flight::SingleFlight;
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;
use crate::lake::error::LakeError;
use crate::lake::upkeep::plan::QUIET_MS;
use crate::registry::RegistryError;
use crate::registry::tenants::{Tenant, TenantError};
use crate::registry::upkeep::{self, UpkeepState};

pub use by_hand::{Command, LakeStatus};

/// Failure of upkeep. What was done until then stays done, and it can be repeated at any time.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// There is no such tenant.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// Rewriting needs room on the disk.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Something that upkeep did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum UpkeepStep {
    /// Wrote a day, sorted. When it is only planned, the new files are not known.
    Sort {
        /// The UTC day.
        day: String,
        /// Files before.
        files_before: usize,
        /// Their bytes.
        bytes_before: u64,
        /// Rows in them.
        rows: u64,
        /// Files after.
        files_after: Option<usize>,
        /// Their bytes.
        bytes_after: Option<u64>,
    },
    /// Dropped a day that has expired.
    DropDay {
        /// The UTC day.
        day: String,
        /// Files that are no longer live; vacuum deletes them.
        files: usize,
        /// Rows that are gone.
        rows: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Forgot evidence files of anomalies that are no longer served; vacuum deletes them.
    ForgetEvidence {
        /// How many.
        files: u64,
    },
    /// Removed anomalies that have expired.
    RemoveAnomalies {
        /// How many.
        anomalies: u64,
    },
    /// Deleted files that nobody needs.
    Delete {
        /// How many.
        files: usize,
        /// Their bytes.
        bytes: u64,
        /// Files that nothing names either, but that are too young or may still be read.
        waiting_files: usize,
        /// Their bytes.
        waiting_bytes: u64,
    },
}

/// Turns and memory of upkeep.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Merging of small files of a tenant.
    merging: SingleFlight<TenantKey>,
    /// Everything else of a tenant.
    working: SingleFlight<TenantKey>,
    /// Rewrites cost memory and cores: one merge and one sort at a time, in the whole server.
    merge_turn: Semaphore,
    sort_turn: Semaphore,
    /// Tenants whose due time covers what they got lately.
    announced: Mutex<HashSet<TenantKey>>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            merging: SingleFlight::default(),
            working: SingleFlight::default(),
            merge_turn: Semaphore::new(1),
            sort_turn: Semaphore::new(1),
            announced: Mutex::default(),
        }
    }
}

/// After a failure a tenant is looked at again after this time, in ms.
const RETRY_MS: i64 = 600_000;

/// A tenant is looked at once a day at least, in ms.
const ROUND_MS: i64 = DAY_MS;

/// What a look at a tenant came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// Something was done.
    Worked,
    /// There was nothing to do.
    Idle,
}

impl Services {
    /// Merges small files of the tables that have got many appends, tidies their logs, and plans a look at all tables
    /// that have got any. Failures are logged and counted; the next append or the next look tries again.
    ///
    /// It goes in rounds: each tenant with too many files gets one merge, the smallest first, and whoever has got
    /// too many meanwhile is in the next round.
    pub async fn follow_appends(&self) {
        let mut busy = HashSet::new();
        loop {
            for tenant in self.lake.feed().take_fresh() {
                if let Err(error) = self.announce(tenant).await {
                    self.upkeep_failed(tenant, &error);
                }
            }
            for tenant in self.lake.feed().take_logged() {
                if let Err(error) = self.tidy_long_log(tenant).await {
                    self.upkeep_failed(tenant, &error);
                }
            }
            busy.extend(self.lake.feed().take_busy());
            if busy.is_empty() {
                return;
            }
            for tenant in self.next_round(std::mem::take(&mut busy)).await {
                match self.merge_once(tenant).await {
                    Ok(true) => drop(busy.insert(tenant)),
                    Ok(false) => {}
                    Err(error) => self.upkeep_failed(tenant, &error),
                }
            }
        }
    }

    /// Those of the tenants that have something to merge, the ones with the fewest bytes first.
    async fn next_round(&self, busy: HashSet<TenantKey>) -> Vec<TenantKey> {
        let mut round = Vec::new();
        for tenant in busy {
            match self.next_merge_bytes(tenant).await {
                Ok(Some(bytes)) => round.push((bytes, tenant)),
                Ok(None) => {}
                Err(error) => self.upkeep_failed(tenant, &error),
            }
        }
        round.sort_unstable();
        round.into_iter().map(|(_, tenant)| tenant).collect()
    }

    /// Makes sure that a tenant with new rows is looked at once they are old enough to be sorted. Costs a write of
    /// the registry an hour.
    async fn announce(&self, tenant: TenantKey) -> Result<(), UpkeepError> {
        if !self.upkeep.announced.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant) {
            return Ok(());
        }
        let due_ms = self.clock.now_ms().saturating_add(QUIET_MS);
        let written =
            self.registry.write(move |conn| Box::pin(async move { upkeep::due_by(conn, tenant, due_ms).await })).await;
        if written.is_err() {
            self.upkeep.announced.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        }
        Ok(written?)
    }

    /// Looks at the tenant that has been due for longest; none when nobody is due.
    ///
    /// # Errors
    /// When the registry fails; what fails at the tenant is logged, counted and written down.
    pub async fn upkeep_next(&self) -> Result<Option<Visit>, UpkeepError> {
        let now_ms = self.clock.now_ms();
        let due = upkeep::next_due(&mut *self.registry.read().await?, now_ms).await?;
        let Some(tenant) = due else { return Ok(None) };
        Ok(Some(self.upkeep_of(&tenant).await?))
    }

    /// Does everything that is due for a tenant, and plans the next look.
    ///
    /// # Errors
    /// As [`Services::upkeep_next`].
    pub async fn upkeep_of(&self, tenant: &Tenant) -> Result<Visit, UpkeepError> {
        let key = tenant.key;
        // Rows that arrive from here on announce themselves anew.
        self.upkeep.announced.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        let now_ms = self.clock.now_ms();
        let mut looked = steps::Look::new(now_ms.saturating_add(ROUND_MS));
        self.do_what_is_due(tenant, &mut looked).await;
        if let Some(error) = &looked.failed {
            self.upkeep_failed(key, error);
            looked.next_ms = looked.next_ms.min(now_ms.saturating_add(RETRY_MS));
        }
        let state = UpkeepState {
            due_at_ms: looked.next_ms,
            done_at_ms: Some(now_ms),
            last_error: looked.failed.as_ref().map(|error| chain(error)),
        };
        self.registry.write(move |conn| Box::pin(async move { upkeep::done(conn, key, &state).await })).await?;
        Ok(if looked.worked { Visit::Worked } else { Visit::Idle })
    }

    fn upkeep_failed(&self, tenant: TenantKey, error: &UpkeepError) {
        self.metrics.upkeep_failed.inc();
        tracing::error!(%tenant, error = chain(error), "upkeep of a tenant failed and is tried again");
    }
}
