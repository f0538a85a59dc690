//! Bringing a backup back into an empty data directory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::copy::{copy_file, create_private, free_bytes, is_vacant, sync_folders};
use super::manifest::{Entry, MANIFEST, Manifest};
use super::{REGISTRY, empty};
use crate::domain::size_text::format_size;
use crate::lake::watch::Watch;

/// Marks a data directory into which a restore was begun and not finished: it must not be served.
pub const RESTORING: &str = "RESTORING";

/// Why a backup was not restored. The data directory is as empty as before, unless deleting failed too; then it is
/// marked and cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no list of files: it is no backup, or one that was not finished.
    #[error("{} is not there: that folder is no backup, or one that was not finished", .0.display())]
    NoBackup(PathBuf),
    /// The list of files is damaged.
    #[error("the list of files {} is damaged: {why}", path.display())]
    BadManifest {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The backup was made by a newer version.
    #[error("the backup was made by version {program}, in a newer data format; restore it with that version")]
    Newer {
        /// The version.
        program: String,
    },
    /// A file of the backup is not there or not as it was.
    #[error("the backup's file {path} {how}")]
    Damaged {
        /// Path below the backup's folder.
        path: String,
        /// In what way.
        how: &'static str,
    },
    /// The data directory holds something.
    #[error("the data directory {} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The disk has no room.
    #[error("the backup holds {}, and {} are free", format_size(*.needed_bytes), format_size(*.free_bytes))]
    NoRoom {
        /// What it holds.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
    /// A file could not be read or written.
    #[error("a file could not be copied")]
    Io(#[from] io::Error),
}

/// A backup that is restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreReport {
    /// When the backup was begun, ms since epoch.
    pub created_at_ms: i64,
    /// Files in it.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
}

/// Copies a backup into a data directory that is empty or not there yet, comparing every byte with the backup's list.
/// Success means: durable, and ready to be served. The registry comes last, so a directory that was not finished is
/// recognised by its mark. Blocking.
///
/// `prepare` makes the directory and takes it, so that nobody serves it meanwhile.
///
/// # Errors
/// [`RestoreError`].
pub fn restore<L>(
    backup: &Path,
    data_dir: &Path,
    prepare: impl FnOnce() -> io::Result<L>,
    watch: &dyn Watch,
) -> Result<RestoreReport, RestoreError> {
    let manifest = Manifest::read(backup)?;
    present(backup, &manifest.entries)?;
    if !is_vacant(data_dir)? {
        return Err(RestoreError::NotEmpty(data_dir.to_owned()));
    }
    let held = prepare()?;
    let free_bytes = free_bytes(data_dir)?;
    let restored = if free_bytes < manifest.bytes {
        Err(RestoreError::NoRoom { needed_bytes: manifest.bytes, free_bytes })
    } else {
        fill(backup, data_dir, &manifest, watch)
    };
    if restored.is_err()
        && let Err(error) = empty(data_dir)
    {
        tracing::warn!(%error, "could not delete what there is of a failed restore");
    }
    drop(held);
    restored
}

/// Looks whether every file is there with its size, before anything is copied.
fn present(backup: &Path, entries: &[Entry]) -> Result<(), RestoreError> {
    for entry in entries {
        let damaged = |how| RestoreError::Damaged { path: entry.path.clone(), how };
        match std::fs::metadata(backup.join(&entry.path)) {
            Ok(about) if about.len() == entry.bytes => {}
            Ok(_) => return Err(damaged("has another size than when the backup was made")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is not there")),
            Err(error) => return Err(error.into()),
        }
    }
    if entries.iter().any(|entry| entry.path == REGISTRY) {
        return Ok(());
    }
    Err(RestoreError::BadManifest { path: backup.join(MANIFEST), why: format!("it lacks {REGISTRY}") })
}

fn fill(backup: &Path, data_dir: &Path, manifest: &Manifest, watch: &dyn Watch) -> Result<RestoreReport, RestoreError> {
    let mark = data_dir.join(RESTORING);
    create_private(&mark)?.sync_all()?;
    File::open(data_dir)?.sync_all()?;
    watch.planned(manifest.bytes);
    let (registry, files): (Vec<_>, Vec<_>) = manifest.entries.iter().partition(|entry| entry.path == REGISTRY);
    for entry in files.into_iter().chain(registry) {
        let copied = copy_file(backup, data_dir, &entry.path, watch)?;
        if copied != *entry {
            let how = "is not as it was when the backup was made";
            return Err(RestoreError::Damaged { path: entry.path.clone(), how });
        }
    }
    sync_folders(data_dir)?;
    std::fs::remove_file(mark)?;
    File::open(data_dir)?.sync_all()?;
    let created_at_ms = manifest.about.created_at_ms;
    Ok(RestoreReport { created_at_ms, files: manifest.entries.len() as u64, bytes: manifest.bytes })
}
