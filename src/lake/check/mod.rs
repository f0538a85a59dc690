//! Looking whether a tenant's files are what they should be: the table's log against its files, and the files
//! against themselves. Everything is read from the disk by means of our own: neither the table nor its memory is
//! asked, so a table that cannot be opened can be checked.
//!
//! Blocking: call it where threads may wait. It works beside a writer and beside upkeep.

mod checkpoint;
mod contain;
mod data_file;
mod evidence;
mod files;
mod finding;
mod log;
mod log_folder;
mod order;
mod replay;
mod rows;
mod statistics;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::data_file::sha256;
pub use self::evidence::{RecordedEvidence, unnamed_evidence};
pub use self::files::{below, parquet_files};
pub use self::finding::{Finding, Kind, Severity};
pub use self::log::Log;
pub use self::log_folder::{DELTA_LOG, LAST_CHECKPOINT, LogFolder};
pub use self::replay::State;

use self::data_file::DataFile;
use super::layout::ACTIVITIES;
use super::watch::Watch;
use crate::domain::tenant::TenantId;

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many.
    pub files: u64,
    /// Their size together, in bytes.
    pub bytes: u64,
}

impl Amount {
    /// One more file of this size.
    pub fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// What a check of a tenant's activities saw.
#[derive(Debug, Clone, Default)]
pub struct TableCheck {
    /// The version that was checked; none for a table that was never written to.
    pub version: Option<u64>,
    /// Number of its last ingest group.
    pub last_group: i64,
    /// Live files.
    pub live: Amount,
    /// Rows in them, as far as their footers could be read.
    pub rows: u64,
    /// Files of earlier versions that vacuum has still to delete.
    pub removed: Amount,
    /// Files that no version refers to.
    pub garbage: Amount,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// Whether reading failed because of the file's place on the disk, and not because of this process.
pub(super) fn is_of_the_disk(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Checks the activities in a tenant's folder: the log, and each file of its newest version against it. `deep`
/// reads every byte, page and row.
///
/// # Errors
/// Any I/O error but of files that upkeep deletes meanwhile; also [`io::ErrorKind::Interrupted`] when nobody waits
/// any more.
pub fn check_table(tenant_folder: &Path, tenant: TenantId, deep: bool, watch: &dyn Watch) -> io::Result<TableCheck> {
    let table = tenant_folder.join(ACTIVITIES);
    // Before the log is read, so that a file which is committed meanwhile is not taken for garbage.
    let present = parquet_files(&table)?;
    let log = Log::read(&table)?;
    let mut check = TableCheck { version: log.version, findings: log.findings, ..TableCheck::default() };
    let Some(state) = log.state else {
        if log.version.is_none() && !present.is_empty() {
            let detail = format!("{} data files and no log", present.len());
            check.findings.push(Finding::at(Kind::LogMissing, format!("{ACTIVITIES}/{DELTA_LOG}"), detail));
        }
        return Ok(check);
    };
    check.last_group = state.last_group;
    for add in state.live.values() {
        let size = u64::try_from(add.size).unwrap_or(0);
        check.live.add(size);
        watch.planned(size);
    }
    for (path, bytes) in &present {
        if !state.live.contains_key(path) {
            if state.removed.contains_key(path) { &mut check.removed } else { &mut check.garbage }.add(*bytes);
        }
    }
    let gone = check.files(&table, &state, tenant, deep, watch)?;
    check.missing(&table, gone)?;
    Ok(check)
}

impl TableCheck {
    /// Checks the live files; returns those that are not there.
    fn files(
        &mut self,
        table: &Path,
        state: &State,
        tenant: TenantId,
        deep: bool,
        watch: &dyn Watch,
    ) -> io::Result<Vec<String>> {
        let mut gone = Vec::new();
        for add in state.live.values() {
            if watch.is_stopped() {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "nobody waits any more"));
            }
            let Some(path) = below(table, &add.path) else {
                self.findings.push(Finding::of(Kind::PathOutside, format!("the log names {}", add.path)));
                continue;
            };
            match DataFile::new(add, &path, tenant).check(deep, watch) {
                Ok((rows, findings)) => {
                    self.rows += rows.unwrap_or(0);
                    self.findings.extend(findings);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(add.path.clone()),
                Err(error) if is_of_the_disk(&error) => {
                    let path = format!("{ACTIVITIES}/{}", add.path);
                    self.findings.push(Finding::at(Kind::FileUnreadable, path, error.to_string()));
                }
                Err(error) => return Err(error),
            }
            if !deep {
                watch.done(u64::try_from(add.size).unwrap_or(0));
            }
        }
        Ok(gone)
    }

    /// Tells of files that are not there, unless a newer version did without them: upkeep may have deleted them.
    fn missing(&mut self, table: &Path, gone: Vec<String>) -> io::Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        let now = Log::read(table)?.state.unwrap_or_default();
        let gone = gone.into_iter().filter(|path| now.live.contains_key(path));
        let detail = "it belongs to the newest version and is not there";
        self.findings.extend(gone.map(|path| Finding::at(Kind::FileMissing, format!("{ACTIVITIES}/{path}"), detail)));
        Ok(())
    }
}
