//! Checking the lake: every tenant's files and the registry, against each other and against themselves.
//!
//! The registry is read first and the lake after it, because the lake is made durable first: what the registry
//! knows of must then be in the lake. What is missing is looked for again before it is told, since a serving process
//! replaces evidence and upkeep replaces files meanwhile.

use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Services;
use super::ledger::INGEST_ROUTE;
use super::meter::Meter;
use crate::domain::tenant::{TenantId, TenantKey};
use crate::lake::check::{Amount, Finding, Kind, RecordedEvidence, TableCheck, check_table, unnamed_evidence};
use crate::lake::watch::Watch;
use crate::registry::RegistryError;
use crate::registry::checks::{self, Recorded, RecordedFile};
use crate::registry::tenants::{Tenant, TenantError, TenantState};

/// Evidence that was replaced while it was looked at is looked at again, at most so often.
const TRIES: usize = 3;

/// What a check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// Whether every byte, page and row was read.
    pub deep: bool,
    /// Number of findings that are damage.
    pub damage: usize,
    /// What was found in the registry's database as such.
    pub registry: Vec<Finding>,
    /// The tenants that were checked, by id.
    pub tenants: Vec<TenantReport>,
}

/// What a check saw of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantReport {
    /// Its number.
    pub tenant: i64,
    /// Which life of the number.
    pub incarnation: i64,
    /// Version of its table that was checked; none for one that was never used.
    pub version: Option<u64>,
    /// Files of that version.
    pub live: Amount,
    /// Rows in them.
    pub rows: u64,
    /// Evidence files that the registry names.
    pub evidence: Amount,
    /// Files that are replaced and wait for vacuum.
    pub removed: Amount,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Why the lake could not be checked. That something is damaged is no error: it is in the report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no such tenant, or it is being dropped.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The registry does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Files could not be looked at.
    #[error("the lake's files cannot be looked at")]
    Io(#[from] io::Error),
    /// A thread ended abnormally.
    #[error("the check ended abnormally")]
    Task(#[from] tokio::task::JoinError),
}

impl Services {
    /// Checks one tenant, or all of them, and the registry. Without `deep` the log, the files' sizes and footers, and
    /// every byte of evidence; with it also every byte, page and row of the activities. Cost: reads what it checks,
    /// in one thread; a writer is never held up.
    ///
    /// # Errors
    /// [`CheckError`]; damage is in the report.
    pub async fn check_lake(
        &self,
        only: Option<TenantId>,
        deep: bool,
        meter: &Arc<Meter>,
    ) -> Result<CheckReport, CheckError> {
        let tenants = match only {
            Some(id) => vec![self.tenant(id).await?],
            None => self.list_tenants().await?,
        };
        let mut report = CheckReport { deep, registry: self.check_registry().await?, ..CheckReport::default() };
        for tenant in tenants {
            if let Some(checked) = self.check_tenant(&tenant, deep, meter).await? {
                report.tenants.push(checked);
            }
        }
        let findings = report.tenants.iter().flat_map(|tenant| &tenant.findings).chain(&report.registry);
        report.damage = findings.filter(|finding| finding.is_damage()).count();
        Ok(report)
    }

    async fn check_registry(&self) -> Result<Vec<Finding>, RegistryError> {
        let mut conn = self.registry.read().await?;
        let corrupt =
            checks::integrity(&mut conn).await?.into_iter().map(|told| Finding::of(Kind::RegistryCorrupt, told));
        let broken = checks::broken_references(&mut conn).await?.into_iter().map(|(table, parent)| {
            Finding::of(
                Kind::RegistryReference,
                format!("a row of {table} refers to one of {parent} that is not there"),
            )
        });
        Ok(corrupt.chain(broken).collect())
    }

    /// None for a tenant that was dropped meanwhile.
    async fn check_tenant(
        &self,
        tenant: &Tenant,
        deep: bool,
        meter: &Arc<Meter>,
    ) -> Result<Option<TenantReport>, CheckError> {
        let key = tenant.key;
        let report = |table: &TableCheck, evidence, findings| TenantReport {
            tenant: key.id.get(),
            incarnation: key.incarnation,
            version: table.version,
            live: table.live,
            rows: table.rows,
            evidence,
            removed: table.removed,
            findings,
        };
        if tenant.state == TenantState::Dropping {
            let dropping = Finding::of(Kind::Dropped, "the tenant is being dropped; its files were not looked at");
            return Ok(Some(report(&TableCheck::default(), Amount::default(), vec![dropping])));
        }
        // Vacuum leaves alone what is looked at.
        let _reading = self.lake.file_use(key).read();
        let published = self.lake.published_version(key);
        let recorded = checks::recorded(&mut *self.registry.read().await?, key, INGEST_ROUTE).await?;
        let (mut evidence, mut findings) = (Amount::default(), Vec::new());
        for file in &recorded.evidence {
            evidence.add(unsigned(file.bytes));
            meter.planned(unsigned(file.bytes));
        }
        let (folder, watch) = (self.lake.tenant_folder(key), Arc::clone(meter));
        let named: Vec<RecordedEvidence> = recorded.evidence.iter().map(as_recorded).collect();
        let looked = self.cpu.spawn_blocking(move || {
            let table = check_table(&folder, key.id, deep, watch.as_ref())?;
            let unnamed = unnamed_evidence(&folder, &named)?;
            Ok::<_, io::Error>((table, unnamed))
        });
        let (mut table, unnamed) = looked.await??;
        findings.append(&mut table.findings);
        findings.extend(behind(&table, &recorded, published));
        findings.extend(garbage(&table, &unnamed));
        for file in &recorded.evidence {
            findings.extend(self.check_evidence(key, file, meter).await?);
        }
        findings.extend(wrong_sum(&recorded));
        let now = crate::registry::tenants::get(&mut *self.registry.read().await?, key.id).await?;
        let lives = now.is_some_and(|now| now.key == key && now.state == TenantState::Active);
        Ok(lives.then(|| report(&table, evidence, findings)))
    }

    /// Checks an evidence file. When something is wrong the registry is asked again: it may name another file by now.
    async fn check_evidence(
        &self,
        tenant: TenantKey,
        file: &RecordedFile,
        meter: &Arc<Meter>,
    ) -> Result<Vec<Finding>, CheckError> {
        let mut recorded = as_recorded(file);
        let mut findings = Vec::new();
        for _ in 0..TRIES {
            let (folder, looked_at, watch) = (self.lake.tenant_folder(tenant), recorded.clone(), Arc::clone(meter));
            findings = self.cpu.spawn_blocking(move || looked_at.check(&folder, watch.as_ref())).await??;
            if findings.is_empty() {
                break;
            }
            let mut conn = self.registry.read().await?;
            let now = crate::registry::evidence::get(&mut conn, tenant, file.anomaly).await?;
            let Some(now) = now.and_then(|evidence| evidence.file) else { return Ok(Vec::new()) };
            let now = RecordedEvidence {
                path: now.file,
                rows: unsigned(now.rows),
                bytes: unsigned(now.bytes),
                sha256: now.sha256,
            };
            if now == recorded {
                break;
            }
            recorded = now;
        }
        Ok(findings)
    }
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn as_recorded(file: &RecordedFile) -> RecordedEvidence {
    RecordedEvidence {
        path: file.file.clone(),
        rows: unsigned(file.rows),
        bytes: unsigned(file.bytes),
        sha256: file.sha256.clone(),
    }
}

/// Whether the log lacks what the registry, read before it, or the running server knows to be committed.
fn behind(table: &TableCheck, recorded: &Recorded, published: Option<u64>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let version = table.version.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
    let covered = recorded.evidence.iter().map(|file| file.lake_version).max().unwrap_or(-1);
    let published = published.map_or(-1, |version| i64::try_from(version).unwrap_or(i64::MAX));
    for (known, by) in [(covered, "evidence covers"), (published, "the running server has published")] {
        if known > version {
            let ends = if version < 0 { "there is none".to_owned() } else { format!("it ends at {version}") };
            findings.push(Finding::of(Kind::LogBehind, format!("{by} version {known} of the table, and {ends}")));
        }
    }
    let (group, pending) = (table.last_group, recorded.pending_group);
    // A pending key of the next group is one of an ingest that runs, or was interrupted.
    let lost = recorded.done_group.max(if pending > group + 1 { pending } else { 0 });
    if lost > group {
        let detail = format!("the registry knows ingest group {lost}, and the log ends with group {group}");
        findings.push(Finding::of(Kind::LogBehind, detail));
    } else if pending > group {
        let detail = format!("keys of ingest group {pending}, which was not committed, wait to be forgotten");
        findings.push(Finding::of(Kind::PendingKeys, detail));
    }
    findings
}

/// Files that nothing refers to, those of an ingest or evidence under way among them.
fn garbage(table: &TableCheck, unnamed: &[(String, u64)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if table.garbage.files > 0 {
        let Amount { files, bytes } = table.garbage;
        findings.push(Finding::of(Kind::Garbage, format!("{files} data files of {bytes} bytes are in no version")));
    }
    if !unnamed.is_empty() {
        let bytes: u64 = unnamed.iter().map(|(_, bytes)| bytes).sum();
        let detail = format!("{} evidence files of {bytes} bytes are named by no anomaly", unnamed.len());
        findings.push(Finding::of(Kind::Garbage, detail));
    }
    findings
}

fn wrong_sum(recorded: &Recorded) -> Option<Finding> {
    let sum: i64 = recorded.evidence.iter().map(|file| file.bytes).sum();
    (sum != recorded.evidence_bytes).then(|| {
        let detail = format!("the registry's evidence has {sum} bytes, its sum says {}", recorded.evidence_bytes);
        Finding::of(Kind::EvidenceSum, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(group: i64, done_group: i64, pending_group: i64) -> Vec<Kind> {
        let table = TableCheck { version: Some(9), last_group: group, ..TableCheck::default() };
        let recorded = Recorded { done_group, pending_group, ..Recorded::default() };
        behind(&table, &recorded, Some(9)).into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_lost_group_is_damage_and_an_interrupted_one_is_not() {
        assert!(kinds(5, 5, 0).is_empty());
        assert!(kinds(5, 3, 5).is_empty(), "committed, and not marked yet");
        assert_eq!(kinds(5, 4, 6), [Kind::PendingKeys]);
        assert_eq!(kinds(5, 4, 7), [Kind::LogBehind]);
        assert_eq!(kinds(5, 6, 0), [Kind::LogBehind]);
        let unused = TableCheck::default();
        assert!(behind(&unused, &Recorded::default(), None).is_empty());
        assert_eq!(behind(&unused, &Recorded::default(), Some(0))[0].kind, Kind::LogBehind);
    }
}
