//! Dropping days that are older than their tenant keeps activities.

use super::live::{LiveFile, live_days};
use super::plan::{Retention, expires_at_ms};
use crate::domain::day::Day;
use crate::lake::error::LakeError;
use crate::lake::rewrite::Rewrite;
use crate::lake::table::ActivityTable;

/// A day that is, or would be, dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedDay {
    /// The day.
    pub day: Day,
    /// When it expired, ms since epoch.
    pub expired_ms: i64,
    /// Its files.
    pub files: usize,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl DroppedDay {
    fn of(day: Day, files: &[LiveFile], retention: Retention) -> Self {
        Self {
            day,
            expired_ms: expires_at_ms(day, files, retention),
            files: files.len(),
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
        }
    }
}

/// Days that have expired.
///
/// # Errors
/// When the snapshot cannot be looked at.
pub fn expired(table: &ActivityTable, retention: Retention, now_ms: i64) -> Result<Vec<DroppedDay>, LakeError> {
    let days = live_days(&table.current())?;
    let days = days.iter().map(|(day, files)| DroppedDay::of(*day, files, retention));
    Ok(days.filter(|day| day.expired_ms <= now_ms).collect())
}

/// Drops a day as it is now, if it has still expired; rows that arrive meanwhile stay. Success means: committed
/// and durable, and no query that starts from now on sees the day. Its files are deleted by vacuum.
///
/// # Errors
/// [`LakeError::Superseded`] when a file was replaced meanwhile: try again. Else as
/// [`ActivityTable::replace_files`].
pub async fn drop_day(
    table: &ActivityTable,
    day: Day,
    retention: Retention,
    now_ms: i64,
) -> Result<Option<DroppedDay>, LakeError> {
    let Some(files) = live_days(&table.current())?.remove(&day) else { return Ok(None) };
    let dropped = DroppedDay::of(day, &files, retention);
    if dropped.expired_ms > now_ms {
        return Ok(None);
    }
    let removed = files.into_iter().map(|file| file.path).collect();
    table.replace_files(removed, Vec::new(), Rewrite::LessRows).await?;
    Ok(Some(dropped))
}
