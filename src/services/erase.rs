//! Erasing one monitored user of a tenant: activities, evidence rows, and what the registry keeps about the user.
//!
//! Order, with what a crash after each step leaves; doing it again finishes:
//! 1. an entry in the audit trail that it began, with a keyed hash in the place of the name;
//! 2. the activities, a commit a day — some days may be done;
//! 3. one registry transaction: attempts at evidence that may have read the old files are outdated, rows about the
//!    user and the tenant's saved exports are deleted — files of deleted rows may be left as garbage;
//! 4. the audit trail, in small transactions: the hash in the place of the name — some entries may be done;
//! 5. evidence files of other anomalies that hold rows of the user: pending again, the file deleted;
//! 6. an entry in the audit trail that it is done, with what was erased.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::auth::Actor;
use super::evidence::erase_evidence_file;
use super::meter::Meter;
use super::{Services, audit_entry};
use crate::domain::anomaly::AnomalyId;
use crate::domain::hex::hex;
use crate::domain::tenant::{TenantId, TenantKey};
use crate::domain::user_key::user_key;
use crate::lake::erase::{Erased, Target, holds_user};
use crate::lake::error::LakeError;
use crate::lake::watch::Watch;
use crate::registry::RegistryError;
use crate::registry::checks::{RecordedFile, recorded};
use crate::registry::erasure::{self, RegistryRows};
use crate::registry::exports::SavedExport;
use crate::registry::tenants::TenantError;

/// Why a user was not erased, or not to the end; doing it again finishes.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The name is empty.
    #[error("the user's name is empty")]
    NoName,
    /// There is no such tenant, or it is being dropped.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The activities or evidence could not be read or written anew.
    #[error("the user is not erased to the end; repeat the command")]
    Lake(#[from] LakeError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What the confidence index holds of the user could not be removed.
    #[error(transparent)]
    Index(#[from] super::uci::UciError),
    /// No secret could be made.
    #[error("the operating system gives no random bytes")]
    Randomness(#[from] getrandom::Error),
}

/// What there is of a user, or was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EraseReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How the audit trail calls the user now; absent in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_name: Option<String>,
    /// Activities of the user.
    pub activities: u64,
    /// Data files that held them, on that many days.
    pub files: u64,
    /// Size of those files, in bytes.
    pub bytes: u64,
    /// Days with activities of the user.
    pub days: u64,
    /// Evidence files with rows of the user, those of the user's own anomalies included.
    pub evidence_files: u64,
    /// Rows of the registry about the user, by table; saved exports are all of the tenant, whoever they are about.
    pub registry_rows: BTreeMap<String, u64>,
    /// Entries of the audit trail that named the user.
    pub audit_entries: u64,
    /// Anomalies of others whose condition, reason or activity text holds the user's name; they stay, and a person has
    /// to decide about them.
    pub mentioned_in: Vec<i64>,
    /// When vacuum may delete the replaced data files, ms since epoch; absent where none was replaced. Until then
    /// their bytes are on disk, and no query finds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_from_ms: Option<i64>,
}

impl Services {
    /// Erases a monitored user: all activities accepted before this call whose user is this one, trimmed and in
    /// lower case, evidence rows, and the registry's rows about the user. Success means: committed and on stable storage,
    /// and no query that starts from now on finds them. With `dry_run` it only counts.
    ///
    /// # Errors
    /// [`EraseError`].
    pub async fn erase_user(
        self: &Arc<Self>,
        actor: &Actor,
        tenant: TenantId,
        user: &str,
        dry_run: bool,
        meter: &Arc<Meter>,
    ) -> Result<EraseReport, EraseError> {
        let tenant = self.tenant(tenant).await?;
        let (key, name) = (tenant.key, user_key(user));
        if name.is_empty() {
            return Err(EraseError::NoName);
        }
        let (folder, of, now_ms) = (self.lake.tenant_folder(key), name.clone(), self.clock.now_ms());
        let target = self.cpu.spawn_blocking(move || Target::up_to_now(folder, of, now_ms));
        let target = target.await.map_err(LakeError::Task)??;
        if dry_run {
            return self.count_user(key, target, meter).await;
        }
        let mark = self.audit_name(key, &name).await?;
        let begun = audit_entry(actor, self.clock.now_ms(), Some(key), "user-data.erase", &*mark);
        self.audit(begun).await?;
        let erased = self.erase_activities(key, target, meter).await?;
        let rows = self.erase_rows(key, name.clone()).await?;
        self.delete_export_files(key, &rows.exports).await;
        let entries = self.mask_audit(key, &name, Some(&mark)).await?;
        // The rows are gone; what is left is the name in rules of the index.
        self.erase_uci_user(&tenant, &name).await?;
        let evidence = self.erase_evidence(key, &name, &rows.evidence_files, meter).await?;
        let mentions = erasure::mentions(&mut *self.registry.read().await?, key, &name).await?;
        let mut report = report(erased, &rows, evidence, entries, &mentions);
        report.gone_from_ms =
            (erased.files > 0).then(|| self.clock.now_ms().saturating_add(self.settings.keep_replaced_ms()));
        let mut done = audit_entry(actor, self.clock.now_ms(), Some(key), "user-data.erased", &*mark);
        done.rows = i64::try_from(report.activities).ok();
        done.detail = json!({
            "evidenceFiles": report.evidence_files,
            "registryRows": report.registry_rows,
            "auditEntries": report.audit_entries,
        });
        self.audit(done).await?;
        report.audit_name = Some(mark);
        Ok(report)
    }

    async fn count_user(&self, key: TenantKey, target: Target, meter: &Arc<Meter>) -> Result<EraseReport, EraseError> {
        let _reading = self.lake.file_use(key).read();
        let (name, watch) = (target.user_key.clone(), Arc::clone(meter));
        let counting = self.cpu.spawn_blocking(move || target.count(watch.as_ref()));
        let erased = counting.await.map_err(LakeError::Task)??;
        let rows = erasure::count(&mut *self.registry.read().await?, key, &name).await?;
        let others = self.evidence_with(key, &name, meter).await?;
        let others = others.iter().filter(|other| !rows.evidence_files.contains(&other.file)).count() as u64;
        let evidence = rows.evidence_files.len() as u64 + others;
        let entries = self.mask_audit(key, &name, None).await?;
        let mentions = erasure::mentions(&mut *self.registry.read().await?, key, &name).await?;
        Ok(EraseReport { dry_run: true, ..report(erased, &rows, evidence, entries, &mentions) })
    }

    /// The name's keyed hash, the same at every erasure.
    async fn audit_name(&self, key: TenantKey, name: &str) -> Result<String, EraseError> {
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh)?;
        let fresh = hex(&fresh);
        let secret =
            self.registry.write(move |conn| Box::pin(async move { erasure::audit_key(conn, &fresh).await })).await?;
        let digest = Sha256::new().chain_update(secret).chain_update(key.folder()).chain_update([0]).chain_update(name);
        Ok(format!("erased user {}", hex(&digest.finalize()[..16])))
    }

    async fn erase_activities(&self, key: TenantKey, target: Target, meter: &Arc<Meter>) -> Result<Erased, LakeError> {
        let table = self.lake.table(key).await?;
        let (watch, disk) = (Arc::clone(meter), self.disk());
        let erasing = self.cpu.spawn(async move {
            let room = |bytes| {
                let full = |full| io::Error::new(io::ErrorKind::StorageFull, full);
                Ok(disk.check_for(bytes).map_err(full)?)
            };
            target.erase(&table, watch.as_ref(), &room).await
        });
        erasing.await.map_err(LakeError::Task)?
    }

    async fn erase_rows(&self, key: TenantKey, name: String) -> Result<RegistryRows, RegistryError> {
        let erase = self.registry.write(move |conn| {
            Box::pin(async move {
                erasure::outdate_attempts(conn, key).await?;
                erasure::erase(conn, key, &name).await
            })
        });
        erase.await
    }

    /// Stops the attempts at exports that are gone, and deletes their files; a part of one goes with its attempt.
    async fn delete_export_files(&self, key: TenantKey, exports: &[SavedExport]) {
        for export in exports {
            self.saved_exports.cancel(export.id);
            if let Some(made) = &export.made {
                self.saved_exports.remove_file(key, &made.file).await;
            }
        }
    }

    /// Puts the mark in the place of the name in the audit trail, a page a transaction; without one it counts. Returns
    /// how many entries name the user.
    async fn mask_audit(&self, key: TenantKey, name: &str, mark: Option<&str>) -> Result<u64, RegistryError> {
        let (mut after, mut entries) = (0, 0);
        while let Some(page) = erasure::audit_page(&mut *self.registry.read().await?, key, name, after).await? {
            after = page.last;
            entries += page.naming.len() as u64;
            let Some(mark) = mark.filter(|_| !page.naming.is_empty()) else { continue };
            let (name, mark) = (name.to_owned(), mark.to_owned());
            let write = self.registry.write(move |conn| {
                Box::pin(async move { erasure::mask_entries(conn, page.naming, &name, &mark).await })
            });
            write.await?;
        }
        Ok(entries)
    }

    /// Deletes evidence files of the erased anomalies and those of others that hold rows of the user. Returns how
    /// many.
    async fn erase_evidence(
        &self,
        key: TenantKey,
        name: &str,
        of_user: &[String],
        meter: &Arc<Meter>,
    ) -> Result<u64, EraseError> {
        let table = self.lake.table(key).await?;
        for file in of_user {
            erase_evidence_file(&table, file).await;
        }
        let mut deleted = of_user.len() as u64;
        for RecordedFile { anomaly, file, .. } in self.evidence_with(key, name, meter).await? {
            let path = file.clone();
            let forgotten = self
                .registry
                .write(move |conn| Box::pin(async move { erasure::forget_evidence(conn, key, anomaly, &path).await }));
            if forgotten.await? {
                erase_evidence_file(&table, &file).await;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Evidence files with rows of the user.
    async fn evidence_with(
        &self,
        key: TenantKey,
        name: &str,
        meter: &Arc<Meter>,
    ) -> Result<Vec<RecordedFile>, EraseError> {
        let recorded = recorded(&mut *self.registry.read().await?, key, super::ledger::INGEST_ROUTE).await?;
        let (folder, name, watch) = (self.lake.tenant_folder(key), name.to_owned(), Arc::clone(meter));
        let bytes = |file: &RecordedFile| u64::try_from(file.bytes).unwrap_or(0);
        watch.planned(recorded.evidence.iter().map(bytes).sum());
        let looking = self.cpu.spawn_blocking(move || {
            let mut with = Vec::new();
            for file in recorded.evidence {
                if watch.is_stopped() {
                    return Err(io::Error::new(io::ErrorKind::Interrupted, "nobody waits any more").into());
                }
                if holds_user(&folder, &file.file, &name)? {
                    with.push(file.clone());
                }
                watch.done(bytes(&file));
            }
            Ok::<_, LakeError>(with)
        });
        Ok(looking.await.map_err(LakeError::Task)??)
    }
}

fn report(
    erased: Erased,
    rows: &RegistryRows,
    evidence_files: u64,
    audit_entries: u64,
    mentions: &[AnomalyId],
) -> EraseReport {
    EraseReport {
        activities: erased.rows,
        files: erased.files,
        bytes: erased.bytes,
        days: erased.days,
        evidence_files,
        registry_rows: rows.rows.clone(),
        audit_entries,
        mentioned_in: mentions.iter().map(|id| id.get()).collect(),
        ..EraseReport::default()
    }
}
