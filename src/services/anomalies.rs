//! Anomalies: checked, numbered, stored; their evidence follows when due.

use std::sync::Arc;

use super::auth::Actor;
use super::evidence::{EvidenceError, chain};
use super::trouble::Trouble;
use super::{Services, audit_entry};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::domain::time_text::format_time;
use crate::query::predicate::{WhereError, parse_where};
use crate::registry::anomalies::{self, Anomaly, NewAnomaly};
use crate::registry::evidence::{self, Evidence};
use crate::registry::tenants::Tenant;
use crate::registry::{RegistryError, audit};

/// A creation time may lie this far ahead of the server's clock, in ms: 5 minutes.
const MAX_AHEAD_MS: i64 = 300_000;

/// Longest text of one field, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Most services of one anomaly.
const MAX_SERVICES: usize = 64;

/// Longest name of a service, in bytes.
const MAX_SERVICE_BYTES: usize = 256;

/// Why an anomaly is refused; nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum AnomalyError {
    /// A field is missing or wrong.
    #[error("`{field}` {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The tenant has no such anomaly.
    #[error("there is no such anomaly")]
    Unknown,
    /// The condition is refused.
    #[error(transparent)]
    Where(#[from] WhereError),
    /// Checking the condition ended abnormally.
    #[error("the condition could not be checked")]
    Check(#[from] tokio::task::JoinError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

pub(super) fn field(field: &'static str, problem: impl Into<String>) -> AnomalyError {
    AnomalyError::Field { field, problem: problem.into() }
}

/// Checks what can be said of an anomaly's fields without looking at a clock or at `where`.
pub(super) fn check(new: &NewAnomaly) -> Result<(), AnomalyError> {
    match &new.user {
        None if new.where_sql.is_none() => return Err(field("user", "or `where` is needed to choose activities")),
        Some(user) if user.trim().is_empty() => return Err(field("user", "is empty; leave it out for any user")),
        _ => {}
    }
    if new.from_ms >= new.to_ms {
        let (from, to) = (format_time(new.from_ms), format_time(new.to_ms));
        return Err(field("from", format!("({from}) must lie before `to` ({to})")));
    }
    for (name, number) in [("score", new.score), ("value", new.value)] {
        if number.is_some_and(|number| !number.is_finite()) {
            return Err(field(name, "must be a finite number"));
        }
    }
    let texts = [
        ("user", &new.user),
        ("category", &new.category),
        ("source", &new.source),
        ("reason", &new.reason),
        ("activity", &new.activity),
        ("instanceName", &new.instance_name),
    ];
    for (name, text) in texts {
        if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(field(name, format!("has more than {MAX_TEXT_BYTES} bytes")));
        }
    }
    if new.service_names.len() > MAX_SERVICES {
        return Err(field("serviceNames", format!("has more than {MAX_SERVICES} names")));
    }
    if new.service_names.iter().any(|name| name.trim().is_empty() || name.len() > MAX_SERVICE_BYTES) {
        return Err(field(
            "serviceNames",
            format!("has a name that is empty or longer than {MAX_SERVICE_BYTES} bytes"),
        ));
    }
    Ok(())
}

impl Services {
    /// When what is reported now counts as created, ms since epoch: now, but not before the feature was switched
    /// on, or a clock that was set back would keep it from ever being served.
    #[must_use]
    pub fn creation_ms(&self, tenant: &Tenant) -> i64 {
        self.clock.now_ms().max(tenant.anomalous_activity_since_ms.unwrap_or(i64::MIN))
    }

    /// Stores an anomaly. Success means: durable, with its number; the evidence is pending.
    ///
    /// # Errors
    /// [`AnomalyError`]; nothing was stored then.
    pub async fn create_anomaly(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        new: NewAnomaly,
    ) -> Result<Anomaly, AnomalyError> {
        check(&new)?;
        if new.created_at_ms > self.creation_ms(tenant) + MAX_AHEAD_MS {
            return Err(field("createdAt", "may lie at most 5 minutes ahead of the server's clock"));
        }
        self.check_where(new.where_sql.as_deref()).await?;
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        let anomaly = self
            .registry
            .write(move |conn| {
                Box::pin(async move {
                    let now_ms = clock.now_ms();
                    let anomaly = anomalies::create(conn, key, &new, now_ms).await?;
                    let target = anomaly.id.to_string();
                    audit::append(conn, &audit_entry(&actor, now_ms, Some(key), "anomaly.create", target)).await?;
                    Ok(anomaly)
                })
            })
            .await?;
        Ok(anomaly)
    }

    /// Checks a condition, on the CPU runtime: planning recurses.
    pub(super) async fn check_where(&self, condition: Option<&str>) -> Result<(), AnomalyError> {
        if let Some(condition) = condition.map(str::to_owned) {
            self.cpu.spawn(async move { parse_where(&condition).map(drop) }).await??;
        }
        Ok(())
    }

    /// The tenant's anomaly of this id with its evidence; those of other tenants do not exist here.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn anomaly(
        &self,
        tenant: &Tenant,
        id: AnomalyId,
    ) -> Result<Option<(Anomaly, Option<Evidence>)>, RegistryError> {
        let mut conn = self.registry.read().await?;
        let Some(anomaly) = anomalies::get(&mut conn, tenant.key, id).await? else { return Ok(None) };
        let evidence = evidence::get(&mut conn, tenant.key, id).await?;
        Ok(Some((anomaly, evidence)))
    }

    /// A page of the tenant's anomalies, newest id first: those below `before` and of this status, when given.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn list_anomalies(
        &self,
        tenant: &Tenant,
        before: Option<AnomalyId>,
        status: Option<IncidentStatus>,
        limit: u32,
    ) -> Result<Vec<(Anomaly, Option<Evidence>)>, RegistryError> {
        let mut conn = self.registry.read().await?;
        let mut page = Vec::new();
        for anomaly in anomalies::list(&mut conn, tenant.key, before, status, limit).await? {
            let evidence = evidence::get(&mut conn, tenant.key, anomaly.id).await?;
            page.push((anomaly, evidence));
        }
        Ok(page)
    }

    /// Makes the evidence of anomalies that are due and have none; returns how many were looked at.
    ///
    /// # Errors
    /// When the registry fails. A failure to make one evidence is recorded with its anomaly.
    pub async fn make_due_evidence(self: &Arc<Self>, limit: u32) -> Result<usize, RegistryError> {
        let now_ms = self.clock.now_ms();
        let defaults = self.settings.tenant_limits();
        let due = evidence::due_without_file(&mut *self.registry.read().await?, &defaults, now_ms, limit).await?;
        let count = due.len();
        for anomaly in due {
            let tenant = crate::registry::tenants::get(&mut *self.registry.read().await?, anomaly.tenant.id).await?;
            let Some(tenant) = tenant.filter(|t| t.key == anomaly.tenant) else { continue };
            if let Err(error) = self.evidence(&tenant, &anomaly).await {
                if matches!(error, EvidenceError::NoRoom(_)) || Trouble::of(&error).is_some() {
                    tracing::warn!(error = chain(&error), "evidence that is due waits for room, or for its disk");
                    break;
                }
                tracing::warn!(anomaly = %anomaly.id, error = chain(&error), "evidence that is due could not be made");
            }
        }
        Ok(count)
    }
}
