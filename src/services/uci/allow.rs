//! Allowing an impact: its points come back, the anomaly is flagged, the alert stays.

use std::sync::Arc;

use serde_json::json;

use super::error::UciError;
use super::impacts::check_text;
use crate::domain::anomaly::AnomalyId;
use crate::registry::audit;
use crate::registry::tenants::Tenant;
use crate::registry::uci::changes::{self, AllowOutcome, Moment};
use crate::registry::uci::records::UciAnomaly;
use crate::services::auth::Actor;
use crate::services::{Services, audit_entry};

impl Services {
    /// Allows an impact; a repeat changes nothing and keeps the first reason. Success means: durable, with
    /// the new score and an audit entry.
    ///
    /// # Errors
    /// [`UciError::UnknownAnomaly`], [`UciError::NotAnImpact`], [`UciError::Field`], [`UciError::Registry`].
    pub async fn allow_impact(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        id: AnomalyId,
        reason: Option<String>,
    ) -> Result<UciAnomaly, UciError> {
        let reason = reason.filter(|reason| !reason.trim().is_empty());
        if let Some(reason) = &reason {
            check_text("reason", reason)?;
        }
        let (key, settings, clock) = (tenant.key, self.uci_settings(tenant), Arc::clone(&self.clock));
        let actor = actor.clone();
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                match changes::allow(conn, &moment, id, reason.as_deref()).await? {
                    AllowOutcome::Unknown => Err(UciError::UnknownAnomaly),
                    AllowOutcome::NotAnImpact => Err(UciError::NotAnImpact),
                    AllowOutcome::Before(anomaly) => Ok(anomaly),
                    AllowOutcome::Done(anomaly) => {
                        let mut entry = audit_entry(&actor, moment.now_ms, Some(key), "uci.allow", id.to_string());
                        entry.detail = json!({ "user": anomaly.user, "score": anomaly.score, "reason": reason });
                        audit::append(conn, &entry).await?;
                        Ok(anomaly)
                    }
                }
            })
        });
        write.await
    }
}
