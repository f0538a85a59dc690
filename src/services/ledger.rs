//! The lake's ledger of pending answers, kept in the registry.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::clock::Clock;
use crate::domain::tenant::TenantKey;
use crate::lake::error::Cause;
use crate::lake::writer::{Ledger, PendingAnswer};
use crate::registry::Registry;
use crate::registry::idempotency::{self, InsertKeyError, NewKey};

/// Route of every ingest; the scope of its idempotency keys, together with the tenant.
pub const INGEST_ROUTE: &str = "POST /api/v1/activities";

/// Implements the lake's ledger over the registry's idempotency keys.
#[derive(Debug)]
pub struct RegistryLedger {
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
}

impl RegistryLedger {
    /// A ledger in this registry.
    #[must_use]
    pub fn new(registry: Arc<Registry>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, clock }
    }
}

#[async_trait]
impl Ledger for RegistryLedger {
    async fn record_pending(&self, tenant: TenantKey, group: i64, answers: Vec<PendingAnswer>) -> Result<(), Cause> {
        let now_ms = self.clock.now_ms();
        let keys: Vec<NewKey> = answers
            .into_iter()
            .map(|pending| NewKey {
                key: pending.key,
                body_hash: pending.body_hash,
                answer_status: pending.status,
                answer_body: pending.answer.into_bytes(),
            })
            .collect();
        let insert = self.registry.try_write(move |conn| {
            Box::pin(async move { idempotency::insert_pending(conn, tenant, INGEST_ROUTE, group, &keys, now_ms).await })
        });
        insert.await.map_err(|error: InsertKeyError| error.into())
    }

    async fn resolve(&self, tenant: TenantKey, committed: i64) -> Result<(), Cause> {
        let resolve = self.registry.write(move |conn| {
            Box::pin(async move { idempotency::resolve(conn, tenant, INGEST_ROUTE, committed).await })
        });
        Ok(resolve.await?)
    }
}
