//! Which files of a tenant somebody may still need: queries that run, and writes not yet committed.
//!
//! Vacuum asks here and not a clock: a clock may step, and a query's deadline is a setting. One value per
//! tenant outlives the table's handle, so that closing and opening a table forgets nothing. What an earlier
//! process read or wrote nobody needs any more.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files of one tenant that are in use.
#[derive(Debug, Default)]
pub struct FileUse(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Number of the next reader.
    next: u64,
    /// Numbers of the readers that are open.
    readers: BTreeSet<u64>,
    /// Files that left the newest snapshot, with the number of the first reader that cannot have seen them.
    retired: HashMap<String, u64>,
    /// Files on disk that a commit may still name.
    uncommitted: HashSet<String>,
    /// Writes under way whose files are not known yet.
    writes: usize,
}

/// A write under way: its files may be on disk already, and nobody knows their names.
#[derive(Debug)]
pub(super) struct Writing(Arc<FileUse>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.lock().writes -= 1;
    }
}

/// What may still be committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uncommitted {
    /// Files that wait for their commit.
    pub files: HashSet<String>,
    /// Whether a write is under way, so that files which nothing names may be its own.
    pub writing: bool,
}

/// A reader: as long as it lives, no file is deleted that was live when it began, or later.
#[derive(Debug)]
pub struct Reader {
    files: Arc<FileUse>,
    number: u64,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.files.lock().readers.remove(&self.number);
    }
}

impl FileUse {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to read. Call it before taking the snapshot that is read.
    #[must_use]
    pub fn read(self: &Arc<Self>) -> Reader {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.readers.insert(number);
        Reader { files: Arc::clone(self), number }
    }

    /// How many readers there are.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.lock().readers.len()
    }

    /// Says that these files are about to leave the newest snapshot: until [`FileUse::retire`] tells when, every reader
    /// may see them.
    pub(super) fn retiring<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        self.lock().retired.extend(paths.into_iter().map(|path| (path.to_owned(), u64::MAX)));
    }

    /// Says that readers that begin from now on do not see these files. Saying it again changes nothing.
    pub fn retire<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        let mut state = self.lock();
        let next = state.next;
        for path in paths {
            let first_blind = state.retired.entry(path.to_owned()).or_insert(next);
            *first_blind = next.min(*first_blind);
        }
    }

    /// Whether a reader is open that began before the file was retired. A file that was never retired is
    /// read by nobody if it is not live.
    #[must_use]
    pub fn may_be_read(&self, path: &str) -> bool {
        let state = self.lock();
        let oldest = state.readers.first().copied();
        state.retired.get(path).zip(oldest).is_some_and(|(first_blind, oldest)| oldest < *first_blind)
    }

    /// Says that the file was deleted.
    pub fn deleted(&self, path: &str) {
        self.lock().retired.remove(path);
    }

    /// Begins to write files; they are named with [`FileUse::written`] before the value is dropped.
    pub(super) fn writing(self: &Arc<Self>) -> Writing {
        self.lock().writes += 1;
        Writing(Arc::clone(self))
    }

    /// Says that files are on disk and wait for their commit.
    pub(super) fn written<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        self.lock().uncommitted.extend(paths.into_iter().map(str::to_owned));
    }

    /// Says that files were committed, or deleted instead.
    pub(super) fn settled<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        let mut state = self.lock();
        for path in paths {
            state.uncommitted.remove(path);
        }
    }

    /// What may still be committed. Ask after listing the folder, and before taking the snapshot that tells what is
    /// live: a file committed in between would look like garbage.
    #[must_use]
    pub fn uncommitted(&self) -> Uncommitted {
        let state = self.lock();
        Uncommitted { files: state.uncommitted.clone(), writing: state.writes > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_file_is_kept_for_those_who_began_before() {
        let files = Arc::new(FileUse::default());
        let (early, late);
        early = files.read();
        files.retire(["a"]);
        late = files.read();
        files.retire(["a", "b"]);
        assert_eq!((files.may_be_read("a"), files.may_be_read("b"), files.may_be_read("c")), (true, true, false));
        drop(early);
        assert_eq!((files.may_be_read("a"), files.may_be_read("b")), (false, true));
        drop(late);
        assert_eq!((files.may_be_read("b"), files.readers()), (false, 0));
        files.deleted("b");
        let again = files.read();
        files.retiring(["d"]);
        let in_between = files.read();
        assert!(files.may_be_read("d"));
        files.retire(["d"]);
        drop((again, in_between));
        assert!(!files.may_be_read("d"));
        let _once_more = files.read();
        files.retire(["b"]);
        assert!(files.may_be_read("b"), "the same name once more");
    }

    #[test]
    fn a_file_waits_for_its_commit_until_it_is_settled() {
        let files = Arc::new(FileUse::default());
        let writing = files.writing();
        assert!(files.uncommitted().writing);
        files.written(["a", "b"]);
        drop(writing);
        files.settled(["a"]);
        assert_eq!(files.uncommitted(), Uncommitted { files: HashSet::from(["b".to_owned()]), writing: false });
    }
}
