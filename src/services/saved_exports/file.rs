//! The file of a saved export while it is being written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::domain::hex::hex;
use crate::lake::layout::create_private_folder;

/// Ending of a file that is not complete.
pub(super) const PART: &str = "part";

/// A file under `NAME.part`, counted and hashed as it is written. Every step blocks on the disk and so has its
/// own thread.
#[derive(Debug)]
pub(super) struct PartOfExport {
    file: File,
    target: PathBuf,
    digest: Sha256,
    bytes: u64,
}

/// A file that is durable under its name.
#[derive(Debug)]
pub(super) struct WrittenFile {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Where the part of a file lies.
pub(super) fn part_of(target: &Path) -> PathBuf {
    let mut part = target.as_os_str().to_owned();
    part.push(".");
    part.push(PART);
    part.into()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl PartOfExport {
    /// Begins the part of a file that is new.
    pub(super) async fn create(target: PathBuf) -> io::Result<Self> {
        blocking(move || {
            if let Some(folder) = target.parent() {
                create_private_folder(folder)?;
            }
            let file = File::options().write(true).create_new(true).mode(0o600).open(part_of(&target))?;
            Ok(Self { file, target, digest: Sha256::new(), bytes: 0 })
        })
        .await
    }

    pub(super) async fn write(mut self, chunk: Bytes) -> io::Result<Self> {
        blocking(move || {
            self.file.write_all(&chunk)?;
            self.digest.update(&chunk);
            self.bytes += chunk.len() as u64;
            Ok(self)
        })
        .await
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the file durable under its name: synced, renamed, its folder synced.
    pub(super) async fn publish(self) -> io::Result<WrittenFile> {
        blocking(move || {
            self.file.sync_all()?;
            std::fs::rename(part_of(&self.target), &self.target)?;
            if let Some(folder) = self.target.parent() {
                File::open(folder)?.sync_all()?;
            }
            Ok(WrittenFile { bytes: self.bytes, sha256: hex(&self.digest.finalize()) })
        })
        .await
    }
}
