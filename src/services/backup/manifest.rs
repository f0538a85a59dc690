//! The list of a backup's files: written last, so that a backup without it is none.
//!
//! `manifest.ndjson`: a line about the backup, a line for each file, and a last line with the SHA-256 of all lines
//! before it, so that a list that was cut or changed is not believed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RestoreError;
use crate::domain::hex::hex;
use crate::lake::check::{Amount, below};
use crate::registry::DATA_FORMAT;

/// Name of the list in the backup's folder.
pub const MANIFEST: &str = "manifest.ndjson";

/// Version of the backup's form that this program writes, and the newest that it reads.
const FORM: u32 = 1;

/// What a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// Version of the backup's form.
    pub(super) anomalake_backup: u32,
    /// Version of the data format in it.
    pub(super) data_format: i64,
    /// Version of the program that made it.
    pub(super) program: String,
    /// When it was begun, ms since epoch: everything that was acknowledged before is in it.
    pub(super) created_at_ms: i64,
}

/// A file of the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Path below the backup's folder.
    pub(super) path: String,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// SHA-256 of its bytes, hexadecimal.
    pub(super) sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct End {
    files: u64,
    bytes: u64,
    sha256: String,
}

impl About {
    pub(super) fn now(created_at_ms: i64) -> Self {
        let program = env!("CARGO_PKG_VERSION").to_owned();
        Self { anomalake_backup: FORM, data_format: DATA_FORMAT, program, created_at_ms }
    }
}

/// A list that is being written.
#[derive(Debug)]
pub(super) struct ManifestWriter {
    file: BufWriter<File>,
    part: PathBuf,
    digest: Sha256,
    /// What is listed so far.
    pub(super) amount: Amount,
}

impl ManifestWriter {
    pub(super) fn create(backup: &Path, about: &About) -> io::Result<Self> {
        let part = backup.join(format!("{MANIFEST}.part"));
        let file = BufWriter::new(super::copy::create_private(&part)?);
        let mut writer = Self { file, part, digest: Sha256::new(), amount: Amount::default() };
        writer.line(about)?;
        Ok(writer)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.digest.update(&line);
        self.file.write_all(&line)
    }

    pub(super) fn add(&mut self, entry: &Entry) -> io::Result<()> {
        self.amount.add(entry.bytes);
        self.line(entry)
    }

    /// Makes the list durable and visible under its name. Every file in it must be durable before.
    pub(super) fn publish(mut self, backup: &Path) -> io::Result<Amount> {
        let sha256 = hex(&std::mem::take(&mut self.digest).finalize());
        let end = End { files: self.amount.files, bytes: self.amount.bytes, sha256 };
        self.line(&end)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&self.part, backup.join(MANIFEST))?;
        File::open(backup)?.sync_all()?;
        Ok(self.amount)
    }
}

/// A list as it was read: whole and unchanged.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) about: About,
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: u64,
}

impl Manifest {
    pub(super) fn read(backup: &Path) -> Result<Self, RestoreError> {
        let path = backup.join(MANIFEST);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RestoreError::NoBackup(path)),
            file => file?,
        };
        let mut lines = BufReader::new(file);
        let mut digest = Sha256::new();
        let mut line = Vec::new();
        let mut next = |line: &mut Vec<u8>| -> io::Result<bool> {
            line.clear();
            Ok(lines.read_until(b'\n', line)? > 0 && line.ends_with(b"\n"))
        };
        let bad = |why: &str| RestoreError::BadManifest { path: path.clone(), why: why.to_owned() };
        if !next(&mut line)? {
            return Err(bad("it is empty"));
        }
        let about: About = serde_json::from_slice(&line).map_err(|error| bad(&error.to_string()))?;
        if about.anomalake_backup > FORM || about.data_format > DATA_FORMAT {
            return Err(RestoreError::Newer { program: about.program });
        }
        digest.update(&line);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        loop {
            if !next(&mut line)? {
                return Err(bad("it ends too early"));
            }
            if let Ok(entry) = serde_json::from_slice::<Entry>(&line) {
                if below(backup, &entry.path).is_none() {
                    return Err(bad(&format!("it names a file outside of the backup, {}", entry.path)));
                }
                digest.update(&line);
                bytes += entry.bytes;
                entries.push(entry);
                continue;
            }
            let end: End = serde_json::from_slice(&line).map_err(|error| bad(&error.to_string()))?;
            if end.sha256 != hex(&digest.finalize()) || end.files != entries.len() as u64 {
                return Err(bad("it is not as it was written"));
            }
            return Ok(Self { about, entries, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry { path: path.to_owned(), bytes: 5, sha256: "x".to_owned() }
    }

    fn written(paths: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut manifest = ManifestWriter::create(dir.path(), &About::now(7)).unwrap();
        for path in paths {
            manifest.add(&entry(path)).unwrap();
        }
        assert!(!dir.path().join(MANIFEST).exists(), "visible before its end");
        let amount = manifest.publish(dir.path()).unwrap();
        assert_eq!(amount.bytes, 5 * paths.len() as u64);
        dir
    }

    #[test]
    fn a_list_reads_back() {
        let dir = written(&["registry.db", "lake/a"]);
        let read = Manifest::read(dir.path()).unwrap();
        assert_eq!((read.about, read.bytes), (About::now(7), 10));
        assert_eq!(read.entries, [entry("registry.db"), entry("lake/a")]);
    }

    #[test]
    fn a_list_that_was_cut_or_changed_is_refused() {
        let dir = written(&["registry.db", "lake/a"]);
        let path = dir.path().join(MANIFEST);
        let whole = std::fs::read_to_string(&path).unwrap();
        for keep in [0, 1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..keep]).unwrap();
            assert!(matches!(Manifest::read(dir.path()), Err(RestoreError::BadManifest { .. })), "{keep}");
        }
        std::fs::write(&path, whole.replace("lake/a", "lake/b")).unwrap();
        assert!(matches!(Manifest::read(dir.path()), Err(RestoreError::BadManifest { .. })));
        let newer = whole.replace("\"anomalakeBackup\":1", "\"anomalakeBackup\":2");
        std::fs::write(&path, newer).unwrap();
        assert!(matches!(Manifest::read(dir.path()), Err(RestoreError::Newer { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Manifest::read(dir.path()), Err(RestoreError::NoBackup(_))));
    }

    #[test]
    fn no_file_is_written_outside() {
        let dir = written(&["../elsewhere"]);
        assert!(matches!(Manifest::read(dir.path()), Err(RestoreError::BadManifest { .. })));
    }
}
