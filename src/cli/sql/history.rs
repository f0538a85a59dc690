//! The history of a shell: a file of its user's, that nobody else reads.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

/// Most lines that are kept.
pub(super) const MAX_LINES: usize = 5_000;

/// Where the history lies: `sql_history` in the user's folder for the state of programs (XDG base directories). None
/// where the user has no home.
pub(super) fn path() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("anomalake").join("sql_history"))
}

/// Makes the file where there is none, and takes it from all but its owner.
///
/// # Errors
/// Any I/O error.
pub(super) fn prepare(path: &std::path::Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = File::options().append(true).create(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/sql_history");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        prepare(&path).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, "select 1;\n").unwrap();
        prepare(&path).unwrap();
        assert_eq!((mode(), std::fs::read_to_string(&path).unwrap()), (0o600, "select 1;\n".to_owned()));
    }
}
