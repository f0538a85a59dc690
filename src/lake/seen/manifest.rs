//! What an index on disk consists of: the runs, and the place in the table's log up to which they tell all.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::run::Run;
use crate::domain::hex::hex;

/// Name of its file.
pub(super) const MANIFEST: &str = "index";

/// Name while it is written.
const HALF_WRITTEN: &str = "index.part";

/// Form of the files; an index of another form is made anew.
const FORMAT: u32 = 1;

/// A place in the log of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Version of the table.
    pub(super) version: u64,
    /// Digest of the version's log entry, so that another table's or another history's is not taken for it.
    pub(super) entry: [u8; 32],
}

/// The content of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) place: Place,
    /// Ids that were stored after this time are all there, ms since epoch.
    pub(super) whole_after_ms: i64,
    pub(super) runs: Vec<RunEntry>,
}

/// A run by its file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunEntry {
    /// Name in the folder.
    pub(super) file: String,
    pub(super) ids: u64,
    pub(super) sha256: [u8; 32],
}

impl Manifest {
    pub(super) fn new(place: Place, whole_after_ms: i64, runs: &[Run]) -> Self {
        let entry = |run: &Run| {
            let file = run.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            RunEntry { file, ids: run.ids, sha256: run.sha256 }
        };
        Self { format: FORMAT, place, whole_after_ms, runs: runs.iter().map(entry).collect() }
    }

    /// Writes it in the place of the one before: the moment from which the folder's runs are these. A line with the
    /// digest of the rest comes first, because nothing is synced.
    ///
    /// # Errors
    /// Any I/O error; the one before holds then.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_string(self)?;
        let digest = hex(&Sha256::digest(text.as_bytes()));
        let part = folder.join(HALF_WRITTEN);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(format!("{digest}\n{text}").as_bytes())?;
        drop(file);
        std::fs::rename(part, folder.join(MANIFEST))
    }

    /// Reads it; none when there is none, or none that can be used.
    ///
    /// # Errors
    /// Any I/O error but that there is none.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let content = match std::fs::read(folder.join(MANIFEST)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            content => content?,
        };
        let Some(at) = content.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let (digest, text) = (&content[..at], &content[at + 1..]);
        if digest != hex(&Sha256::digest(text)).as_bytes() {
            return Ok(None);
        }
        let manifest: Option<Self> = serde_json::from_slice(text).ok();
        Ok(manifest.filter(|manifest| manifest.format == FORMAT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_written_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let place = Place { version: 7, entry: [3; 32] };
        let runs = vec![RunEntry { file: "a.run".to_owned(), ids: 5, sha256: [1; 32] }];
        let manifest = Manifest { format: FORMAT, place, whole_after_ms: -5, runs };
        manifest.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap().as_ref(), Some(&manifest));
        let path = dir.path().join(MANIFEST);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for torn in [&whole[..at], &flipped] {
                std::fs::write(&path, torn).unwrap();
                assert_eq!(Manifest::read(dir.path()).unwrap(), None, "byte {at}");
            }
        }
        Manifest { format: FORMAT + 1, ..manifest }.write(dir.path()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
    }
}
