//! What of the index is dropped, and when; what time changes; and everything of one user.

use std::sync::Arc;

use super::error::UciError;
use crate::registry::RegistryError;
use crate::registry::tenants::{Tenant, TenantState};
use crate::registry::uci::changes::{self, Moment};
use crate::registry::uci::keys::IMPACT_KEY_LIFETIME_MS;
use crate::registry::uci::retain::{self, Removed};
use crate::registry::uci::users;
use crate::services::Services;
use crate::services::evidence::delete_evidence_file;

/// Users whose score one transaction brings up to date.
const STEP_USERS: u32 = 64;

/// What was dropped for its age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Anomalies of impacts and resets.
    pub anomalies: u64,
    /// Alerts.
    pub alerts: u64,
    /// Idempotency keys.
    pub keys: u64,
}

/// What was erased of a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Anomalies of impacts and resets.
    pub anomalies: u64,
    /// Alerts.
    pub alerts: u64,
    /// Evidence files of these anomalies.
    pub evidence_files: u64,
}

impl Services {
    /// Drops what is too old, of all active tenants: anomalies 90 days after they were accepted (impacts not before
    /// they can count no more), alerts 90 days after they were made, idempotency keys after 24 hours. Many small
    /// transactions; a crash in between leaves the rest for the next call.
    ///
    /// # Errors
    /// [`UciError::Registry`]; what was dropped before stays dropped.
    pub async fn retain_uci(&self) -> Result<Retained, UciError> {
        let now_ms = self.clock.now_ms();
        let mut dropped = Retained::default();
        for tenant in self.list_tenants().await?.into_iter().filter(|tenant| tenant.state == TenantState::Active) {
            let key = tenant.key;
            loop {
                let write = self
                    .registry
                    .write(move |conn| Box::pin(async move { retain::old_anomalies(conn, key, now_ms).await }));
                let removed = write.await?;
                if removed.anomalies == 0 {
                    break;
                }
                dropped.anomalies += removed.anomalies;
                self.delete_evidence_of(&tenant, &removed).await;
            }
            loop {
                let write = self
                    .registry
                    .write(move |conn| Box::pin(async move { retain::old_alerts(conn, key, now_ms).await }));
                match write.await? {
                    0 => break,
                    alerts => dropped.alerts += alerts,
                }
            }
        }
        let until_ms = now_ms.saturating_sub(IMPACT_KEY_LIFETIME_MS);
        loop {
            let write =
                self.registry.write(move |conn| Box::pin(async move { retain::old_keys(conn, until_ms).await }));
            match write.await? {
                0 => return Ok(dropped),
                keys => dropped.keys += keys,
            }
        }
    }

    /// Erases everything that the index holds of a user: impacts and resets with their evidence, alerts, keys,
    /// present state, and the user's exact name in reset rules. In many small transactions, the user's row last:
    /// after a crash in between a repeat finishes. The audit trail stays.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn erase_uci_user(&self, tenant: &Tenant, user_key: &str) -> Result<Erased, UciError> {
        let (key, user) = (tenant.key, Arc::<str>::from(user_key));
        let mut erased = Erased::default();
        loop {
            let of = Arc::clone(&user);
            let write = self.registry.write(move |conn| {
                Box::pin(async move {
                    let removed = retain::anomalies_of_user(conn, key, &of).await?;
                    let alerts = retain::alerts_of_user(conn, key, &of).await?;
                    let done = removed.anomalies == 0 && alerts == 0 && retain::user(conn, key, &of).await?;
                    Ok::<_, RegistryError>((removed, alerts, done))
                })
            });
            let (removed, alerts, done) = write.await?;
            erased.anomalies += removed.anomalies;
            erased.alerts += alerts;
            erased.evidence_files += u64::try_from(removed.evidence_files.len()).unwrap_or(u64::MAX);
            self.delete_evidence_of(tenant, &removed).await;
            if done {
                return Ok(erased);
            }
        }
    }

    /// A file that cannot be deleted is garbage, which upkeep looks for.
    async fn delete_evidence_of(&self, tenant: &Tenant, removed: &Removed) {
        if removed.evidence_files.is_empty() {
            return;
        }
        match self.lake.table(tenant.key).await {
            Ok(table) => {
                for file in &removed.evidence_files {
                    delete_evidence_file(&table, file).await;
                }
            }
            Err(error) => tracing::warn!(
                %error,
                files = removed.evidence_files.len(),
                "could not delete evidence files that are in use no more"
            ),
        }
    }

    /// Brings the scores up to date that time has changed since they were last written, and makes the alerts that
    /// this is worth: impacts begin to count and end, and a tenant's window may be another one. Returns how many
    /// users were looked at. Tenants without such users cost a read, and no write.
    ///
    /// # Errors
    /// [`UciError::Registry`]; the next call goes on there.
    pub async fn settle_uci(&self) -> Result<u64, UciError> {
        let mut settled = 0;
        let (window_ms, now_ms) = (self.settings.uci_settings().window_ms, self.clock.now_ms());
        let tenants = users::tenants_to_settle(&mut *self.registry.read().await?, window_ms, now_ms).await?;
        for tenant in tenants {
            let (key, settings) = (tenant.key, self.uci_settings(&tenant));
            loop {
                let clock = Arc::clone(&self.clock);
                let write = self.registry.write(move |conn| {
                    Box::pin(async move {
                        let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                        changes::settle_some(conn, &moment, STEP_USERS).await
                    })
                });
                let found = write.await?;
                settled += found;
                if found < u64::from(STEP_USERS) {
                    break;
                }
            }
        }
        Ok(settled)
    }
}
