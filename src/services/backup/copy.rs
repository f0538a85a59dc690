//! Copying files durably, with their checksums.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::manifest::Entry;
use crate::domain::hex::hex;
use crate::lake::check::sha256;
use crate::lake::watch::Watch;

/// A new file that only its owner may open.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).read(true).create_new(true).mode(0o600).open(path)
}

/// A folder that only its owner may open, with its ancestors where they are missing.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Copies a file below `from` to the same place below `to`, and syncs it; its folder is synced by [`sync_folders`].
/// Where the file system can share the blocks of the two it does, and they stay independent.
///
/// # Errors
/// Any I/O error, also that the target exists; [`io::ErrorKind::Interrupted`] when nobody waits any more. A target
/// that was begun is deleted.
pub(super) fn copy_file(from: &Path, to: &Path, path: &str, watch: &dyn Watch) -> io::Result<Entry> {
    let mut source = File::open(from.join(path))?;
    let target_path = to.join(path);
    if let Some(folder) = target_path.parent() {
        create_folder(folder)?;
    }
    let mut target = create_private(&target_path)?;
    let copied = copy_bytes(&mut source, &mut target, watch).and_then(|done| target.sync_all().map(|()| done));
    match copied {
        Ok((bytes, sha256)) => Ok(Entry { path: path.to_owned(), bytes, sha256 }),
        Err(error) => {
            drop(target);
            std::fs::remove_file(&target_path)?;
            Err(error)
        }
    }
}

fn copy_bytes(source: &mut File, target: &mut File, watch: &dyn Watch) -> io::Result<(u64, String)> {
    if rustix::fs::ioctl_ficlone(&*target, &*source).is_ok() {
        // What counts is what the copy holds.
        target.rewind()?;
        let hashed = sha256(target, watch)?;
        return Ok((target.metadata()?.len(), hashed));
    }
    let mut digest = Sha256::new();
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        if watch.is_stopped() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "nobody waits any more"));
        }
        let n = match source.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&digest.finalize()))),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..n]);
        target.write_all(&buffer[..n])?;
        bytes += n as u64;
        watch.done(n as u64);
    }
}

/// Makes the names in a folder and in all folders below it durable.
pub(super) fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Whether a folder holds nothing, or is not there.
pub(super) fn is_vacant(folder: &Path) -> io::Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Deletes what a folder holds, and not the folder: it may be where a disk is mounted.
pub(super) fn empty(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Free bytes of the disk that a folder is on, for processes without privileges.
pub(super) fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::lake::watch::Unwatched;

    #[test]
    fn a_copy_is_private_and_independent() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(from.path().join("a")).unwrap();
        let content = vec![7; 3 << 20];
        std::fs::write(from.path().join("a/x"), &content).unwrap();
        let entry = copy_file(from.path(), to.path(), "a/x", &Unwatched).unwrap();
        assert_eq!((entry.bytes, entry.sha256), (3 << 20, hex(&Sha256::digest(&content))));
        sync_folders(to.path()).unwrap();
        std::fs::write(from.path().join("a/x"), "changed").unwrap();
        assert_eq!(std::fs::read(to.path().join("a/x")).unwrap(), content);
        let mode = |name: &str| to.path().join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a"), mode("a/x")), (0o700, 0o600));
        let again = copy_file(from.path(), to.path(), "a/x", &Unwatched).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(to.path().join("a/x")).unwrap(), content, "what is there stays");
        let missing = copy_file(from.path(), to.path(), "b", &Unwatched).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert!(!to.path().join("b").exists());
        empty(to.path()).unwrap();
        assert!(is_vacant(to.path()).unwrap() && is_vacant(&to.path().join("none")).unwrap());
    }
}
