//! The folder, and the two in it that files are moved to.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::CommandError;

/// Names that programs give to files they are still writing.
const UNFINISHED: [&str; 2] = ["part", "tmp"];

/// A watched folder.
#[derive(Debug)]
pub(super) struct Inbox {
    folder: PathBuf,
}

/// A file as it looked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct File {
    pub(super) modified: SystemTime,
    pub(super) name: OsString,
    pub(super) bytes: u64,
}

impl File {
    fn of(name: OsString, metadata: &Metadata) -> io::Result<Self> {
        Ok(Self { modified: metadata.modified()?, name, bytes: metadata.len() })
    }
}

impl Inbox {
    /// Makes the folders that files are moved to.
    ///
    /// # Errors
    /// When there is no such folder, or it may not be written.
    pub(super) fn open(folder: &Path) -> Result<Self, CommandError> {
        let about = |error| CommandError::io(format!("cannot use the folder {}", folder.display()), error);
        if !fs::metadata(folder).map_err(about)?.is_dir() {
            return Err(CommandError::failed_text(format!("{} is no folder", folder.display())));
        }
        let inbox = Self { folder: folder.to_owned() };
        for folder in [inbox.done_folder(), inbox.failed_folder()] {
            fs::create_dir_all(folder).map_err(about)?;
        }
        Ok(inbox)
    }

    fn done_folder(&self) -> PathBuf {
        self.folder.join("done")
    }

    fn failed_folder(&self) -> PathBuf {
        self.folder.join("failed")
    }

    pub(super) fn path_of(&self, file: &File) -> PathBuf {
        self.folder.join(&file.name)
    }

    /// The files that are there and not said to be unfinished.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) async fn files(&self) -> Result<Vec<File>, CommandError> {
        let folder = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || list(&folder)).await.map_err(CommandError::failed)?;
        listed.map_err(|error| CommandError::io(format!("cannot read the folder {}", self.folder.display()), error))
    }

    /// Moves a loaded file away.
    ///
    /// # Errors
    /// When it cannot be moved, or is another one by now.
    pub(super) fn done(&self, file: &File) -> Result<(), CommandError> {
        self.send(file, &free_place(&self.done_folder(), &file.name))
            .map_err(|error| CommandError::io("it is loaded, but cannot be moved to `done`", error))
    }

    /// Moves a bad file away. The error is written before, so that no file lies there unexplained.
    ///
    /// # Errors
    /// When either cannot be written, or the file is another one by now.
    pub(super) fn failed(&self, file: &File, error: &str) -> Result<(), CommandError> {
        let place = free_place(&self.failed_folder(), &file.name);
        write_whole(&with_ending(&place, ".error.txt"), error)
            .and_then(|()| self.send(file, &place))
            .map_err(|error| CommandError::io("it is bad, but cannot be moved to `failed`", error))
    }

    fn send(&self, file: &File, place: &Path) -> io::Result<()> {
        let path = self.path_of(file);
        // Another of the name may have come in the meantime; it is looked at by itself.
        if File::of(file.name.clone(), &fs::metadata(&path)?)? != *file {
            return Err(io::Error::other("the file has changed since it was read"));
        }
        fs::rename(path, place)
    }
}

fn list(folder: &Path) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_unfinished(&entry.file_name()) {
            continue;
        }
        match fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => files.push(File::of(entry.file_name(), &metadata)?),
            Ok(_) => {}
            // Taken away since, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

fn is_unfinished(name: &OsStr) -> bool {
    let ending = Path::new(name).extension();
    name.as_encoded_bytes().starts_with(b".")
        || UNFINISHED.iter().any(|unfinished| ending.is_some_and(|ending| ending.eq_ignore_ascii_case(unfinished)))
}

/// A place for this name in a folder that may hold others of it.
fn free_place(folder: &Path, name: &OsStr) -> PathBuf {
    let mut place = folder.join(name);
    let mut number = 1;
    while place.symlink_metadata().is_ok() {
        number += 1;
        place = with_ending(&folder.join(name), &format!(".{number}"));
    }
    place
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(ending);
    path.into()
}

/// Writes a file that is never seen half.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entry = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(entry).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn unfinished_files_and_folders_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(root.path()).unwrap();
        for name in ["a.json", "b.json.PART", "c.tmp", ".d", "part", "tmp.json"] {
            fs::write(root.path().join(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", root.path().join("link")).unwrap();
        let mut found: Vec<_> = inbox.files().await.unwrap().into_iter().map(|file| file.name).collect();
        found.sort();
        assert_eq!(found, ["a.json", "part", "tmp.json"]);
    }

    #[tokio::test]
    async fn files_of_one_name_are_all_kept_and_errors_lie_beside_theirs() {
        let root = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(root.path()).unwrap();
        for content in ["1", "22"] {
            fs::write(root.path().join("a"), content).unwrap();
            inbox.failed(&inbox.files().await.unwrap()[0], content).unwrap();
            fs::write(root.path().join("a"), content).unwrap();
            inbox.done(&inbox.files().await.unwrap()[0]).unwrap();
        }
        assert_eq!(names(&root.path().join("failed")), ["a", "a.2", "a.2.error.txt", "a.error.txt"]);
        assert_eq!(fs::read_to_string(root.path().join("failed/a.2.error.txt")).unwrap(), "22");
        assert_eq!(names(&root.path().join("done")), ["a", "a.2"]);
    }

    #[tokio::test]
    async fn a_file_that_was_replaced_stays() {
        let root = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(root.path()).unwrap();
        fs::write(root.path().join("a"), "1").unwrap();
        let seen = inbox.files().await.unwrap().remove(0);
        fs::write(root.path().join("a"), "12").unwrap();
        assert!(inbox.done(&seen).unwrap_err().to_string().contains("changed"));
        assert!(names(&root.path().join("done")).is_empty());
        assert!(Inbox::open(&root.path().join("a")).is_err() && Inbox::open(&root.path().join("none")).is_err());
    }
}
