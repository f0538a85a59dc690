//! Where things lie below a data directory.
//!
//! ```text
//! <data-dir>/LOCK  control.sock  registry.db
//! <data-dir>/tmp/                                     spill and spool files, emptied at start
//! <data-dir>/exports/tenant=<id>-<incarnation>/<export>-<uuid>.<format>   `.part` while it is being made
//! <data-dir>/lake/.staging/<uuid>                     not yet published, emptied at start
//! <data-dir>/lake/tenant=<id>-<incarnation>/activities/{_delta_log/, day=YYYY-MM-DD/*.parquet}
//! <data-dir>/lake/tenant=<id>-<incarnation>/seen/<source>/     index of stored ids, a cache of the activities
//! <data-dir>/lake/tenant=<id>-<incarnation>/evidence/day=YYYY-MM-DD/<anomaly>-<n>-<uuid>.parquet
//! ```

use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use crate::domain::tenant::TenantKey;

/// Name of the folder below the lake where files wait to be published.
pub const STAGING: &str = ".staging";
/// Name of a tenant's activities table.
pub const ACTIVITIES: &str = "activities";
/// Name of a tenant's evidence folder.
pub const EVIDENCE: &str = "evidence";

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Creates the directory and its fixed folders with mode 0700 and syncs each new name.
    ///
    /// # Errors
    /// Any I/O error of creating or syncing a folder.
    pub fn create(path: &Path) -> io::Result<Self> {
        let dir = Self(std::path::absolute(path)?);
        for folder in [dir.0.clone(), dir.tmp(), dir.exports(), dir.lake(), dir.lake().join(STAGING)] {
            create_private_folder(&folder)?;
        }
        Ok(dir)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lock file of the owning process.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("LOCK")
    }

    /// Socket through which commands reach the owning process.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Database of everything transactional.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.0.join("registry.db")
    }

    /// Spill and spool files; nothing in it outlives the process.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.0.join("tmp")
    }

    /// Root of all tenants' saved exports.
    #[must_use]
    pub fn exports(&self) -> PathBuf {
        self.0.join("exports")
    }

    /// Root of all tenants' files.
    #[must_use]
    pub fn lake(&self) -> PathBuf {
        self.0.join("lake")
    }

    /// Folder of one tenant.
    #[must_use]
    pub fn tenant(&self, tenant: TenantKey) -> PathBuf {
        self.lake().join(tenant.folder())
    }

    /// Deletes what an earlier process left in the temporary and staging folders. Call it only as
    /// the owner of the directory.
    ///
    /// # Errors
    /// Any I/O error of listing or deleting.
    pub fn sweep(&self) -> io::Result<()> {
        for folder in [self.tmp(), self.lake().join(STAGING)] {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    std::fs::remove_dir_all(entry.path())?;
                } else {
                    std::fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}

/// Creates a folder and those above it that are missing, with mode 0700, and syncs each new name.
///
/// # Errors
/// Any I/O error of creating or syncing.
pub fn create_private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent()
        && !parent.is_dir()
    {
        create_private_folder(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    match folder.parent() {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Address of a tenant's store inside a query session. It is not a file URL, so that no session
/// holds a store that could reach beyond the tenant's folder.
///
/// # Errors
/// None in practice: ids and incarnations are numbers.
pub fn tenant_url(tenant: TenantKey) -> Result<Url, url::ParseError> {
    Url::parse(&format!("lake://tenant-{}-{}/", tenant.id, tenant.incarnation))
}

/// Address of a tenant's activities table inside a query session.
///
/// # Errors
/// As [`tenant_url`].
pub fn activities_url(tenant: TenantKey) -> Result<Url, url::ParseError> {
    tenant_url(tenant)?.join("activities/")
}
