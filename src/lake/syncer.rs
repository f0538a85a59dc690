//! What makes files and folder entries durable, and tells the names in a folder.

use std::fmt::Debug;
use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

/// Makes files and folder entries durable.
pub trait Syncer: Debug + Send + Sync + 'static {
    /// Returns once the file's content is on stable storage.
    ///
    /// # Errors
    /// The operating system's; after one the content may be lost though a later call succeeds.
    fn sync_file(&self, path: &std::path::Path) -> io::Result<()>;

    /// Returns once the names in the folder are on stable storage.
    ///
    /// # Errors
    /// As [`Syncer::sync_file`].
    fn sync_folder(&self, path: &std::path::Path) -> io::Result<()>;

    /// Names of the files in a folder that come after another name, where they can be had without asking the store to
    /// describe each file of the folder; none where only the store knows. A folder that is not there has none.
    ///
    /// # Errors
    /// The operating system's.
    fn file_names(&self, _folder: &std::path::Path, _after: &str) -> io::Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// Makes a folder with its missing ancestors and takes everybody else's access from a file: modes 0700
    /// and 0600. Neither is durable yet.
    ///
    /// # Errors
    /// The operating system's.
    fn make_private(&self, folder: &std::path::Path, file: &std::path::Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        std::fs::set_permissions(file, Permissions::from_mode(0o600))
    }
}

/// fsync of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct FsSyncer;

impl Syncer for FsSyncer {
    fn sync_file(&self, path: &std::path::Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn sync_folder(&self, path: &std::path::Path) -> io::Result<()> {
        std::fs::File::open(path)?.sync_all()
    }

    fn file_names(&self, folder: &std::path::Path, after: &str) -> io::Result<Option<Vec<String>>> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_plain(name)) else { return Ok(None) };
            if !entry.file_type()?.is_file() {
                return Ok(None);
            }
            if name > after {
                names.push(name.to_owned());
            }
        }
        Ok(Some(names))
    }
}

/// Whether a file's name is the last part of its path in a store as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}
