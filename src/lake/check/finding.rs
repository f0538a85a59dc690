//! What a check finds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing is lost or wrong; it goes away by itself or is only to be known.
    Note,
    /// Something that was stored is gone, changed, or cannot be read.
    Damage,
}

/// Kinds of findings; the names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Data files without a table's log.
    LogMissing,
    /// A version that the newest state needs is not in the log.
    LogGap,
    /// A version that only history needs is not in the log.
    OldLogGap,
    /// An entry of the log is no sequence of actions.
    LogUnreadable,
    /// An entry of the log is not the one that was committed.
    LogChanged,
    /// The log ends before what the registry or the running server knows to be committed.
    LogBehind,
    /// A checkpoint cannot be read.
    CheckpointUnreadable,
    /// A checkpoint does not hold the state that the log gives.
    CheckpointDiffers,
    /// The log's hint names a checkpoint that is not there.
    CheckpointMissing,
    /// The log names a file outside of the table.
    PathOutside,
    /// A file of the newest version is not there.
    FileMissing,
    /// The disk fails to give a file's bytes.
    FileUnreadable,
    /// A file has another size than the log says.
    FileSize,
    /// A file's bytes are not those that were written.
    FileChecksum,
    /// A Parquet footer cannot be read.
    FooterUnreadable,
    /// A file has other columns than the table.
    SchemaDiffers,
    /// A file holds another number of rows than the log says.
    RowCount,
    /// Rows lie outside of the bounds by which queries choose files.
    Statistics,
    /// A page cannot be read.
    PageUnreadable,
    /// Rows lie in the folder of another day.
    WrongDay,
    /// Rows name another tenant.
    WrongTenant,
    /// Rows have a `userKey` that is not that of their user.
    WrongUserKey,
    /// A file that says it is sorted is not.
    NotSorted,
    /// The file of an evidence is not there.
    EvidenceMissing,
    /// An evidence file has another size than the registry says.
    EvidenceSize,
    /// An evidence file's bytes are not those that were written.
    EvidenceChecksum,
    /// An evidence file is no whole Parquet file.
    EvidenceUnreadable,
    /// An evidence file holds another number of rows than the registry says.
    EvidenceRows,
    /// The registry's sum of a tenant's evidence is wrong.
    EvidenceSum,
    /// The registry's database is damaged.
    RegistryCorrupt,
    /// A row of the registry refers to one that is not there.
    RegistryReference,
    /// Files that nothing refers to.
    Garbage,
    /// Requests that were interrupted; the next opening of the table forgets them.
    PendingKeys,
    /// A tenant that is being dropped, or a folder of none: tidying removes it.
    Dropped,
}

impl Kind {
    /// How much findings of this kind matter.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::OldLogGap | Self::Garbage | Self::PendingKeys | Self::Dropped => Severity::Note,
            Self::LogMissing
            | Self::LogGap
            | Self::LogUnreadable
            | Self::LogChanged
            | Self::LogBehind
            | Self::CheckpointUnreadable
            | Self::CheckpointDiffers
            | Self::CheckpointMissing
            | Self::PathOutside
            | Self::FileMissing
            | Self::FileUnreadable
            | Self::FileSize
            | Self::FileChecksum
            | Self::FooterUnreadable
            | Self::SchemaDiffers
            | Self::RowCount
            | Self::Statistics
            | Self::PageUnreadable
            | Self::WrongDay
            | Self::WrongTenant
            | Self::WrongUserKey
            | Self::NotSorted
            | Self::EvidenceMissing
            | Self::EvidenceSize
            | Self::EvidenceChecksum
            | Self::EvidenceUnreadable
            | Self::EvidenceRows
            | Self::EvidenceSum
            | Self::RegistryCorrupt
            | Self::RegistryReference => Severity::Damage,
        }
    }
}

impl fmt::Display for Kind {
    /// The stable name, as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The file, below the tenant's folder; none where it is about no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was expected and what was found.
    pub detail: String,
}

impl Finding {
    /// A finding about a file, given below the tenant's folder.
    #[must_use]
    pub fn at(kind: Kind, path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, path: Some(path.into()), detail: detail.into() }
    }

    /// A finding about no file.
    #[must_use]
    pub fn of(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, path: None, detail: detail.into() }
    }

    /// Whether it is damage.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        self.kind.severity() == Severity::Damage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_for_people_and_programs() {
        assert_eq!(Kind::OldLogGap.to_string(), "old-log-gap");
        assert_eq!(serde_json::to_string(&Kind::FileChecksum).unwrap(), "\"file-checksum\"");
    }
}
