//! Incidents: pages of anomalies for those who follow them, and changes of their status.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinError;

use super::auth::Actor;
use super::{Services, audit_entry};
use crate::domain::anomaly::AnomalyId;
use crate::domain::incident::IncidentStatus;
use crate::domain::modified_clock::next_start;
use crate::registry::anomaly_changes::modify;
use crate::registry::incidents::{self, GroupCount, Incident, IncidentFilter, PageError, SelectedTime};
use crate::registry::tenants::Tenant;
use crate::registry::{RegistryError, anomalies, audit, modified_clock};

/// A page of incidents.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentPage {
    /// The incidents, ascending by the selected time.
    pub incidents: Vec<Incident>,
    /// Where the next page starts, ms since epoch.
    pub next_start_ms: i64,
}

/// Failure of a query for incidents.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// No page can be cut.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Reading ended abnormally.
    #[error("the incidents could not be read")]
    Task(#[from] JoinError),
}

/// A wanted change of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// The incident; none for a text that is no id, which is as unknown as any.
    pub id: Option<AnomalyId>,
    /// The new status.
    pub status: IncidentStatus,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChanged {
    /// The incident.
    pub id: AnomalyId,
    /// Its status now.
    pub status: IncidentStatus,
    /// Whether it was another one before.
    pub changed: bool,
    /// When it was last modified, ms since epoch.
    pub modified_at_ms: i64,
}

/// Refusal of changes of status; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ModifyError {
    /// The tenant has no such incidents; positions in the request, from 0.
    #[error("there are no such incidents")]
    Unknown(Vec<usize>),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Services {
    /// Closes the tenant's clock of modifications for a read; see [`modified_clock::close`].
    async fn close_incidents(&self, tenant: &Tenant) -> Result<i64, RegistryError> {
        let (key, clock) = (tenant.key, Arc::clone(&self.clock));
        self.registry
            .write(move |conn| Box::pin(async move { modified_clock::close(conn, key, clock.now_ms()).await }))
            .await
    }

    /// A page of incidents. A caller who asks again from `next_start_ms` loses none: what is created or
    /// modified after this call, or was being so during it, lies at or after that time.
    ///
    /// That promise is for ranges by modification. By creation, callers choose the times themselves, and an
    /// incident that is dated back to before the cursor is not seen.
    ///
    /// # Errors
    /// [`IncidentError`].
    pub async fn query_incidents(
        &self,
        tenant: &Tenant,
        filter: IncidentFilter,
        limit: usize,
    ) -> Result<IncidentPage, IncidentError> {
        let end_ms = self.close_incidents(tenant).await?;
        let (registry, key) = (Arc::clone(&self.registry), tenant.key);
        let read = self.cpu.spawn(async move {
            let mut conn = registry.read().await?;
            let incidents = incidents::page(&mut conn, key, &filter, end_ms, limit).await?;
            let last_ms = incidents.last().map(|last| filter.selected.of(&last.anomaly));
            let next_start_ms = next_start(last_ms, filter.start_ms, empty_end(&filter, end_ms));
            Ok::<_, IncidentError>(IncidentPage { incidents, next_start_ms })
        });
        read.await?
    }

    /// Groups that occur among the incidents of a filter, by id, and where a later query would go on.
    ///
    /// # Errors
    /// [`IncidentError`].
    pub async fn count_incident_groups(
        &self,
        tenant: &Tenant,
        filter: IncidentFilter,
    ) -> Result<(Vec<GroupCount>, i64), IncidentError> {
        let end_ms = self.close_incidents(tenant).await?;
        let mut conn = self.registry.read().await?;
        let (groups, last_ms) = incidents::count_groups(&mut conn, tenant.key, &filter, end_ms).await?;
        Ok((groups, next_start(last_ms, filter.start_ms, empty_end(&filter, end_ms))))
    }

    /// Changes the status of incidents, in the given order and all in one transaction: either every one is
    /// changed or none. Success means: durable, with history and one audit entry.
    ///
    /// # Errors
    /// [`ModifyError`]; nothing was changed then.
    pub async fn modify_incidents(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        changes: Vec<StatusChange>,
    ) -> Result<Vec<StatusChanged>, ModifyError> {
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let now_ms = clock.now_ms();
                    let (mut results, mut unknown) = (Vec::with_capacity(changes.len()), Vec::new());
                    for (position, StatusChange { id, status }) in changes.into_iter().enumerate() {
                        let before = match id {
                            Some(id) => anomalies::get(conn, key, id).await?,
                            None => None,
                        };
                        let Some(before) = before else {
                            unknown.push(position);
                            continue;
                        };
                        let after = modify(conn, &before, &before.fields(), status, &actor.principal, now_ms).await?;
                        let modified_at = after.map(|after| after.anomaly.modified_at_ms);
                        let modified_at_ms = modified_at.unwrap_or(before.modified_at_ms);
                        results.push(StatusChanged {
                            id: before.id,
                            status,
                            changed: modified_at.is_some(),
                            modified_at_ms,
                        });
                    }
                    if !unknown.is_empty() {
                        return Err(ModifyError::Unknown(unknown));
                    }
                    let moved = results.iter().filter(|result| result.changed);
                    let ids: Vec<_> = moved.map(|result| result.id.to_incident()).collect();
                    let mut entry = audit_entry(&actor, now_ms, Some(key), "incidents.modify", "");
                    (entry.target, entry.rows) = (None, i64::try_from(ids.len()).ok());
                    entry.detail = json!({ "incidents": ids });
                    audit::append(conn, &entry).await?;
                    Ok(results)
                })
            })
            .await
    }
}

/// Where a reader goes on who has given no start and found nothing.
const fn empty_end(filter: &IncidentFilter, closed_before_ms: i64) -> i64 {
    match filter.selected {
        SelectedTime::Modified => closed_before_ms,
        // Any time of creation may still be given.
        SelectedTime::Created => 0,
    }
}
