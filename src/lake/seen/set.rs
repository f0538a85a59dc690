//! A set of ids with their times, larger than memory: the newest in a map, the others in sorted runs.
//!
//! When the map is full it becomes a run, together with the runs before it that are not larger than what is
//! merged so far. So each run is larger than all after it together, there are few of them (8 for six million ids),
//! and an id is rewritten once for each doubling.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::merged::{Merged, Source};
use super::run::{Look, Run};
use super::{Entry, IdHash};
use crate::domain::day::DAY_MS;
use crate::lake::layout::create_private_folder;

/// Ending of a run's file.
pub(super) const RUN_ENDING: &str = "run";

/// How much longer than necessary a run may keep its oldest id, in ms.
const OVERDUE_MS: i64 = 2 * DAY_MS;

/// Bytes of a place in the map, which is filled by half at least.
const PLACE_BYTES: usize = 29;

/// Ids and when they were stored. Memory: at most `most_waiting` ids at 29 to 58 bytes, 1.3 bytes for each of the
/// others. Disk: 24 bytes an id, twice that while runs are merged.
#[derive(Debug, Default)]
pub struct SeenSet {
    folder: PathBuf,
    /// Deletes the folder with the set.
    _temporary: Option<TemporaryFolder>,
    most_waiting: usize,
    waiting: HashMap<IdHash, i64>,
    /// From the largest to the smallest.
    pub(super) runs: Vec<Run>,
    /// Files that the set does not need any more.
    obsolete: Vec<PathBuf>,
}

impl SeenSet {
    /// An empty set whose runs go into this folder, which is made when there is one.
    #[must_use]
    pub fn new(folder: PathBuf, most_waiting: usize) -> Self {
        Self { folder, most_waiting, ..Self::default() }
    }

    /// As [`SeenSet::new`]; the folder is deleted with the set.
    #[must_use]
    pub fn temporary(folder: PathBuf, most_waiting: usize) -> Self {
        Self { _temporary: Some(TemporaryFolder(folder.clone())), ..Self::new(folder, most_waiting) }
    }

    /// Remembers an id; of two times the later. Says whether it is new among those in memory.
    pub fn insert(&mut self, id: IdHash, stored_ms: i64) -> bool {
        let before = self.waiting.len();
        let known = self.waiting.entry(id).or_insert(stored_ms);
        *known = stored_ms.max(*known);
        self.waiting.len() > before
    }

    /// Whether memory holds as much as it should: time to [`SeenSet::spill`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.most_waiting
    }

    pub(super) fn set_most_waiting(&mut self, most_waiting: usize) {
        self.most_waiting = most_waiting;
    }

    /// Ids, those that are in it several times counted as often.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.waiting.len() as u64 + self.runs.iter().map(|run| run.ids).sum::<u64>()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether ids wait in memory alone.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.waiting.capacity() * PLACE_BYTES + self.runs.iter().map(Run::memory).sum::<usize>()
    }

    /// Looks ids up.
    #[must_use]
    pub fn look(&self) -> SetLook<'_> {
        SetLook { set: self, runs: self.runs.iter().map(Look::into_run).collect() }
    }

    /// Hands every id to a function until that says false.
    ///
    /// # Errors
    /// Any I/O error of reading the runs, and those of the function.
    pub fn each<E: From<io::Error>>(&self, mut take: impl FnMut(IdHash) -> Result<bool, E>) -> Result<(), E> {
        for id in self.waiting.keys() {
            if !take(*id)? {
                return Ok(());
            }
        }
        for run in &self.runs {
            for entry in run.entries()? {
                if !take(entry?.0)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the two have an id in common.
    ///
    /// # Errors
    /// Any I/O error of reading the runs.
    pub fn meets(&self, other: &Self) -> io::Result<bool> {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        let (mut look, mut meets) = (many.look(), false);
        few.each(|id| {
            meets = look.newest(id)?.is_some();
            Ok::<_, io::Error>(!meets)
        })?;
        Ok(meets)
    }

    /// Writes what waits as a run, merged with others; leaves out what was stored at `forget_ms` or before. Nothing
    /// has changed when it fails.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn spill(&mut self, forget_ms: i64) -> io::Result<()> {
        let mut waiting: Vec<Entry> = self.waiting.iter().map(|(id, ms)| (*id, *ms)).collect();
        waiting.sort_unstable();
        let overdue = |run: &Run| run.times.0 < forget_ms.saturating_sub(OVERDUE_MS);
        let mut ids = waiting.len() as u64;
        let mut from = self.runs.len();
        while from > 0 && (self.runs[from - 1].ids <= ids || self.runs[..from].iter().any(overdue)) {
            from -= 1;
            ids += self.runs[from].ids;
        }
        let mut sources = vec![Source::Waiting(waiting.into_iter())];
        for run in self.runs[from..].iter().filter(|run| run.times.1 > forget_ms) {
            sources.push(Source::Run(run.entries()?));
        }
        create_private_folder(&self.folder)?;
        let path = self.folder.join(format!("{}.{RUN_ENDING}", Uuid::new_v4().simple()));
        let kept = Merged::new(sources)?.filter(|entry| entry.as_ref().map_or(true, |(_, ms)| *ms > forget_ms));
        let merged = Run::write(&path, ids, kept)?;
        self.obsolete.extend(self.runs.drain(from..).map(|run| run.path));
        if merged.ids > 0 {
            self.runs.push(merged);
        } else {
            self.obsolete.push(path);
        }
        self.waiting = HashMap::new();
        Ok(())
    }

    /// Deletes the files that are not needed any more. Call it when nothing names them.
    pub fn tidy(&mut self) {
        for path in self.obsolete.drain(..) {
            remove(&path);
        }
    }

    /// Forgets everything and deletes its files.
    pub(super) fn clear(&mut self) {
        self.waiting = HashMap::new();
        self.obsolete.extend(self.runs.drain(..).map(|run| run.path));
        self.tidy();
    }
}

#[derive(Debug)]
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.0.display(), %error, "could not delete temporary files of ids; the next start will");
        }
    }
}

/// Deletes a file of a cache; what stays is in nobody's way.
pub(super) fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "could not delete a file of ids that is not needed");
        }
        _ => {}
    }
}

/// Looks ids up in a set.
#[derive(Debug)]
pub struct SetLook<'s> {
    set: &'s SeenSet,
    runs: Vec<Look<'s>>,
}

impl SetLook<'_> {
    /// When the id was stored last, if it is there.
    ///
    /// # Errors
    /// Any I/O error of reading the runs.
    pub fn newest(&mut self, id: IdHash) -> io::Result<Option<i64>> {
        let mut newest = self.set.waiting.get(&id).copied();
        for run in &mut self.runs {
            newest = newest.max(run.find(id)?);
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> IdHash {
        IdHash::of(&n.to_string())
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Vec<(u16, i64)>),
        Spill(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => prop::collection::vec((0..200_u16, 0..20_i64), 0..60).prop_map(Step::Insert),
            3 => (-1..3_i64).prop_map(Step::Spill),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_map_to_the_latest_time_that_forgets(steps in prop::collection::vec(step(), 1..20)) {
            let dir = tempfile::tempdir().unwrap();
            let mut set = SeenSet::new(dir.path().join("a"), 10);
            let mut model: HashMap<u16, i64> = HashMap::new();
            let mut forgotten = i64::MIN;
            for step in steps {
                match step {
                    Step::Insert(ids) => for (n, ms) in ids {
                        set.insert(id(n), ms);
                        model.entry(n).and_modify(|known| *known = ms.max(*known)).or_insert(ms);
                    },
                    Step::Spill(ms) => {
                        forgotten = forgotten.max(ms);
                        set.spill(ms).unwrap();
                        set.tidy();
                        let files = std::fs::read_dir(dir.path().join("a")).unwrap().count();
                        prop_assert_eq!(files, set.runs.len());
                        prop_assert!(set.runs.windows(2).all(|pair| pair[0].ids > pair[1].ids));
                    }
                }
                let mut look = set.look();
                for n in 0..200 {
                    let (found, known) = (look.newest(id(n)).unwrap(), model.get(&n).copied());
                    // What may be forgotten may still be there, or an older time of it.
                    let fits = found == known || known <= Some(forgotten) && found <= known;
                    prop_assert!(fits, "{n}: {found:?} {known:?}");
                }
            }
        }

        #[test]
        fn sets_meet_where_they_share_an_id(a in prop::collection::btree_set(0..60_u16, 0..20),
                b in prop::collection::btree_set(0..60_u16, 0..20), spilled in any::<[bool; 2]>()) {
            let dir = tempfile::tempdir().unwrap();
            let set = |ids: &std::collections::BTreeSet<u16>, spilled, name| {
                let mut set = SeenSet::new(dir.path().join(name), 10);
                for n in ids { set.insert(id(*n), 1); }
                if spilled { set.spill(0).unwrap(); }
                set
            };
            let (of_a, of_b) = (set(&a, spilled[0], "a"), set(&b, spilled[1], "b"));
            prop_assert_eq!(of_a.meets(&of_b).unwrap(), !a.is_disjoint(&b));
        }
    }

    #[test]
    fn an_overdue_run_is_written_anew_however_large_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = SeenSet::new(dir.path().to_owned(), 10);
        (0..100).for_each(|n| assert!(set.insert(id(n), i64::from(n) * DAY_MS)));
        set.spill(i64::MIN).unwrap();
        set.insert(id(1_000), 100 * DAY_MS);
        set.spill(DAY_MS).unwrap();
        assert_eq!(set.runs.iter().map(|run| run.ids).collect::<Vec<_>>(), [100, 1], "not overdue yet");
        set.insert(id(1_001), 100 * DAY_MS);
        set.spill(9 * DAY_MS).unwrap();
        assert_eq!(set.runs.iter().map(|run| run.ids).collect::<Vec<_>>(), [92]);
        set.spill(200 * DAY_MS).unwrap();
        assert!(set.is_empty());
    }
}
