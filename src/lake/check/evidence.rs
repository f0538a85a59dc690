//! Evidence files against what the registry says of them.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::contain::contain;
use super::data_file::sha256;
use super::files::{below, parquet_files};
use super::finding::{Finding, Kind};
use super::is_of_the_disk;
use crate::lake::layout::EVIDENCE;
use crate::lake::watch::Watch;

/// What the registry says of an evidence file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvidence {
    /// Path below the tenant's folder.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

impl RecordedEvidence {
    /// Compares the file with the record, every byte of it. Evidence is read whole also by a check that is not
    /// deep: it is what gets exported, and there is little of it.
    ///
    /// # Errors
    /// Any I/O error but that the file is not there; also [`io::ErrorKind::Interrupted`] when nobody waits any more.
    pub fn check(&self, tenant_folder: &Path, watch: &dyn Watch) -> io::Result<Vec<Finding>> {
        let found = |kind, detail: String| Finding::at(kind, &*self.path, detail);
        let Some(path) = below(tenant_folder, &self.path) else {
            return Ok(vec![found(Kind::PathOutside, "the registry names a file outside of the tenant".to_owned())]);
        };
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(vec![found(Kind::EvidenceMissing, "the registry names it and it is not there".to_owned())]);
            }
            file => file?,
        };
        let size = file.metadata()?.len();
        let mut findings = Vec::new();
        if size != self.bytes {
            let detail = format!("it has {size} bytes, the registry says {}", self.bytes);
            findings.push(found(Kind::EvidenceSize, detail));
        }
        let hashed = match sha256(&mut file, watch) {
            Err(error) if is_of_the_disk(&error) => {
                findings.push(found(Kind::FileUnreadable, error.to_string()));
                return Ok(findings);
            }
            hashed => hashed?,
        };
        if hashed != self.sha256 {
            let detail = format!("its SHA-256 is {hashed}, the registry says {}", self.sha256);
            findings.push(found(Kind::EvidenceChecksum, detail));
        }
        match contain(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())) {
            Err(why) => findings.push(found(Kind::EvidenceUnreadable, why)),
            Ok(footer) => {
                let rows = footer.metadata().file_metadata().num_rows();
                if u64::try_from(rows) != Ok(self.rows) {
                    let detail = format!("it holds {rows} rows, the registry says {}", self.rows);
                    findings.push(found(Kind::EvidenceRows, detail));
                }
            }
        }
        Ok(findings)
    }
}

/// Evidence files that the registry does not name: paths below the tenant's folder and sizes. One that is being
/// made is among them.
///
/// # Errors
/// Any I/O error of listing.
pub fn unnamed_evidence(tenant_folder: &Path, recorded: &[RecordedEvidence]) -> io::Result<Vec<(String, u64)>> {
    let named: HashSet<&str> = recorded.iter().map(|evidence| evidence.path.as_str()).collect();
    let found = parquet_files(&tenant_folder.join(EVIDENCE))?;
    let found = found.into_iter().map(|(path, bytes)| (format!("{EVIDENCE}/{path}"), bytes));
    Ok(found.filter(|(path, _)| !named.contains(path.as_str())).collect())
}
