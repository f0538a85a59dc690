//! A registry in a temporary folder, for the tests of this folder's tables.

use tempfile::TempDir;

use super::writer::GroupLimits;
use super::{Registry, tenants};
use crate::domain::tenant::{TenantId, TenantKey};

/// Keeps its folder as long as it lives.
pub(crate) struct TestRegistry {
    pub(crate) registry: Registry,
    pub(crate) dir: TempDir,
}

impl TestRegistry {
    pub(crate) async fn new() -> Self {
        Self::with_limits(GroupLimits::default()).await
    }

    pub(super) async fn with_limits(limits: GroupLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open_with(&dir.path().join("registry.sqlite"), limits).await.unwrap();
        Self { registry, dir }
    }

    /// Creates a tenant at time 0.
    pub(crate) async fn tenant(&self, id: i64) -> TenantKey {
        let id = TenantId::try_from(id).unwrap();
        self.registry
            .try_write(move |conn| Box::pin(async move { tenants::create(conn, id, "a tenant", 0).await }))
            .await
            .unwrap()
            .key
    }
}
