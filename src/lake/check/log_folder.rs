//! The names in a table's `_delta_log`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Name of the log's folder below the table's.
pub const DELTA_LOG: &str = "_delta_log";

/// File of the log that names a checkpoint to begin with.
pub const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// What lies in a log's folder.
#[derive(Debug, Clone, Default)]
pub struct LogFolder {
    /// The folder.
    pub path: PathBuf,
    /// Entries by version.
    pub commits: BTreeMap<u64, PathBuf>,
    /// Checkpoints by version.
    pub checkpoints: BTreeMap<u64, PathBuf>,
    /// Version that [`LAST_CHECKPOINT`] names; an error says why there is none to be had.
    pub hint: Option<Result<u64, String>>,
}

#[derive(Deserialize)]
struct Hint {
    version: u64,
}

impl LogFolder {
    /// Lists the log of the table in this folder; none when it has no log.
    ///
    /// # Errors
    /// Any I/O error but that the folder is not there.
    pub fn list(table: &Path) -> io::Result<Option<Self>> {
        let path = table.join(DELTA_LOG);
        let mut folder = Self { hint: read_hint(&path)?, ..Self::default() };
        let entries = match std::fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(version) = version_of(&name, ".json") {
                folder.commits.insert(version, entry.path());
            } else if let Some(version) = version_of(&name, ".checkpoint.parquet") {
                folder.checkpoints.insert(version, entry.path());
            }
        }
        folder.path = path;
        Ok(Some(folder))
    }

    /// The newest version.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        let last = |names: &BTreeMap<u64, PathBuf>| names.last_key_value().map(|(version, _)| *version);
        last(&self.commits).max(last(&self.checkpoints))
    }
}

/// `00000000000000000007.json` is 7.
fn version_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

fn read_hint(log: &Path) -> io::Result<Option<Result<u64, String>>> {
    match std::fs::read(log.join(LAST_CHECKPOINT)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => {
            Ok(Some(serde_json::from_slice::<Hint>(&bytes).map(|hint| hint.version).map_err(|e| e.to_string())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_have_versions() {
        assert_eq!(version_of("00000000000000000007.json", ".json"), Some(7));
        for name in ["7.json", "00000000000000000007.json.tmp", "0000000000000000000x.json", "_last_checkpoint"] {
            assert_eq!(version_of(name, ".json"), None, "{name}");
        }
    }
}
