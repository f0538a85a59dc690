//! The log of a table: whole, unchanged, and in agreement with its checkpoints.

use std::io;
use std::path::Path;

use super::checkpoint::{CheckpointError, read_checkpoint};
use super::finding::{Finding, Kind};
use super::log_folder::{DELTA_LOG, LAST_CHECKPOINT, LogFolder};
use super::replay::{State, read_entry};
use crate::lake::layout::ACTIVITIES;

/// Upkeep may delete old entries and checkpoints while they are read; then the log is read anew, so often.
const TRIES: usize = 5;

/// A log as far as it could be read.
#[derive(Debug, Default)]
pub struct Log {
    /// The newest version; none for a table without a log.
    pub version: Option<u64>,
    /// State at that version; none when the log does not give one.
    pub state: Option<State>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// The path of an entry of the log below the tenant's folder.
fn entry_path(version: u64, suffix: &str) -> String {
    format!("{ACTIVITIES}/{DELTA_LOG}/{version:020}{suffix}")
}

impl Log {
    /// Reads the log of the table in this folder: every entry and every checkpoint, each checkpoint compared with
    /// what the entries before it give.
    ///
    /// Beside a writer it gives the state of some moment during the call, or a later one.
    ///
    /// # Errors
    /// Any I/O error but of files that upkeep deletes meanwhile.
    pub fn read(table: &Path) -> io::Result<Self> {
        Self::read_up_to(table, u64::MAX)
    }

    /// As [`Log::read`], without the versions after `last`.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub fn read_up_to(table: &Path, last: u64) -> io::Result<Self> {
        let mut tries = 1;
        loop {
            let Some(mut folder) = LogFolder::list(table)? else { return Ok(Self::default()) };
            let beyond = last.saturating_add(1);
            drop((folder.commits.split_off(&beyond), folder.checkpoints.split_off(&beyond)));
            match Pass::over(&folder).run() {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
                read => return read,
            }
        }
    }
}

/// One reading of a log's folder.
struct Pass<'a> {
    folder: &'a LogFolder,
    findings: Vec<Finding>,
    /// State at the version before the one that is looked at; none where versions are missing.
    state: Option<State>,
    /// Versions without an entry.
    missing: Vec<u64>,
    /// The newest checkpoint that could be read.
    checkpoint: Option<u64>,
}

impl<'a> Pass<'a> {
    fn over(folder: &'a LogFolder) -> Self {
        Self { folder, findings: Vec::new(), state: Some(State::default()), missing: Vec::new(), checkpoint: None }
    }

    fn run(mut self) -> io::Result<Log> {
        let Some(newest) = self.folder.newest() else { return Ok(Log::default()) };
        let oldest = [self.folder.commits.keys().next(), self.folder.checkpoints.keys().next()];
        let oldest = oldest.into_iter().flatten().copied().min().unwrap_or(0);
        if oldest > 0 {
            // Earlier entries were cleaned up, if a checkpoint stands for them.
            self.state = None;
        }
        for version in oldest..=newest {
            self.commit(version)?;
            self.checkpoint(version)?;
        }
        if oldest > 0 && self.checkpoint.is_none() {
            self.missing.insert(0, oldest - 1);
        }
        self.gaps(newest);
        self.hint()?;
        Ok(Log { version: Some(newest), state: self.state, findings: self.findings })
    }

    fn commit(&mut self, version: u64) -> io::Result<()> {
        let Some(path) = self.folder.commits.get(&version) else {
            self.missing.push(version);
            self.state = None;
            return Ok(());
        };
        let name = || entry_path(version, ".json");
        match read_entry(&std::fs::read(path)?) {
            Ok(entry) => {
                self.findings.extend(entry.changed.map(|how| Finding::at(Kind::LogChanged, name(), how)));
                if let Some(state) = &mut self.state {
                    state.apply(entry.actions);
                }
            }
            Err(why) => {
                self.findings.push(Finding::at(Kind::LogUnreadable, name(), why));
                self.state = None;
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, version: u64) -> io::Result<()> {
        let Some(path) = self.folder.checkpoints.get(&version) else { return Ok(()) };
        let name = || entry_path(version, ".checkpoint.parquet");
        match read_checkpoint(path) {
            Ok(held) => {
                self.checkpoint = Some(version);
                match &self.state {
                    None => self.state = Some(held),
                    Some(state) => {
                        let differences = state.differences(&held);
                        if !differences.is_empty() {
                            let detail = summary(&differences);
                            self.findings.push(Finding::at(Kind::CheckpointDiffers, name(), detail));
                        }
                    }
                }
            }
            Err(CheckpointError::Open(error)) => return Err(error),
            Err(CheckpointError::Unreadable(why)) => {
                self.findings.push(Finding::at(Kind::CheckpointUnreadable, name(), why));
            }
        }
        Ok(())
    }

    /// Tells of missing versions: a readable checkpoint stands for those up to its own.
    fn gaps(&mut self, newest: u64) {
        for version in std::mem::take(&mut self.missing) {
            if self.checkpoint.is_some_and(|checkpoint| version <= checkpoint) {
                let detail = "this entry is missing; a later checkpoint stands for it";
                self.findings.push(Finding::at(Kind::OldLogGap, entry_path(version, ".json"), detail));
            } else {
                let detail = format!("this entry is missing; the log goes on to version {newest}");
                self.findings.push(Finding::at(Kind::LogGap, entry_path(version, ".json"), detail));
            }
        }
    }

    fn hint(&mut self) -> io::Result<()> {
        let path = format!("{ACTIVITIES}/{DELTA_LOG}/{LAST_CHECKPOINT}");
        match &self.folder.hint {
            Some(Err(why)) => {
                self.findings.push(Finding::at(Kind::CheckpointUnreadable, path, format!("no hint: {why}")));
            }
            // One beyond what is looked at, or that was replaced since, is looked at anew.
            Some(Ok(version)) if !self.folder.checkpoints.contains_key(version) => {
                let file = format!("{version:020}.checkpoint.parquet");
                if !self.folder.path.join(&file).try_exists()? && !self.is_replaced()? {
                    let detail = format!("it names the checkpoint {file}, which is not there");
                    self.findings.push(Finding::at(Kind::CheckpointMissing, path, detail));
                }
            }
            Some(Ok(_)) | None => {}
        }
        Ok(())
    }

    fn is_replaced(&self) -> io::Result<bool> {
        let table = self.folder.path.parent().unwrap_or(&self.folder.path);
        Ok(LogFolder::list(table)?.is_none_or(|now| now.hint != self.folder.hint))
    }
}

/// The first few of many.
fn summary(differences: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = differences.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
    match differences.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown}; and {more} more"),
        _ => shown,
    }
}
