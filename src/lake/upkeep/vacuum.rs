//! Deleting files that nobody needs: those that left the table long ago, and garbage of crashes.

use std::collections::{HashMap, HashSet};

use deltalake::DeltaTable;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::lake::error::LakeError;
use crate::lake::file_use::FileUse;
use crate::lake::layout::{ACTIVITIES, EVIDENCE};
use crate::lake::table::ActivityTable;

/// A file on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Path below the tenant's folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, ms since epoch.
    pub modified_ms: i64,
}

/// What is to become of the files of a tenant that nothing names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unnamed {
    /// Nobody needs them.
    pub garbage: Vec<StoredFile>,
    /// They are too young, or somebody may still read or commit them.
    pub waiting: Vec<StoredFile>,
}

impl Unnamed {
    /// Number and bytes of the garbage.
    #[must_use]
    pub fn garbage_size(&self) -> (usize, u64) {
        (self.garbage.len(), self.garbage.iter().map(|file| file.bytes).sum())
    }

    /// When the first of the waiting ones may be old enough, in ms since epoch.
    #[must_use]
    pub fn ripe_ms(&self, keep_ms: i64) -> Option<i64> {
        self.waiting.iter().map(|file| file.modified_ms.saturating_add(keep_ms)).min()
    }
}

/// Whether a file that nothing names has to wait.
fn has_to_wait(file: &StoredFile, removed_ms: Option<i64>, in_use: bool, keep_ms: i64, now_ms: i64) -> bool {
    let old = |since_ms: i64| since_ms.saturating_add(keep_ms) <= now_ms;
    in_use || !old(file.modified_ms) || !removed_ms.is_none_or(old)
}

/// Finds the data files that the newest snapshot does not name. `keep_ms` is how long one is kept after it was written, and
/// after it left the table: it protects readers that are not ours; for ours [`FileUse`] knows better.
///
/// # Errors
/// When the folder or the log cannot be read, or the table was closed meanwhile.
pub async fn unnamed_data(table: &ActivityTable, keep_ms: i64, now_ms: i64) -> Result<Unnamed, LakeError> {
    let stored = list(table, ACTIVITIES, "day=").await?;
    let files = table.file_use();
    // In this order: what is committed after this moment is live in the snapshot, or in this set.
    let uncommitted = files.uncommitted();
    let current = table.current();
    // Whoever has opened the table anew may have committed since what this handle does not see.
    if table.is_broken() {
        return Err(LakeError::NotStored("the table was closed meanwhile; look for its files again".into()));
    }
    let state = current.snapshot()?;
    let live: HashSet<String> = state.log_data().iter().map(|file| file.path().into_owned()).collect();
    let dead: Vec<StoredFile> = stored.into_iter().filter(|file| !live.contains(below_table(&file.path))).collect();
    let mut unnamed = Unnamed::default();
    if dead.is_empty() {
        return Ok(unnamed);
    }
    let removed = removed_ms(&current).await?;
    for file in dead {
        let path = below_table(&file.path);
        let removed_ms = removed.get(path).copied();
        let unknown = removed_ms.is_none() && uncommitted.writing;
        let in_use = unknown || uncommitted.files.contains(path) || files.may_be_read(path);
        let waits = has_to_wait(&file, removed_ms, in_use, keep_ms, now_ms);
        (if waits { &mut unnamed.waiting } else { &mut unnamed.garbage }).push(file);
    }
    Ok(unnamed)
}

/// A path of the log from one below the tenant's folder.
fn below_table(path: &str) -> &str {
    path.strip_prefix(ACTIVITIES).and_then(|path| path.strip_prefix('/')).unwrap_or(path)
}

/// When files left the table, as far as the log still tells. The table is loaded anew: a snapshot of long ago
/// refers to log entries that have been cleaned up since.
async fn removed_ms(table: &DeltaTable) -> Result<HashMap<String, i64>, LakeError> {
    let mut table = DeltaTable::new(table.log_store());
    table.load().await?;
    let removed = table.snapshot()?.all_tombstones(table.log_store().as_ref());
    let removed = removed
        .try_filter_map(async |file| Ok(file.deletion_timestamp().map(|at_ms| (file.path().into_owned(), at_ms))));
    Ok(removed.try_collect().await?)
}

/// The evidence files of a tenant.
///
/// # Errors
/// When the folder cannot be read.
pub async fn stored_evidence(table: &ActivityTable) -> Result<Vec<StoredFile>, LakeError> {
    list(table, EVIDENCE, "").await
}

/// Sorts out the evidence files that the registry does not name. List them before asking for the names: what is
/// recorded in between would look like garbage. `keep_ms` is longer than any making of evidence takes.
#[must_use]
pub fn unnamed_evidence(
    stored: Vec<StoredFile>,
    is_named: impl Fn(&str) -> bool,
    files: &FileUse,
    keep_ms: i64,
    now_ms: i64,
) -> Unnamed {
    let mut unnamed = Unnamed::default();
    for file in stored.into_iter().filter(|file| !is_named(&file.path)) {
        // Sessions that began before somebody noticed may have planned to read it.
        files.retire([file.path.as_str()]);
        let waits = has_to_wait(&file, None, files.may_be_read(&file.path), keep_ms, now_ms);
        (if waits { &mut unnamed.waiting } else { &mut unnamed.garbage }).push(file);
    }
    unnamed
}

/// Deletes garbage. A crash in between leaves the rest to the next time.
///
/// # Errors
/// When a file cannot be deleted.
pub async fn delete(table: &ActivityTable, garbage: &[StoredFile]) -> Result<(), LakeError> {
    let (store, files) = (table.tenant_store(), table.file_use());
    for file in garbage {
        match store.delete(&Path::from(file.path.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        files.deleted(below_table(&file.path));
    }
    Ok(())
}

async fn list(table: &ActivityTable, folder: &str, below: &str) -> Result<Vec<StoredFile>, LakeError> {
    let prefix = Path::from(folder);
    let wanted = format!("{folder}/{below}");
    let stored = table.tenant_store().list(Some(&prefix));
    let stored = stored.try_filter_map(async |meta| {
        let path = meta.location.to_string();
        let is_data = path.starts_with(&wanted) && path.ends_with(".parquet");
        let modified_ms = meta.last_modified.timestamp_millis();
        Ok(is_data.then_some(StoredFile { path, bytes: meta.size, modified_ms }))
    });
    Ok(stored.try_collect().await?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const KEEP_MS: i64 = 7_200_000;

    fn file(path: &str, modified_ms: i64) -> StoredFile {
        StoredFile { path: path.to_owned(), bytes: 1, modified_ms }
    }

    #[test]
    fn young_removed_lately_and_used_files_wait() {
        let now = 10 * KEEP_MS;
        let old = file("x", now - KEEP_MS);
        for (file, removed, in_use, waits) in [
            (&old, None, false, false),
            (&old, Some(now - KEEP_MS), false, false),
            (&old, Some(now - KEEP_MS + 1), false, true),
            (&old, None, true, true),
            (&file("x", now - KEEP_MS + 1), None, false, true),
            (&file("x", now + 5), None, false, true),
        ] {
            assert_eq!(has_to_wait(file, removed, in_use, KEEP_MS, now), waits, "{file:?} {removed:?} {in_use}");
        }
    }

    #[test]
    fn evidence_without_a_name_waits_for_readers_that_began_before_it_was_noticed() {
        let files = Arc::new(FileUse::default());
        let stored = || vec![file("evidence/a", 0), file("evidence/b", 0)];
        let look = || unnamed_evidence(stored(), |path| path == "evidence/a", &files, KEEP_MS, KEEP_MS);
        let reader = files.read();
        assert_eq!((look().garbage.len(), look().waiting), (0, vec![file("evidence/b", 0)]));
        let _later = files.read();
        drop(reader);
        assert_eq!(look().garbage, [file("evidence/b", 0)]);
    }
}
