//! Tenants: created, changed, dropped; each change leaves an audit entry in its transaction.

use super::auth::Actor;
use super::{Services, audit_entry};
use crate::domain::api_rate::ApiRate;
use crate::domain::tenant::{TenantId, TenantKey};
use crate::lake::error::LakeError;
use crate::registry::RegistryError;
use crate::registry::audit;
use crate::registry::settings::{self, Limits, SettingsChange, UciSettings};
use crate::registry::tenants::{self, Tenant, TenantError, TenantState};
use crate::registry::upkeep;

/// Failure to drop a tenant.
#[derive(Debug, thiserror::Error)]
pub enum DropError {
    /// There is no such tenant, or the registry failed.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The files could not be deleted; the tenant refuses requests and the drop can be repeated.
    #[error("the tenant's files could not be deleted; repeat the command to finish")]
    Lake(#[from] LakeError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Services {
    /// The limits that apply to a tenant.
    #[must_use]
    pub fn limits(&self, tenant: &Tenant) -> Limits {
        tenant.overrides.over(&self.settings.tenant_limits())
    }

    /// The settings of the User Confidence Index that apply to a tenant.
    #[must_use]
    pub fn uci_settings(&self, tenant: &Tenant) -> UciSettings {
        tenant.uci.over(&self.settings.uci_settings())
    }

    /// An active tenant.
    ///
    /// # Errors
    /// [`TenantError`] when there is none or it is being dropped.
    pub async fn tenant(&self, id: TenantId) -> Result<Tenant, TenantError> {
        tenants::get_active(&mut *self.registry.read().await?, id).await
    }

    /// All tenants, by id.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn list_tenants(&self) -> Result<Vec<Tenant>, RegistryError> {
        tenants::list(&mut *self.registry.read().await?).await
    }

    /// Creates a tenant; durable on success. The feature is off.
    ///
    /// # Errors
    /// [`TenantError`]; nothing was stored then.
    pub async fn create_tenant(&self, actor: &Actor, id: TenantId, name: String) -> Result<Tenant, TenantError> {
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let tenant = tenants::create(conn, id, &name, now_ms).await?;
                    let entry = audit_entry(&actor, now_ms, Some(tenant.key), "tenant.create", id.to_string());
                    audit::append(conn, &entry).await?;
                    Ok(tenant)
                })
            })
            .await
    }

    /// Changes settings; durable on success and seen by the next request.
    ///
    /// # Errors
    /// [`settings::SettingsError`]; nothing was changed then.
    pub async fn change_tenant(
        &self,
        actor: &Actor,
        id: TenantId,
        change: SettingsChange,
    ) -> Result<Tenant, TenantError> {
        let (actor, now_ms, defaults) = (actor.clone(), self.clock.now_ms(), self.settings.tenant_limits());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let tenant = settings::update(conn, id, &change, &defaults, now_ms).await?;
                    // What is kept for how long may have changed.
                    upkeep::due_by(conn, tenant.key, now_ms).await?;
                    let mut entry = audit_entry(&actor, now_ms, Some(tenant.key), "tenant.set", id.to_string());
                    entry.detail = serde_json::json!({
                        "anomalousActivity": change.anomalous_activity,
                        "availabilityDelayMs": change.overrides.availability_delay_ms,
                        "recencyMs": change.overrides.recency_ms,
                        "maxActivities": change.overrides.max_activities,
                        "activityRetentionMs": change.overrides.activity_retention_ms,
                        "anomalyRetentionMs": change.overrides.anomaly_retention_ms,
                        "quotaBytes": change.quota,
                        "uciWindowMs": change.uci.window_ms,
                        "uciThreshold": change.uci.threshold,
                        "apiRate": change.uci.api_rate.map(ApiRate::of_number),
                    });
                    audit::append(conn, &entry).await?;
                    Ok(tenant)
                })
            })
            .await
    }

    /// Drops a tenant with all its data. From the first step on it refuses every request; a crash on
    /// the way leaves it refusing, and the next start or a repeat finishes.
    ///
    /// # Errors
    /// [`DropError`].
    pub async fn drop_tenant(&self, actor: &Actor, id: TenantId) -> Result<(), DropError> {
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        let key = self
            .registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::begin_drop(conn, id).await?;
                    audit::append(conn, &audit_entry(&actor, now_ms, Some(key), "tenant.drop", id.to_string())).await?;
                    Ok::<_, TenantError>(key)
                })
            })
            .await?;
        self.seen.dropped(key);
        self.lake.drop_tenant(key).await?;
        self.drop_saved_exports(key).await.map_err(LakeError::Io)?;
        self.registry.write(move |conn| Box::pin(async move { tenants::finish_drop(conn, key, now_ms).await })).await?;
        Ok(())
    }

    /// Finishes drops that a crash interrupted.
    ///
    /// # Errors
    /// [`DropError`] of the first that fails.
    pub async fn finish_drops(&self) -> Result<(), DropError> {
        let now_ms = self.clock.now_ms();
        for tenant in self.list_tenants().await?.into_iter().filter(|t| t.state == TenantState::Dropping) {
            self.lake.drop_tenant(tenant.key).await?;
            self.drop_saved_exports(tenant.key).await.map_err(LakeError::Io)?;
            let key = tenant.key;
            self.registry
                .write(move |conn| Box::pin(async move { tenants::finish_drop(conn, key, now_ms).await }))
                .await?;
        }
        let folders = self.lake.tenant_folders().await?;
        let live: Vec<TenantKey> = self.list_tenants().await?.iter().map(|tenant| tenant.key).collect();
        let removed = self.lake.remove_other_tenants(folders, &live).await?;
        if removed > 0 {
            tracing::info!(removed, "removed what requests under way had left of dropped tenants");
        }
        Ok(())
    }
}
