//! What goes by itself: exports whose time is over, and files that nothing names.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use super::SavedExports;
use crate::domain::tenant::TenantKey;
use crate::registry::RegistryError;
use crate::registry::exports;
use crate::services::Services;

/// Reason of attempts that the end of a process interrupted.
const INTERRUPTED: &str = "the server ended while it was being made";

/// Why exports could not be tidied up.
#[derive(Debug, thiserror::Error)]
pub enum TidyError {
    /// The folder cannot be listed.
    #[error("the folder of saved exports cannot be read")]
    Io(#[from] io::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl Services {
    /// Takes up what an earlier process left under way, and removes what it had written of it. Call it
    /// before any attempt begins.
    ///
    /// # Errors
    /// [`TidyError`].
    pub(in super::super) async fn recover_saved_exports(&self) -> Result<(), TidyError> {
        let now_ms = self.clock.now_ms();
        let expires_at_ms = now_ms.saturating_add(self.settings.exports.keep_ms());
        let recover = self.registry.write(move |conn| {
            Box::pin(async move { exports::recover(conn, INTERRUPTED, now_ms, expires_at_ms).await })
        });
        let found = recover.await?;
        if found > 0 {
            tracing::info!(found, "took up exports that an earlier process had left under way");
        }
        self.sweep_saved_exports().await
    }

    /// Deletes exports whose time is over, then every file that nothing names and nobody writes.
    ///
    /// # Errors
    /// [`TidyError`].
    pub async fn tidy_saved_exports(&self) -> Result<(), TidyError> {
        let now_ms = self.clock.now_ms();
        let expired = self.registry.write(move |conn| Box::pin(exports::expire(conn, now_ms))).await?;
        for export in expired {
            if let Some(made) = &export.made {
                self.saved_exports.remove_file(export.tenant, &made.file).await;
            }
        }
        self.sweep_saved_exports().await
    }

    /// The order of the three looks matters: what is found in the folder and not under way afterwards
    /// was committed before the registry is asked, or never will be.
    async fn sweep_saved_exports(&self) -> Result<(), TidyError> {
        let folder = self.saved_exports.folder().to_owned();
        let found = tokio::task::spawn_blocking(move || files_below(&folder)).await.map_err(io::Error::other)??;
        let idle: Vec<PathBuf> =
            found.into_iter().filter(|path| !id_of(path).is_some_and(|id| self.saved_exports.is_listed(id))).collect();
        if idle.is_empty() {
            return Ok(());
        }
        let named = exports::all_files(&mut *self.registry.read().await?).await?;
        let named = self.saved_exports.paths(named);
        for garbage in idle.iter().filter(|path| !named.contains(*path)) {
            match tokio::fs::remove_file(garbage).await {
                Ok(()) => tracing::info!(path = %garbage.display(), "removed a saved export's file that nothing names"),
                Err(error) => {
                    tracing::warn!(path = %garbage.display(), %error, "could not remove a file that nothing names");
                }
            }
        }
        Ok(())
    }
}

impl SavedExports {
    fn paths(&self, named: Vec<(TenantKey, String)>) -> HashSet<PathBuf> {
        named.into_iter().map(|(tenant, file)| self.folder_of(tenant).join(file)).collect()
    }
}

/// The export that a file belongs to, by its name.
fn id_of(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

/// The files in the tenants' folders.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for tenant in std::fs::read_dir(folder)? {
        let tenant = tenant?;
        if !tenant.file_type()?.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(tenant.path())? {
            found.push(file?.path());
        }
    }
    Ok(found)
}
