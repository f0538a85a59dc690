//! Backups of a whole data directory, made while it is served, and bringing one back.
//!
//! Order of a backup, and why it is consistent:
//! 1. the registry as of one moment;
//! 2. each tenant's log up to its newest version, then the files of that version. The lake is made durable before the
//!    registry, so it holds everything that the copied registry knows, and perhaps later ingests;
//! 3. the idempotency keys of those later ingests, into the copied registry, so that a repeat is not stored again.
//!    Evidence that was replaced before it was copied becomes pending in the copy, and so do all saved exports: their
//!    files are not copied;
//! 4. every file and folder synced, then the list of the files with their checksums. Without that list it is no
//!    backup.

mod copy;
mod manifest;
mod restore;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::copy::{create_folder, empty, free_bytes, is_vacant, sync_folders};
use self::manifest::{About, Entry, ManifestWriter};
use self::table::{CopiedTenant, copy_tenant, estimate};
use super::auth::Actor;
use super::ledger::INGEST_ROUTE;
use super::meter::Meter;
use super::{Services, audit_entry};
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantKey;
use crate::lake::check::Finding;
use crate::lake::watch::Watch;
use crate::registry::checks::{Recorded, RecordedFile};
use crate::registry::copy::RegistryCopy;
use crate::registry::tenants::{self, TenantState};
use crate::registry::{RegistryError, audit};

pub use self::manifest::MANIFEST;
pub use self::restore::{RESTORING, RestoreError, RestoreReport, restore};

/// The registry's file in a backup and in a data directory.
pub(crate) const REGISTRY: &str = "registry.db";

/// Folder of all tenants, in a backup and in a data directory.
const LAKE: &str = "lake";

/// Why no backup was made. Nothing of it is left then, unless deleting failed too.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder holds something.
    #[error("the folder {} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The folder lies in the data directory, or the other way round.
    #[error("the folder {} and the data directory may not lie in each other", .0.display())]
    Inside(PathBuf),
    /// The folder is not given as an absolute path.
    #[error("the folder {} must be given as an absolute path", .0.display())]
    Relative(PathBuf),
    /// The disk has no room for it.
    #[error("the backup needs {}, and {} are free", format_size(*.needed_bytes), format_size(*.free_bytes))]
    NoRoom {
        /// What it needs.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// The registry could not be read or copied.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file could not be read or written.
    #[error("a file could not be copied")]
    Io(#[from] io::Error),
    /// A thread ended abnormally.
    #[error("the backup ended abnormally")]
    Task(#[from] tokio::task::JoinError),
}

/// A backup that is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupReport {
    /// When it was begun, ms since epoch: everything that was acknowledged before is in it.
    pub created_at_ms: i64,
    /// Tenants in it.
    pub tenants: u64,
    /// Files in it.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
    /// Evidence that was replaced meanwhile; a restored server makes it anew.
    pub evidence_to_remake: usize,
    /// Saved exports that were ready; their files are not copied, and a restored server makes them anew.
    #[serde(default)]
    pub exports_to_remake: u64,
    /// What was damaged in the lake already.
    pub damage: Vec<TenantDamage>,
}

/// Damage that a backup has met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDamage {
    /// Whose file it is.
    pub tenant: i64,
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
}

impl Services {
    /// Makes a backup of the data directory in a folder that is empty or not there yet; writers go on meanwhile.
    /// Success means: durable, and everything that was acknowledged before the call is in it, and whatever is in it
    /// was stored. Damage of the lake does not stop it; it is reported. A crash leaves a folder without its list, which
    /// [`restore`] refuses. Cost: reads and writes everything once.
    ///
    /// # Errors
    /// [`BackupError`].
    pub async fn create_backup(
        &self,
        actor: &Actor,
        folder: &Path,
        meter: &Arc<Meter>,
    ) -> Result<BackupReport, BackupError> {
        self.prepare(folder)?;
        let made = self.fill_backup(folder, meter).await;
        if made.is_err()
            && let Err(error) = empty(folder)
        {
            tracing::warn!(%error, folder = %folder.display(), "could not delete what there is of a failed backup");
        }
        let made = made?;
        let mut entry = audit_entry(actor, self.clock.now_ms(), None, "backup.create", folder.to_string_lossy());
        entry.detail = serde_json::json!({ "files": made.files, "bytes": made.bytes, "damage": made.damage.len() });
        self.registry.write(move |conn| Box::pin(async move { audit::append(conn, &entry).await })).await?;
        Ok(made)
    }

    fn prepare(&self, folder: &Path) -> Result<(), BackupError> {
        if !folder.is_absolute() {
            return Err(BackupError::Relative(folder.to_owned()));
        }
        let (target, data) = (resolved(folder)?, self.data_dir.canonicalize()?);
        if target.starts_with(&data) || data.starts_with(&target) {
            return Err(BackupError::Inside(folder.to_owned()));
        }
        if !is_vacant(folder)? {
            return Err(BackupError::NotEmpty(folder.to_owned()));
        }
        Ok(create_folder(folder)?)
    }

    async fn fill_backup(&self, folder: &Path, meter: &Arc<Meter>) -> Result<BackupReport, BackupError> {
        let created_at_ms = self.clock.now_ms();
        let mut registry = self.registry.copy_to(&folder.join(REGISTRY)).await?;
        let mut wanted = Vec::new();
        for tenant in registry.tenants().await?.into_iter().filter(|t| t.state == TenantState::Active) {
            let recorded = registry.recorded(tenant.key, INGEST_ROUTE).await?;
            wanted.push((tenant.key, recorded));
        }
        self.plan(folder, &wanted, meter).await?;
        let mut report = BackupReport { created_at_ms, ..BackupReport::default() };
        let mut manifest = ManifestWriter::create(folder, &About::now(created_at_ms))?;
        for (key, recorded) in wanted {
            let first_group = recorded.done_group.max(recorded.pending_group);
            let Some(copied) = self.copy_tenant(folder, key, recorded.evidence, meter).await? else {
                registry.drop_tenant(key).await?;
                continue;
            };
            report.tenants += 1;
            report.evidence_to_remake += copied.lost_evidence.len();
            self.settle(&mut registry, key, first_group, &copied).await?;
            for (path, entry) in copied.files {
                manifest.add(&Entry { path: format!("{LAKE}/{}/{path}", key.folder()), ..entry })?;
            }
            let of_tenant = |finding| TenantDamage { tenant: key.id.get(), finding };
            report.damage.extend(copied.damage.into_iter().map(of_tenant));
        }
        report.exports_to_remake = registry.forget_export_files().await?;
        registry.close().await?;
        let (target, watch) = (folder.to_owned(), Arc::clone(meter));
        let finished = self.cpu.spawn_blocking(move || {
            manifest.add(&seal(&target.join(REGISTRY), watch.as_ref())?)?;
            sync_folders(&target)?;
            manifest.publish(&target)
        });
        let amount = finished.await??;
        Ok(BackupReport { files: amount.files, bytes: amount.bytes, ..report })
    }

    /// Refuses a backup that the folder's disk has no room for; plans the meter.
    async fn plan(
        &self,
        folder: &Path,
        tenants: &[(TenantKey, Recorded)],
        meter: &Arc<Meter>,
    ) -> Result<(), BackupError> {
        let mut needed_bytes = std::fs::metadata(folder.join(REGISTRY))?.len();
        for (key, recorded) in tenants {
            let (from, evidence) = (self.lake.tenant_folder(*key), recorded.evidence.clone());
            needed_bytes += self.cpu.spawn_blocking(move || estimate(&from, &evidence)).await??;
        }
        meter.planned(needed_bytes);
        let free_bytes = free_bytes(folder)?;
        if free_bytes < needed_bytes { Err(BackupError::NoRoom { needed_bytes, free_bytes }) } else { Ok(()) }
    }

    /// Copies a tenant's files; none, and nothing is left of it, when it was dropped meanwhile.
    async fn copy_tenant(
        &self,
        folder: &Path,
        key: TenantKey,
        evidence: Vec<RecordedFile>,
        meter: &Arc<Meter>,
    ) -> Result<Option<CopiedTenant>, BackupError> {
        // Vacuum leaves alone what is copied.
        let _reading = self.lake.file_use(key).read();
        let (from, to) = (self.lake.tenant_folder(key), folder.join(LAKE).join(key.folder()));
        let (target, watch) = (to.clone(), Arc::clone(meter));
        let copied = self.cpu.spawn_blocking(move || copy_tenant(&from, &target, &evidence, watch.as_ref())).await?;
        let now = tenants::get(&mut *self.registry.read().await?, key.id).await?;
        if now.is_some_and(|now| now.key == key && now.state == TenantState::Active) {
            return Ok(Some(copied?));
        }
        match tokio::fs::remove_dir_all(&to).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(None),
        }
    }

    /// Sets the copied registry right where the lake was copied later.
    async fn settle(
        &self,
        registry: &mut RegistryCopy,
        key: TenantKey,
        first_group: i64,
        copied: &CopiedTenant,
    ) -> Result<(), RegistryError> {
        // Where the log does not tell what was stored, the keys stay as they were.
        if let Some(last_group) = copied.last_group {
            let keys = self.registry.keys_of_groups(key, INGEST_ROUTE, first_group, last_group).await?;
            registry.replace_keys(key, INGEST_ROUTE, first_group, &keys).await?;
        }
        for anomaly in &copied.lost_evidence {
            registry.forget_evidence(key, *anomaly).await?;
        }
        Ok(())
    }
}

/// The path without symbolic links, also where its last parts do not exist yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(resolved(parent)?.join(name))
        }
        (found, ..) => found,
    }
}

/// Makes a written file durable and describes it.
fn seal(path: &Path, watch: &dyn Watch) -> io::Result<Entry> {
    let mut file = std::fs::File::open(path)?;
    file.sync_all()?;
    let sha256 = crate::lake::check::sha256(&mut file, watch)?;
    Ok(Entry { path: REGISTRY.to_owned(), bytes: file.metadata()?.len(), sha256 })
}
