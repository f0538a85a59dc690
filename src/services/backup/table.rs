//! Copying one tenant's files as of one version of its table.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::copy::{copy_file, create_folder, create_private};
use super::manifest::Entry;
use crate::domain::anomaly::AnomalyId;
use crate::lake::check::{DELTA_LOG, Finding, Kind, LAST_CHECKPOINT, Log, LogFolder, State, below, parquet_files};
use crate::lake::checksums::sha256_of;
use crate::lake::layout::ACTIVITIES;
use crate::lake::watch::Watch;
use crate::registry::checks::RecordedFile;

/// Should a file be deleted while it is to be copied, as vacuum of another process or a person may do, and a newer
/// version does without it, then that version is copied, at most so often.
const TRIES: usize = 8;

/// A copied tenant.
#[derive(Debug, Default)]
pub(super) struct CopiedTenant {
    /// Its files, by path below the tenant's folder.
    pub(super) files: BTreeMap<String, Entry>,
    /// Number of the last ingest group in the copy; none where the log is damaged and does not tell.
    pub(super) last_group: Option<i64>,
    /// Anomalies whose evidence was replaced before it was copied.
    pub(super) lost_evidence: Vec<AnomalyId>,
    /// What was damaged in the lake already, or is.
    pub(super) damage: Vec<Finding>,
}

/// Bytes that a copy of the tenant's newest version and this evidence would have, the log left out.
pub(super) fn estimate(tenant_folder: &Path, evidence: &[RecordedFile]) -> io::Result<u64> {
    let state = Log::read(&tenant_folder.join(ACTIVITIES))?.state.unwrap_or_default();
    let activities: u64 = state.live.values().map(|add| u64::try_from(add.size).unwrap_or(0)).sum();
    let evidence: u64 = evidence.iter().map(|file| u64::try_from(file.bytes).unwrap_or(0)).sum();
    Ok(activities + evidence)
}

/// Copies the tenant's table as of the newest version there is, and its evidence.
///
/// # Errors
/// Any I/O error but of files that are deleted meanwhile, or that are missing because the lake is damaged.
pub(super) fn copy_tenant(
    from: &Path,
    to: &Path,
    evidence: &[RecordedFile],
    watch: &dyn Watch,
) -> io::Result<CopiedTenant> {
    let mut copied = CopiedTenant::default();
    for tries_left in (0..TRIES).rev() {
        let state = match copied.log(from, to, watch)? {
            CopiedLog::Whole(state) => state,
            CopiedLog::Torn if tries_left > 0 => {
                copied.damage.retain(|finding| finding.kind == Kind::FileChecksum);
                continue;
            }
            CopiedLog::Torn => return Err(io::Error::other("the log was cleaned up again and again; try again later")),
        };
        let missing = match &state {
            Some(state) => copied.live_files(from, to, state, watch)?,
            // A log that gives no state: what there is, is worth keeping for whoever mends it.
            None => copied.all_files(from, to, watch)?,
        };
        let newest = Log::read(&from.join(ACTIVITIES))?.state.unwrap_or_default();
        let (lost, replaced): (Vec<_>, Vec<_>) = missing.into_iter().partition(|path| newest.live.contains_key(path));
        if replaced.is_empty() || tries_left == 0 {
            let gone = lost.into_iter().chain(replaced);
            let detail = "it belongs to the copied version and is not there";
            copied.damage.extend(gone.map(|path| Finding::at(Kind::FileMissing, path, detail)));
            copied.forget_replaced(to, state.as_ref())?;
            break;
        }
        // What was found in the log is found anew; copied files are not looked at again.
        copied.damage.retain(|finding| finding.kind == Kind::FileChecksum);
    }
    copied.evidence(from, to, evidence, watch)?;
    Ok(copied)
}

/// What became of copying a log.
#[derive(Debug)]
enum CopiedLog {
    /// Every file that was listed is copied: the state that they give, none when the log is damaged.
    Whole(Option<State>),
    /// Files were cleaned up meanwhile. What is copied may be an older version, or none.
    Torn,
}

impl CopiedTenant {
    fn copy(&mut self, from: &Path, to: &Path, path: &str, watch: &dyn Watch) -> io::Result<Option<&Entry>> {
        match copy_file(from, to, path, watch) {
            Ok(entry) => {
                self.files.insert(path.to_owned(), entry);
                Ok(self.files.get(path))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies the log up to its newest version.
    fn log(&mut self, from: &Path, to: &Path, watch: &dyn Watch) -> io::Result<CopiedLog> {
        let prefix = format!("{ACTIVITIES}/{DELTA_LOG}");
        let target = to.join(&prefix);
        self.files.retain(|path, _| !path.starts_with(&prefix));
        match std::fs::remove_dir_all(&target) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let Some(folder) = LogFolder::list(&from.join(ACTIVITIES))? else {
            self.last_group = Some(0);
            return Ok(CopiedLog::Whole(Some(State::default())));
        };
        create_folder(&target)?;
        let named = folder.checkpoints.values().chain(folder.commits.values());
        for name in named.filter_map(|path| path.file_name()) {
            if self.copy(from, to, &format!("{prefix}/{}", name.to_string_lossy()), watch)?.is_none() {
                return Ok(CopiedLog::Torn);
            }
        }
        self.hint(&folder, from, to)?;
        let log = Log::read(&to.join(ACTIVITIES))?;
        self.damage.extend(log.findings.into_iter().filter(Finding::is_damage));
        let state = if log.version.is_none() { Some(State::default()) } else { log.state };
        self.last_group = state.as_ref().map(|state| state.last_group);
        Ok(CopiedLog::Whole(state))
    }

    /// Copies the hint if it names a checkpoint that was copied; without one readers list the folder.
    fn hint(&mut self, folder: &LogFolder, from: &Path, to: &Path) -> io::Result<()> {
        let Some(Ok(version)) = folder.hint else { return Ok(()) };
        let prefix = format!("{ACTIVITIES}/{DELTA_LOG}");
        if !self.files.contains_key(&format!("{prefix}/{version:020}.checkpoint.parquet")) {
            return Ok(());
        }
        let path = format!("{prefix}/{LAST_CHECKPOINT}");
        let bytes = std::fs::read(folder.path.join(LAST_CHECKPOINT))?;
        let same = LogFolder::list(&from.join(ACTIVITIES))?.is_some_and(|now| now.hint == folder.hint);
        if same {
            let mut file = create_private(&to.join(&path))?;
            io::Write::write_all(&mut file, &bytes)?;
            file.sync_all()?;
            let sha256 = crate::domain::hex::hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes));
            self.files.insert(path.clone(), Entry { path, bytes: bytes.len() as u64, sha256 });
        }
        Ok(())
    }

    /// Copies the live files that are not copied yet; returns those that are not there.
    fn live_files(&mut self, from: &Path, to: &Path, state: &State, watch: &dyn Watch) -> io::Result<Vec<String>> {
        let mut missing = Vec::new();
        for add in state.live.values() {
            let path = format!("{ACTIVITIES}/{}", add.path);
            if self.files.contains_key(&path) || below(from, &path).is_none() {
                continue;
            }
            let expected = sha256_of(add);
            match self.copy(from, to, &path, watch)? {
                None => missing.push(add.path.clone()),
                Some(entry) if expected.is_some_and(|sha256| sha256 != entry.sha256) => {
                    let detail = "its bytes are not those that were written; it was copied as it is";
                    self.damage.push(Finding::at(Kind::FileChecksum, path, detail));
                }
                Some(_) => {}
            }
        }
        Ok(missing)
    }

    fn all_files(&mut self, from: &Path, to: &Path, watch: &dyn Watch) -> io::Result<Vec<String>> {
        for (path, _) in parquet_files(&from.join(ACTIVITIES))? {
            let path = format!("{ACTIVITIES}/{path}");
            if !self.files.contains_key(&path) {
                self.copy(from, to, &path, watch)?;
            }
        }
        Ok(Vec::new())
    }

    /// Deletes copies of files that the copied version does without.
    fn forget_replaced(&mut self, to: &Path, state: Option<&State>) -> io::Result<()> {
        let Some(state) = state else { return Ok(()) };
        let log = format!("{DELTA_LOG}/");
        let replaced: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(ACTIVITIES)?.strip_prefix('/'))
            .filter(|path| !path.starts_with(&log) && !state.live.contains_key(*path))
            .map(|path| format!("{ACTIVITIES}/{path}"))
            .collect();
        for path in replaced {
            std::fs::remove_file(to.join(&path))?;
            self.files.remove(&path);
        }
        Ok(())
    }

    fn evidence(&mut self, from: &Path, to: &Path, evidence: &[RecordedFile], watch: &dyn Watch) -> io::Result<()> {
        for recorded in evidence.iter().filter(|recorded| below(from, &recorded.file).is_some()) {
            match self.copy(from, to, &recorded.file, watch)? {
                None => self.lost_evidence.push(recorded.anomaly),
                Some(entry) if entry.sha256 != recorded.sha256 => {
                    let detail = "its bytes are not those that were written; it was copied as it is";
                    self.damage.push(Finding::at(Kind::EvidenceChecksum, &*recorded.file, detail));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
