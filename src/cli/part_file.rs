//! A file that appears under its name whole or not at all.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that is being written as `NAME.part` beside its final place.
///
/// What is no regular file, such as a pipe or a device, is written in place: renaming over it would
/// destroy it.
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    places: Option<Places>,
}

/// Removes the part when it is dropped unpublished.
#[derive(Debug)]
struct Places {
    part: PathBuf,
    target: PathBuf,
    published: bool,
}

impl PartFile {
    /// Begins to write a file; one that exists stays as it is until [`PartFile::publish`].
    ///
    /// # Errors
    /// When the part cannot be created.
    pub(super) fn create(target: &Path) -> io::Result<Self> {
        // Through symbolic links, so that the file behind one is replaced and not the link.
        let (target, special) = match std::fs::canonicalize(target) {
            Ok(found) => {
                let metadata = std::fs::metadata(&found)?;
                (found, !metadata.is_file() && !metadata.is_dir())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (std::path::absolute(target)?, false),
            Err(error) => return Err(error),
        };
        if special {
            return Ok(Self { file: File::options().write(true).open(target)?, places: None });
        }
        if target.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut part = OsString::from(target.as_os_str());
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part)?;
        Ok(Self { file, places: Some(Places { part, target, published: false }) })
    }

    /// Makes the file appear under its name: synced, renamed, its folder synced.
    ///
    /// # Errors
    /// Any I/O error; the name is as it was before, unless the last step failed.
    pub(super) fn publish(self) -> io::Result<()> {
        let Some(mut places) = self.places else { return Ok(()) };
        self.file.sync_all()?;
        std::fs::rename(&places.part, &places.target)?;
        places.published = true;
        match places.target.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = std::fs::remove_file(&self.part)
        {
            tracing::warn!(%error, part = %self.part.display(), "could not remove an incomplete file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        let mut part = PartFile::create(&target).unwrap();
        part.write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(part);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let mut part = PartFile::create(&target).unwrap();
        part.write_all(b"whole").unwrap();
        part.publish().unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_and_the_file_behind_it_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let mut part = PartFile::create(&link).unwrap();
        part.write_all(b"new").unwrap();
        part.publish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn devices_are_written_in_place_and_folders_refused() {
        let mut part = PartFile::create(Path::new("/dev/null")).unwrap();
        part.write_all(b"x").unwrap();
        part.publish().unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        assert!(PartFile::create(&std::env::temp_dir()).is_err());
    }
}
