//! Troubles of the machine below the server: neither callers nor code are at fault, and they pass when the operator
//! makes room, mounts the disk for writing, or raises a limit. No restart is needed then.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustix::io::Errno;

/// What the machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The disk, or a quota of the system on it, is full.
    DiskFull,
    /// The disk takes no writes.
    DiskReadOnly,
    /// The process, or the machine, has as many files open as it may have.
    OpenFiles,
}

impl Trouble {
    /// The trouble that an error comes from, whatever wraps it.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                // An I/O error shows only the cause of what it wraps.
                return Self::of_io(io).or_else(|| Self::of(io.get_ref()?));
            }
            if let Some(sqlx::Error::Database(database)) = error.downcast_ref() {
                return Self::of_sqlite(&database.code()?);
            }
            // Errors that several requests share; they hide what they hold from the chain of sources.
            if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
                return Self::of(shared.as_ref());
            }
            if let Some(shared) = error.downcast_ref::<Arc<sqlx::Error>>() {
                return Self::of(shared.as_ref());
            }
            next = error.source();
        }
        None
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        match (error.kind(), Errno::from_io_error(error)) {
            // A limit on the size of files is a quota too.
            (ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge, _) => Some(Self::DiskFull),
            (ErrorKind::ReadOnlyFilesystem, _) => Some(Self::DiskReadOnly),
            (_, Some(Errno::MFILE | Errno::NFILE)) => Some(Self::OpenFiles),
            _ => None,
        }
    }

    /// By SQLite's primary code, the low byte of what it tells.
    fn of_sqlite(code: &str) -> Option<Self> {
        const READ_ONLY: u32 = 8;
        const FULL: u32 = 13;
        // The registry was opened before, so the file is there and may be opened, if only one more could be.
        const CANNOT_OPEN: u32 = 14;
        match code.parse::<u32>().ok()? & 0xFF {
            FULL => Some(Self::DiskFull),
            READ_ONLY => Some(Self::DiskReadOnly),
            CANNOT_OPEN => Some(Self::OpenFiles),
            _ => None,
        }
    }

    /// What a caller is told.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::DiskFull => "the server's disk is full",
            Self::DiskReadOnly => "the server's disk is read-only; what is stored can be read",
            Self::OpenFiles => "the server has too many files open; try again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::error::LakeError;

    #[test]
    fn it_is_found_under_all_that_wraps_it() {
        let io = |errno: Errno| io::Error::from(errno);
        for (errno, trouble) in [
            (Errno::NOSPC, Some(Trouble::DiskFull)),
            (Errno::DQUOT, Some(Trouble::DiskFull)),
            (Errno::FBIG, Some(Trouble::DiskFull)),
            (Errno::ROFS, Some(Trouble::DiskReadOnly)),
            (Errno::MFILE, Some(Trouble::OpenFiles)),
            (Errno::IO, None),
        ] {
            let wrapped = LakeError::NotStored(Box::new(LakeError::Storage(object_store::Error::Generic {
                store: "any",
                source: Box::new(io::Error::other(io(errno))),
            })));
            let shared: Arc<dyn Error + Send + Sync> = Arc::new(wrapped);
            assert_eq!(Trouble::of(&LakeError::Interrupted(Box::new(shared))), trouble, "{errno:?}");
        }
        assert_eq!(Trouble::of_sqlite("13"), Some(Trouble::DiskFull));
        assert_eq!(Trouble::of_sqlite("1032"), Some(Trouble::DiskReadOnly));
        assert_eq!(Trouble::of_sqlite("787"), None, "a broken constraint");
    }
}
