//! Why a request about saved exports is refused.

use super::super::room::NoRoom;
use crate::domain::size_text::format_size;
use crate::query::params::ParamError;
use crate::registry::RegistryError;
use crate::registry::exports::ExportState;
use crate::services::sql::SqlError;

/// Why a request about saved exports is refused.
#[derive(Debug, thiserror::Error)]
pub enum SavedExportError {
    /// There is none, or it is not the caller's.
    #[error("there is no such export")]
    Unknown,
    /// The anomaly to export does not exist.
    #[error("there is no such anomaly")]
    NoAnomaly,
    /// No such format.
    #[error("unknown format `{0}`; there are csv, json, ndjson, arrow, parquet")]
    Format(String),
    /// The name of the file could do harm at its receiver.
    #[error(
        "must have 1 to 128 printable ASCII characters without any of \" \\ / : * ? < > | ; and may not begin with a dot"
    )]
    Name,
    /// The statement is refused.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// Its parameters are refused.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// The tenant has as many as it may: delete some, or wait until they expire.
    #[error("the tenant has {limit} saved exports, as many as it may; delete some first")]
    TooMany {
        /// The setting `exports.per-tenant`.
        limit: u32,
    },
    /// The tenant's exports take what they may: delete some.
    #[error("the tenant's saved exports take {}, as much as they may; delete some first", format_size(*.max_bytes))]
    TooLarge {
        /// The setting `exports.bytes-per-tenant`.
        max_bytes: u64,
    },
    /// It is not made yet: ask again.
    #[error("the export is {}", .0.as_str())]
    NotReady(ExportState),
    /// It was given up; another one may be asked for.
    #[error("the export failed: {0}")]
    Failed(String),
    /// The disk has no room.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}
