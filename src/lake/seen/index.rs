//! The index of one tenant and source: a set of ids and a place in the table's log.

use std::io;
use std::path::{Path, PathBuf};

use super::manifest::{MANIFEST, Manifest, Place};
use super::rows::{Change, ids_of_file, log_entry};
use super::run::Run;
use super::set::{RUN_ENDING, SeenSet, SetLook, remove};
use super::{IdHash, KEPT_MS, WINDOW_MS};
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;
use crate::lake::upkeep::live::LiveFile;

/// How many ids an index keeps in memory before they become a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct MostWaiting {
    pub(super) usually: usize,
    /// While it is made anew, so that fewer runs are merged.
    pub(super) anew: usize,
}

impl Default for MostWaiting {
    /// 2 MB, and for a moment 14 MB.
    fn default() -> Self {
        Self { usually: 50_000, anew: 400_000 }
    }
}

/// The index.
#[derive(Debug)]
pub(super) struct SeenIndex {
    folder: PathBuf,
    source: String,
    set: SeenSet,
    most_waiting: MostWaiting,
    /// Up to where the set holds all ids; none before it was made.
    place: Option<Place>,
    /// The place that is written down.
    saved: Option<Place>,
    /// Whether the place was compared with the table's log.
    compared: bool,
    /// Ids that were stored after this time are all there, ms since epoch.
    whole_after_ms: i64,
    /// Changes so far.
    changes: u64,
}

impl SeenIndex {
    /// What there is on disk. Reads all of it.
    ///
    /// # Errors
    /// Any I/O error but of damaged or missing files: without them the index is empty.
    pub(super) fn open(folder: PathBuf, source: &str, most_waiting: MostWaiting) -> Result<Self, LakeError> {
        let mut index = Self {
            set: SeenSet::new(folder.clone(), most_waiting.usually),
            folder,
            source: source.to_owned(),
            most_waiting,
            place: None,
            saved: None,
            compared: false,
            whole_after_ms: i64::MAX,
            changes: 0,
        };
        if let Some(manifest) = Manifest::read(&index.folder)? {
            index.take_over(manifest)?;
        }
        index.sweep()?;
        Ok(index)
    }

    fn take_over(&mut self, manifest: Manifest) -> io::Result<()> {
        for run in manifest.runs {
            match Run::open(&self.folder.join(&run.file), run.ids, run.sha256) {
                Ok(run) => self.set.runs.push(run),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                    tracing::warn!(folder = %self.folder.display(), %error, "an index of ids is made anew");
                    self.set.runs.clear();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.place = Some(manifest.place);
        self.saved = self.place;
        self.whole_after_ms = manifest.whole_after_ms;
        Ok(())
    }

    /// Deletes what a crash left.
    fn sweep(&self) -> io::Result<()> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let is_run = path.extension().is_some_and(|ending| ending == RUN_ENDING);
            if is_run && !self.set.runs.iter().any(|run| run.path == path) {
                remove(&path);
            }
        }
        Ok(())
    }

    /// Brings the index to the newest committed version of the table, so that every row stored in the window before
    /// `now_ms` is known. Cost: reads the ids of the files added since; of all files with rows of the last 8 days when
    /// there is nothing to go on from, when rows were taken away, or when the clock was set back by more than a day.
    ///
    /// # Errors
    /// When the table cannot be read or a run not written. The index stays usable: a later call goes on.
    pub(super) fn catch_up(&mut self, table: &ActivityTable, now_ms: i64) -> Result<(), LakeError> {
        let is_whole = self.whole_after_ms <= now_ms.saturating_sub(WINDOW_MS);
        if is_whole && self.compared && self.place.is_some_and(|place| place.version >= table.version()) {
            return Ok(());
        }
        // Before the version is looked at: vacuum deletes nothing that is live in it.
        let _reading = table.file_use().read();
        if is_whole && self.follow(table, now_ms)? { Ok(()) } else { self.make(table, now_ms) }
    }

    /// Takes in the commits since; false when the index has to be made anew.
    fn follow(&mut self, table: &ActivityTable, now_ms: i64) -> Result<bool, LakeError> {
        let Some(mut place) = self.place else { return Ok(false) };
        let newest = table.version();
        if !self.compared {
            let entry = if place.version <= newest { log_entry(table.local_folder(), place.version)? } else { None };
            if entry.is_none_or(|(digest, _)| digest != place.entry) {
                return Ok(false);
            }
            self.compared = true;
        }
        while place.version < newest {
            let version = place.version + 1;
            let Some((entry, Change::Added(files))) = log_entry(table.local_folder(), version)? else {
                return Ok(false);
            };
            for file in files {
                match self.read(table, &file, now_ms) {
                    // Replaced and deleted by now: its rows are in another file.
                    Err(LakeError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    read => read?,
                }
            }
            place = Place { version, entry };
            self.place = Some(place);
        }
        Ok(true)
    }

    /// Makes the index anew from the files that are live.
    fn make(&mut self, table: &ActivityTable, now_ms: i64) -> Result<(), LakeError> {
        self.forget();
        let forget_ms = now_ms.saturating_sub(KEPT_MS);
        let (snapshot, version) = table.snapshot();
        self.set.set_most_waiting(self.most_waiting.anew);
        for file in snapshot.snapshot()?.log_data().iter() {
            #[expect(deprecated, reason = "as upkeep does")]
            let file = LiveFile::of(&file.add_action())?;
            if file.newest_ms > forget_ms {
                self.read(table, &file.path, now_ms)?;
            }
        }
        self.set.set_most_waiting(self.most_waiting.usually);
        self.whole_after_ms = forget_ms;
        // Without the entry the place could not be recognised later; then the index is made anew each time.
        let entry = log_entry(table.local_folder(), version)?.map_or([0; 32], |(digest, _)| digest);
        self.place = Some(Place { version, entry });
        self.compared = true;
        tracing::debug!(tenant = %table.tenant(), source = self.source, version, ids = self.set.len(), "made an index of ids");
        if self.set.is_full() { self.save(now_ms) } else { Ok(()) }
    }

    fn read(&mut self, table: &ActivityTable, file: &str, now_ms: i64) -> Result<(), LakeError> {
        self.changes += 1;
        let source = self.source.clone();
        ids_of_file(table.local_folder(), file, &source, &mut |id, stored_ms| {
            self.set.insert(id, stored_ms);
            if self.set.is_full() { self.save(now_ms) } else { Ok(()) }
        })
    }

    /// Whether ids were stored in the window before `now_ms`.
    pub(super) fn look(&self, now_ms: i64) -> IndexLook<'_> {
        IndexLook { set: self.set.look(), after_ms: now_ms.saturating_sub(WINDOW_MS) }
    }

    /// Counts what may have made ids known.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        self.set.memory()
    }

    /// Writes down what waits in memory. A crash before it is done leaves what was there before.
    ///
    /// # Errors
    /// Any I/O error; nothing is lost then.
    pub(super) fn save(&mut self, now_ms: i64) -> Result<(), LakeError> {
        if self.set.is_empty() || (!self.set.has_waiting() && self.saved == self.place) {
            return Ok(());
        }
        if self.set.has_waiting() {
            let forget_ms = now_ms.saturating_sub(KEPT_MS);
            // Before anything is forgotten, also if the rest fails. While it is made anew nothing is whole anyway.
            self.whole_after_ms = self.whole_after_ms.max(forget_ms);
            self.set.spill(forget_ms)?;
        }
        if let Some(place) = self.place.filter(|_| self.whole_after_ms != i64::MAX) {
            Manifest::new(place, self.whole_after_ms, &self.set.runs).write(&self.folder)?;
            self.saved = Some(place);
        }
        self.set.tidy();
        Ok(())
    }

    /// Forgets everything, in memory and on disk.
    pub(super) fn forget(&mut self) {
        self.changes += 1;
        (self.place, self.saved) = (None, None);
        self.whole_after_ms = i64::MAX;
        remove(&self.folder.join(MANIFEST));
        self.set.clear();
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Looks ids up in an index.
#[derive(Debug)]
pub(super) struct IndexLook<'i> {
    set: SetLook<'i>,
    after_ms: i64,
}

impl IndexLook<'_> {
    /// Whether the id was stored in the window.
    ///
    /// # Errors
    /// Any I/O error of reading the runs.
    pub(super) fn was_stored(&mut self, id: IdHash) -> io::Result<bool> {
        Ok(self.set.newest(id)?.is_some_and(|stored_ms| stored_ms > self.after_ms))
    }
}
