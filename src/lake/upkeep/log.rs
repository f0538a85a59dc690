//! Checkpoints and the clean-up of a table's log.

use std::io::Cursor;

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::Deserialize;

use crate::lake::error::LakeError;
use crate::lake::layout::ACTIVITIES;
use crate::lake::table::{ActivityTable, GAINED_VERSIONS};

/// Log entries since the last checkpoint that are worth a new one. The writer makes one every 50; this is for
/// tables that are written to seldom.
const WORTH_A_CHECKPOINT: u64 = 10;

/// Version of the newest checkpoint; none without one.
///
/// # Errors
/// When the file that names it cannot be read.
pub async fn checkpoint_version(table: &ActivityTable) -> Result<Option<u64>, LakeError> {
    #[derive(Deserialize)]
    struct Last {
        version: u64,
    }
    let path = Path::from_iter([ACTIVITIES, "_delta_log", "_last_checkpoint"]);
    let bytes = match table.tenant_store().get(&path).await {
        Ok(found) => found.bytes().await?,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // A hint that does not parse is no hint; the next checkpoint writes it anew.
    Ok(serde_json::from_reader::<_, Last>(Cursor::new(bytes)).ok().map(|last| last.version))
}

/// Newest entries of a log that stay for `keep_ms`; those before them go as soon as they are [`SETTLED_MS`] old. Each
/// commit reads the names in the log's folder, so a table that is written to ten times a second must not collect hours
/// of them. As many as a table remembers the files of.
pub const LOG_ENTRIES: u64 = GAINED_VERSIONS;

/// An entry stays for this time at least, in ms (unless `keep_ms` is shorter), for readers that have just read the
/// names in the folder.
const SETTLED_MS: i64 = 300_000;

/// Writes a checkpoint when there are enough entries since the last one, then deletes entries that a checkpoint
/// covers and that are older than `keep_ms`, or more than `entries` versions behind ([`LOG_ENTRIES`]). Returns how many were deleted. Run it on the
/// CPU runtime: writing a checkpoint does not yield.
///
/// # Errors
/// When the log cannot be read or written. It is readable all the same: entries are deleted only behind a
/// checkpoint.
pub async fn tidy_log(table: &ActivityTable, keep_ms: i64, entries: u64, now_ms: i64) -> Result<usize, LakeError> {
    let current = table.current();
    let version = current.snapshot()?.version();
    let covered = checkpoint_version(table).await?;
    if covered.map_or(version, |covered| version.saturating_sub(covered)) >= WORTH_A_CHECKPOINT {
        deltalake::checkpoints::create_checkpoint(&current, None).await?;
    } else if covered.is_none() {
        return Ok(0);
    }
    let log = current.log_store();
    let delete_before = async |version, before_ms| {
        deltalake::checkpoints::cleanup_expired_logs_for(version, log.as_ref(), before_ms, None).await
    };
    let mut deleted = delete_before(version, now_ms.saturating_sub(keep_ms)).await?;
    if let Some(version) = version.checked_sub(entries) {
        deleted += delete_before(version, now_ms.saturating_sub(keep_ms.min(SETTLED_MS))).await?;
    }
    Ok(deleted)
}
