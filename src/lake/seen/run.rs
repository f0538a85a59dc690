//! A sorted run of ids on disk: entries of 24 bytes, hash and time, in ascending order of the hash.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::filter::Filter;
use super::{Entry, HASH_BYTES, IdHash};

/// Bytes of an entry.
const ENTRY_BYTES: usize = HASH_BYTES + 8;

/// Entries between two hashes that are kept in memory; what one look reads.
const BLOCK_ENTRIES: usize = 256;

/// Bytes that are read or written at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// A run. Its file is opened only while it is read, so that many runs need no open files.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) path: PathBuf,
    pub(super) ids: u64,
    /// Digest of the file.
    pub(super) sha256: [u8; 32],
    /// Time of the oldest and of the newest entry, ms since epoch.
    pub(super) times: (i64, i64),
    filter: Filter,
    /// The first hash of each block.
    fences: Vec<IdHash>,
}

/// Collects what a run keeps in memory.
struct Summary {
    run: Run,
    hasher: Sha256,
    last: Option<IdHash>,
}

impl Summary {
    fn new(path: &Path, expected: u64) -> Self {
        let (filter, fences) = (Filter::new(expected), Vec::new());
        let path = path.to_owned();
        let run = Run { path, ids: 0, sha256: [0; 32], times: (i64::MAX, i64::MIN), filter, fences };
        Self { run, hasher: Sha256::new(), last: None }
    }

    fn add(&mut self, (hash, ms): Entry, bytes: &[u8; ENTRY_BYTES]) -> io::Result<()> {
        if self.last.is_some_and(|last| last >= hash) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a run of ids is not sorted"));
        }
        self.last = Some(hash);
        self.hasher.update(bytes);
        if self.run.ids.is_multiple_of(BLOCK_ENTRIES as u64) {
            self.run.fences.push(hash);
        }
        self.run.filter.insert(hash);
        self.run.ids += 1;
        self.run.times = (self.run.times.0.min(ms), self.run.times.1.max(ms));
        Ok(())
    }

    fn finish(mut self) -> Run {
        self.run.sha256.copy_from_slice(&self.hasher.finalize());
        self.run
    }
}

fn encode((hash, ms): Entry) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..HASH_BYTES].copy_from_slice(&hash.to_bytes());
    bytes[HASH_BYTES..].copy_from_slice(&ms.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Entry {
    let (mut hash, mut ms) = ([0; HASH_BYTES], [0; 8]);
    hash.copy_from_slice(&bytes[..HASH_BYTES]);
    ms.copy_from_slice(&bytes[HASH_BYTES..ENTRY_BYTES]);
    (IdHash::from_bytes(hash), i64::from_be_bytes(ms))
}

impl Run {
    /// Writes a run of ascending entries, at most about `expected` of them. It is not synced.
    ///
    /// # Errors
    /// Any I/O error, also of the entries; the file is deleted then.
    pub(super) fn write(
        path: &Path,
        expected: u64,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<Self> {
        let written = Self::try_write(path, expected, entries);
        if written.is_err()
            && let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "could not delete half a run of ids; the next start of it will");
        }
        written
    }

    fn try_write(path: &Path, expected: u64, entries: impl Iterator<Item = io::Result<Entry>>) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        let mut summary = Summary::new(path, expected);
        for entry in entries {
            let entry = entry?;
            let bytes = encode(entry);
            summary.add(entry, &bytes)?;
            file.write_all(&bytes)?;
        }
        file.flush()?;
        Ok(summary.finish())
    }

    /// Opens a run of which number and digest are known. Reads all of it.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it is not what was written, and any other I/O error.
    pub(super) fn open(path: &Path, ids: u64, sha256: [u8; 32]) -> io::Result<Self> {
        let mut summary = Summary::new(path, ids);
        for entry in Entries::open(path)? {
            let entry = entry?;
            summary.add(entry, &encode(entry))?;
        }
        let run = summary.finish();
        if run.ids != ids || run.sha256 != sha256 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a run of ids is damaged"));
        }
        Ok(run)
    }

    /// All entries in ascending order.
    pub(super) fn entries(&self) -> io::Result<Entries> {
        Entries::open(&self.path)
    }

    /// Bytes in memory.
    pub(super) fn memory(&self) -> usize {
        self.filter.bytes() + self.fences.len() * size_of::<IdHash>()
    }
}

/// Looks ids up in a run. The file is opened by the first id that passes the filter.
#[derive(Debug)]
pub(super) struct Look<'r> {
    run: &'r Run,
    file: Option<File>,
    /// Which block `bytes` holds.
    block: Option<usize>,
    bytes: Vec<u8>,
}

impl<'r> Look<'r> {
    pub(super) fn into_run(run: &'r Run) -> Self {
        Self { run, file: None, block: None, bytes: Vec::new() }
    }

    /// When the id was stored, if the run holds it. Cost: one read of 6 KiB unless it was the block of the id before.
    ///
    /// # Errors
    /// Any I/O error.
    pub(super) fn find(&mut self, id: IdHash) -> io::Result<Option<i64>> {
        if !self.run.filter.may_hold(id) {
            return Ok(None);
        }
        let Some(block) = self.run.fences.partition_point(|first| *first <= id).checked_sub(1) else {
            return Ok(None);
        };
        if self.block != Some(block) {
            self.read(block)?;
        }
        let (entries, _) = self.bytes.as_chunks::<ENTRY_BYTES>();
        let found = entries.binary_search_by(|entry| decode(entry).0.cmp(&id));
        Ok(found.ok().map(|at| decode(&entries[at]).1))
    }

    fn read(&mut self, block: usize) -> io::Result<()> {
        self.block = None;
        let first = (block * BLOCK_ENTRIES) as u64;
        let entries = (self.run.ids - first).min(BLOCK_ENTRIES as u64);
        self.bytes.resize(usize::try_from(entries).unwrap_or(0) * ENTRY_BYTES, 0);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.run.path)?),
        };
        file.read_exact_at(&mut self.bytes, first * ENTRY_BYTES as u64)?;
        self.block = Some(block);
        Ok(())
    }
}

/// Entries of a run from its file.
#[derive(Debug)]
pub(super) struct Entries(BufReader<File>);

impl Entries {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?)))
    }
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        use std::io::BufRead;
        match self.0.fill_buf() {
            Ok([]) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let mut bytes = [0; ENTRY_BYTES];
        Some(self.0.read_exact(&mut bytes).map(|()| decode(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: u32) -> Vec<Entry> {
        let mut entries: Vec<_> = (0..n).map(|i| (IdHash::of(&i.to_string()), i64::from(i) - 5)).collect();
        entries.sort_unstable();
        entries
    }

    #[test]
    fn what_is_written_is_found_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for n in [1, 255, 256, 257, 5_000] {
            let path = dir.path().join(n.to_string());
            let entries = entries(n);
            let run = Run::write(&path, u64::from(n), entries.iter().map(|e| Ok(*e))).unwrap();
            assert_eq!((run.ids, run.times), (u64::from(n), (-5, i64::from(n) - 6)));
            assert_eq!(std::fs::metadata(&path).unwrap().len(), 24 * u64::from(n));
            let again = Run::open(&path, run.ids, run.sha256).unwrap();
            assert_eq!(again.entries().unwrap().collect::<io::Result<Vec<_>>>().unwrap(), entries);
            for run in [&run, &again] {
                let mut look = Look::into_run(run);
                assert!((0..n).all(|i| look.find(IdHash::of(&i.to_string())).unwrap() == Some(i64::from(i) - 5)));
                assert!((n..n + 500).all(|i| look.find(IdHash::of(&i.to_string())).unwrap().is_none()));
            }
        }
    }

    #[test]
    fn a_run_that_is_not_as_written_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let run = Run::write(&path, 300, entries(300).into_iter().map(Ok)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[4_000] ^= 1;
        for torn in [&whole[..whole.len() - 1], &whole[..24 * 256], &[], &flipped] {
            std::fs::write(&path, torn).unwrap();
            Run::open(&path, run.ids, run.sha256).unwrap_err();
        }
        std::fs::write(&path, whole).unwrap();
        Run::open(&path, run.ids, run.sha256).unwrap();
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let sorted = entries(3);
        for bad in [vec![sorted[1], sorted[0]], vec![sorted[0], sorted[0]]] {
            Run::write(&path, 2, bad.into_iter().map(Ok)).unwrap_err();
            assert!(!path.exists());
        }
    }
}
