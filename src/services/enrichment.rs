//! Enrichment of ingests, and the networks that tenants judge.

use std::path::PathBuf;

use serde::Deserialize;

use super::auth::Actor;
use super::{Services, audit_entry};
use crate::domain::tenant::{TenantId, TenantKey};
use crate::domain::trust::{SourceNetwork, Trust};
use crate::enrich::Enricher;
use crate::registry::tenants::{self, TenantError};
use crate::registry::trusted_networks::{self, Changed};
use crate::registry::{RegistryError, audit};

/// What the address of an activity is looked up in, `[enrichment]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct EnrichmentSettings {
    /// MMDB files, asked in this order: a place comes from the first that has one, and so does a network. Each is kept
    /// in memory and read again when it changes. A relative path is meant from the settings file's folder. Default none.
    pub databases: Vec<PathBuf>,
}

/// Networks that were asked to be forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Those that were there.
    pub removed: Vec<SourceNetwork>,
    /// Those that were not.
    pub missing: Vec<SourceNetwork>,
}

impl Services {
    /// What fills the rows of one input of a source.
    pub(super) async fn enricher(&self, tenant: TenantKey) -> Result<Enricher, RegistryError> {
        let networks = trusted_networks::list(&mut *self.registry.read().await?, tenant).await?;
        Ok(Enricher::new(&self.databases, networks.into_iter().collect()))
    }

    /// The networks that a tenant judges, those of addresses first.
    ///
    /// # Errors
    /// [`TenantError`].
    pub async fn networks(&self, id: TenantId) -> Result<Vec<(SourceNetwork, Trust)>, TenantError> {
        let mut conn = self.registry.read().await?;
        let tenant = tenants::get_active(&mut conn, id).await?;
        Ok(trusted_networks::list(&mut conn, tenant.key).await?)
    }

    /// Judges networks; durable on success, and the next ingest follows it. What is stored already stays as it is.
    ///
    /// Without an entity it is the tenant's name; without a reason the words of the wire for it.
    ///
    /// # Errors
    /// [`TenantError`]; nothing was changed then.
    pub async fn judge_networks(
        &self,
        actor: &Actor,
        id: TenantId,
        networks: Vec<SourceNetwork>,
        trusted: bool,
        (entity, reason): (Option<String>, Option<String>),
    ) -> Result<Changed, TenantError> {
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let tenant = tenants::get_active(conn, id).await?;
                    let trust = Trust {
                        trusted,
                        entity: entity.unwrap_or_else(|| tenant.name.clone()),
                        reason: reason.unwrap_or_else(|| default_reason(trusted).to_owned()),
                    };
                    let changed = trusted_networks::put(conn, tenant.key, &networks, &trust).await?;
                    let mut entry =
                        audit_entry(&actor, now_ms, Some(tenant.key), "tenant.networks.add", id.to_string());
                    entry.detail = serde_json::json!({
                        "networks": networks, "trusted": trusted, "entity": trust.entity, "reason": trust.reason,
                    });
                    audit::append(conn, &entry).await?;
                    Ok(changed)
                })
            })
            .await
    }

    /// Forgets networks; durable on success.
    ///
    /// # Errors
    /// [`TenantError`]; nothing was changed then.
    pub async fn forget_networks(
        &self,
        actor: &Actor,
        id: TenantId,
        networks: Vec<SourceNetwork>,
    ) -> Result<Removed, TenantError> {
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let tenant = tenants::get_active(conn, id).await?;
                    let mut done = Removed::default();
                    for network in networks {
                        let was_there = trusted_networks::remove(conn, tenant.key, network).await?;
                        if was_there { &mut done.removed } else { &mut done.missing }.push(network);
                    }
                    let mut entry =
                        audit_entry(&actor, now_ms, Some(tenant.key), "tenant.networks.remove", id.to_string());
                    entry.detail = serde_json::json!({ "networks": done.removed });
                    audit::append(conn, &entry).await?;
                    Ok(done)
                })
            })
            .await
    }
}

const fn default_reason(trusted: bool) -> &'static str {
    if trusted { "Trusted Network" } else { "Untrusted Network" }
}
