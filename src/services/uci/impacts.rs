//! Impacts: accepted one by one or in batches, each exactly once.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::error::{UciError, field};
use crate::domain::day::MIN_TIME_STAMP_MS;
use crate::registry::RegistryError;
use crate::registry::tenants::Tenant;
use crate::registry::uci::changes::{self, Accepted, Moment, NewImpact};
use crate::registry::uci::keys::ImpactKey;
use crate::registry::uci::records::UciAnomaly;
use crate::services::Services;

/// An impact may lie this far ahead of the server's clock, in ms: 5 minutes.
pub const MAX_AHEAD_MS: i64 = 300_000;

/// Longest text of one field, in characters.
const MAX_TEXT_CHARS: usize = 4096;

/// Longest idempotency key, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// Impacts of a batch that share one write: some ms of the writer's time, so that others need not wait long.
const BATCH: usize = 32;

/// A risk that a third party reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpactRequest {
    /// Whose score falls.
    pub user: String,
    /// Points to take off, 1 to 1000.
    pub score: i64,
    /// When it happened, ms since epoch.
    pub timestamp_ms: i64,
    /// Who reports it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// Makes a repeat within 24 hours return the first answer.
    pub idempotency_key: Option<String>,
}

/// An impact that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedImpact {
    /// The anomaly that it is.
    pub anomaly: UciAnomaly,
    /// Whether an earlier request with the same key stored it.
    pub replayed: bool,
}

/// Refuses a text that is empty or too long.
pub(super) fn check_text(name: &'static str, text: &str) -> Result<(), UciError> {
    if text.trim().is_empty() {
        return Err(field(name, "must be a text that is not empty"));
    }
    if text.chars().count() > MAX_TEXT_CHARS {
        return Err(field(name, format!("has more than {MAX_TEXT_CHARS} characters")));
    }
    Ok(())
}

/// SHA-256 of what an impact says: the same whatever its JSON looked like.
fn body_hash(impact: &ImpactRequest) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in [&impact.user, &impact.source, &impact.reason] {
        // With its length, so that no two impacts run together to the same bytes.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.update(impact.score.to_le_bytes());
    hash.update(impact.timestamp_ms.to_le_bytes());
    hash.finalize().into()
}

/// Checks an impact at a time of the server's clock.
fn check(impact: ImpactRequest, now_ms: i64) -> Result<NewImpact, UciError> {
    check_text("user", &impact.user)?;
    if !(1..=1000).contains(&impact.score) {
        return Err(field("score", format!("must be from 1 to 1000, not {}", impact.score)));
    }
    if impact.timestamp_ms < MIN_TIME_STAMP_MS {
        return Err(field("timestamp", "must be ms since epoch, not before the year 1"));
    }
    if impact.timestamp_ms > now_ms + MAX_AHEAD_MS {
        return Err(field("timestamp", "may lie at most 5 minutes ahead of the server's clock (it counts ms)"));
    }
    check_text("source", &impact.source)?;
    check_text("reason", &impact.reason)?;
    if let Some(key) = &impact.idempotency_key
        && (key.is_empty() || key.len() > MAX_KEY_BYTES)
    {
        return Err(field("idempotencyKey", format!("must have 1 to {MAX_KEY_BYTES} bytes")));
    }
    let body_hash = body_hash(&impact);
    Ok(NewImpact {
        user: impact.user,
        points: impact.score,
        time_ms: impact.timestamp_ms,
        source: impact.source,
        reason: impact.reason,
        key: impact.idempotency_key.map(|key| ImpactKey { key, body_hash }),
    })
}

fn recorded(accepted: Accepted, key: Option<&ImpactKey>) -> Result<RecordedImpact, UciError> {
    match accepted {
        Accepted::New(anomaly) => Ok(RecordedImpact { anomaly, replayed: false }),
        Accepted::Before(anomaly) => Ok(RecordedImpact { anomaly, replayed: true }),
        Accepted::KeyTaken => Err(UciError::KeyConflict(key.map(|key| key.key.clone()).unwrap_or_default())),
    }
}

impl Services {
    /// Accepts impacts in one transaction; all are stored or none.
    async fn accept_impacts(&self, tenant: &Tenant, impacts: Arc<[NewImpact]>) -> Result<Vec<Accepted>, RegistryError> {
        let (key, settings, clock) = (tenant.key, self.uci_settings(tenant), Arc::clone(&self.clock));
        let write = self.registry.write(move |conn| {
            Box::pin(async move {
                let mut accepted = Vec::with_capacity(impacts.len());
                for impact in impacts.iter() {
                    let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                    accepted.push(changes::accept(conn, &moment, impact).await?);
                }
                Ok(accepted)
            })
        });
        write.await
    }

    /// Accepts an impact. Success means: the anomaly, its alerts and the new score are durable, in one
    /// transaction; a crash before leaves nothing of it. Cost: a share of one sync.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::KeyConflict`], [`UciError::Registry`]; nothing was stored then.
    pub async fn record_impact(&self, tenant: &Tenant, impact: ImpactRequest) -> Result<RecordedImpact, UciError> {
        let impact = check(impact, self.clock.now_ms())?;
        let (key, settings, clock) = (tenant.key, self.uci_settings(tenant), Arc::clone(&self.clock));
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                recorded(changes::accept(conn, &moment, &impact).await?, impact.key.as_ref())
            })
        });
        write.await
    }

    /// Accepts impacts in their order, each by itself: a refused one takes nothing of the others with it.
    /// Results are in the order of the requests, each with the meaning of [`Services::record_impact`].
    pub async fn record_impacts(
        &self,
        tenant: &Tenant,
        impacts: Vec<ImpactRequest>,
    ) -> Vec<Result<RecordedImpact, UciError>> {
        let now_ms = self.clock.now_ms();
        let mut results: Vec<Option<Result<RecordedImpact, UciError>>> = Vec::with_capacity(impacts.len());
        let mut checked = Vec::with_capacity(impacts.len());
        for (place, impact) in impacts.into_iter().enumerate() {
            match check(impact, now_ms) {
                Ok(impact) => {
                    checked.push((place, impact));
                    results.push(None);
                }
                Err(refused) => results.push(Some(Err(refused))),
            }
        }
        for batch in checked.chunks(BATCH) {
            let shared: Arc<[NewImpact]> = batch.iter().map(|(_, impact)| impact.clone()).collect();
            let together = self.accept_impacts(tenant, shared).await;
            // What fails together may succeed alone, and an error belongs to one impact.
            let mut together = together.ok().map(Vec::into_iter);
            for (place, impact) in batch {
                let accepted = match together.as_mut().and_then(Iterator::next) {
                    Some(accepted) => Ok(accepted),
                    None => self.accept_alone(tenant, impact.clone()).await,
                };
                if let Some(result) = results.get_mut(*place) {
                    *result = Some(accepted.and_then(|accepted| recorded(accepted, impact.key.as_ref())));
                }
            }
        }
        results.into_iter().map(|result| result.unwrap_or(Err(RegistryError::Lost.into()))).collect()
    }

    async fn accept_alone(&self, tenant: &Tenant, impact: NewImpact) -> Result<Accepted, UciError> {
        let mut accepted = self.accept_impacts(tenant, [impact].into()).await?;
        accepted.pop().ok_or_else(|| RegistryError::Lost.into())
    }
}
