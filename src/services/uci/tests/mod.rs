//! Tests of the index over real services with a clock that stands still.

mod alerts;
mod erase;
mod impacts;
mod model;
mod naive;
mod rules;
mod scores;
mod search;

use std::sync::Arc;

use tempfile::TempDir;

use super::{ImpactRequest, RecordedImpact, SearchFilters, SearchRequest, UciError};
use crate::domain::clock::ManualClock;
use crate::domain::tenant::TenantId;
use crate::lake::layout::DataDir;
use crate::registry::settings::{SettingsChange, UciOverrides};
use crate::registry::tenants::Tenant;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;
use crate::services::auth::Actor;
use crate::services::settings::ServerSettings;

/// When every test starts: 2026-11-22T00:00:00Z.
pub(super) const NOW: i64 = 1_795_305_600_000;

pub(super) const HOUR: i64 = 3_600_000;

pub(super) struct TestUci {
    pub(super) services: Arc<Services>,
    pub(super) clock: Arc<ManualClock>,
    dir: TempDir,
}

impl TestUci {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let services = Self::open(&dir, &clock).await;
        Self { services, clock, dir }
    }

    async fn open(dir: &TempDir, clock: &Arc<ManualClock>) -> Arc<Services> {
        let data = DataDir::create(dir.path()).unwrap();
        let clock = Arc::<ManualClock>::clone(clock);
        Services::open(&data, ServerSettings::default(), clock).await.unwrap()
    }

    /// The same data, opened anew.
    pub(super) async fn reopened(self) -> Self {
        let Self { services, clock, dir } = self;
        services.close().await;
        drop(services);
        let services = Self::open(&dir, &clock).await;
        Self { services, clock, dir }
    }

    pub(super) async fn tenant(&self, id: i64) -> Tenant {
        let id = TenantId::try_from(id).unwrap();
        self.services.create_tenant(&Actor::command_line(), id, "a tenant".to_owned()).await.unwrap()
    }

    pub(super) async fn set(&self, tenant: &Tenant, uci: UciOverrides) -> Tenant {
        let change = SettingsChange { uci, ..SettingsChange::default() };
        self.services.change_tenant(&Actor::command_line(), tenant.key.id, change).await.unwrap()
    }

    pub(super) async fn accept(&self, tenant: &Tenant, impact: ImpactRequest) -> UciAnomaly {
        self.services.record_impact(tenant, impact).await.unwrap().anomaly
    }

    pub(super) async fn try_accept(&self, tenant: &Tenant, impact: ImpactRequest) -> Result<RecordedImpact, UciError> {
        self.services.record_impact(tenant, impact).await
    }

    pub(super) async fn score(&self, tenant: &Tenant, user: &str) -> i64 {
        self.services.explain_user(tenant, user).await.unwrap().score
    }
}

pub(super) fn impact(user: &str, score: i64, timestamp_ms: i64) -> ImpactRequest {
    ImpactRequest {
        user: user.to_owned(),
        score,
        timestamp_ms,
        source: "OKTA".to_owned(),
        reason: "login failed too many times".to_owned(),
        idempotency_key: None,
    }
}

pub(super) fn keyed(impact: ImpactRequest, key: &str) -> ImpactRequest {
    ImpactRequest { idempotency_key: Some(key.to_owned()), ..impact }
}

pub(super) fn search(filters: SearchFilters) -> SearchRequest {
    SearchRequest { activity: None, filters, offset: 0, limit: 1000 }
}

/// The field that was refused.
pub(super) fn refused_field<T: std::fmt::Debug>(result: Result<T, UciError>) -> &'static str {
    match result.unwrap_err() {
        UciError::Field { field, .. } => field,
        other => panic!("not a field: {other:?}"),
    }
}
