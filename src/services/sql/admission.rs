//! Who may run a statement now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::SqlError;
use crate::domain::tenant::TenantKey;
use crate::query::limits::budget::Budget;
use crate::query::limits::memory::Shares;
use crate::query::limits::temp::{TempQuota, TempQuotas};
use crate::query::sql::session::ONE_PARTITION_BELOW;
use crate::services::settings::{SqlLimits, SqlSettings};

/// How long a caller that was refused should wait.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The gates of all tenants.
#[derive(Debug)]
pub(in crate::services) struct Gates {
    server: Budget,
    server_temp: Arc<TempQuota>,
    tenants: Mutex<HashMap<TenantKey, Arc<Gate>>>,
}

/// What the statements of one tenant share.
#[derive(Debug)]
struct Gate {
    statements: Arc<Semaphore>,
    memory: Budget,
    temp: Arc<TempQuota>,
}

/// Leave to run one statement.
#[derive(Debug)]
pub(super) struct Admitted {
    /// A place among the tenant's statements.
    pub(super) permit: OwnedSemaphorePermit,
    /// The memory that is its own.
    pub(super) shares: Shares,
    /// The temporary files of the tenant and of the server.
    pub(super) temp: TempQuotas,
}

impl Gates {
    /// Gates under a server's limits.
    pub(in crate::services) fn new(settings: &SqlSettings) -> Self {
        let bytes = usize::try_from(settings.server_memory).unwrap_or(usize::MAX);
        let server_temp = Arc::new(TempQuota::new(settings.server_temp));
        Self { server: Budget::new(bytes), server_temp, tenants: Mutex::default() }
    }

    fn of(&self, tenant: TenantKey, limits: SqlLimits) -> Arc<Gate> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = tenants.entry(tenant).or_insert_with(|| {
            Arc::new(Gate {
                statements: Arc::new(Semaphore::new(limits.statements)),
                memory: Budget::new(limits.tenant_memory),
                temp: Arc::new(TempQuota::new(limits.tenant_temp)),
            })
        });
        Arc::clone(gate)
    }

    /// Waits for a place and for memory.
    pub(super) async fn admit(
        &self,
        tenant: TenantKey,
        limits: SqlLimits,
        wait: Duration,
    ) -> Result<Admitted, SqlError> {
        let until = Instant::now() + wait;
        let busy = || SqlError::Busy { retry_after: RETRY_AFTER };
        let gate = self.of(tenant, limits);
        let permit = tokio::time::timeout_at(until, Arc::clone(&gate.statements).acquire_owned()).await;
        let permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        let floor = limits.memory.min(ONE_PARTITION_BELOW);
        let left = || until.saturating_duration_since(Instant::now());
        // Always in this order, so that no two wait for each other.
        let tenant = gate.memory.admit(floor, left()).await.ok_or_else(busy)?;
        let server = self.server.admit(floor, left()).await.ok_or_else(busy)?;
        let temp = TempQuotas { tenant: Arc::clone(&gate.temp), server: Arc::clone(&self.server_temp) };
        Ok(Admitted { permit, shares: Shares { tenant, server }, temp })
    }
}
