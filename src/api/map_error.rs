//! From the services' errors to status and code: one exhaustive match per type, so that a new
//! failure cannot reach the wire without a decision here.

mod ingest;

use axum::http::StatusCode;

use super::error::{ApiError, UNAUTHENTICATED};
use crate::formats::EncodeError;
use crate::lake::error::LakeError;
use crate::query::limits::Limit;
use crate::query::predicate::WhereError;
use crate::query::sql::error::RefusalKind;
use crate::registry::RegistryError;
use crate::registry::incidents::PageError;
use crate::registry::tenants::TenantError;
use crate::services::anomalies::AnomalyError;
use crate::services::auth::{AdminError, AuthError};
use crate::services::backup::BackupError;
use crate::services::check::CheckError;
use crate::services::erase::EraseError;
use crate::services::evidence::EvidenceError;
use crate::services::export::ExportError;
use crate::services::incidents::IncidentError;
use crate::services::room::NoRoom;
use crate::services::saved_exports::SavedExportError;
use crate::services::sql::SqlError;
use crate::services::tenants::DropError;
use crate::services::trouble::Trouble;
use crate::services::uci::UciError;
use crate::services::upkeep::UpkeepError;

fn unavailable(code: &'static str, message: &str, cause: &(dyn std::error::Error + 'static)) -> ApiError {
    let retry_after = Some(std::time::Duration::from_secs(1));
    ApiError { retry_after, ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message).with_cause(cause) }
}

fn no_room(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, code, message)
}

/// Whether a failed write met a full disk: then trying again at once does not help.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    Trouble::of(error) == Some(Trouble::DiskFull)
}

impl From<&NoRoom> for ApiError {
    fn from(error: &NoRoom) -> Self {
        match error {
            NoRoom::Quota { quota_bytes, wanted_bytes } => {
                no_room("quota_exceeded", format!("{error}; nothing was stored"))
                    .with_details(serde_json::json!({ "quotaBytes": quota_bytes, "wantedBytes": wanted_bytes }))
            }
            // How full it is, is the operator's business: see the metrics and the log.
            NoRoom::Disk { free_bytes, min_bytes } => {
                let cause = format!("{free_bytes} bytes are free where {min_bytes} must stay free");
                let message = format!("{error}; nothing was stored, and what is stored can be read");
                Self { internal: Some(cause), ..no_room("disk_low", message) }
            }
            NoRoom::Unknown(_) => Self::internal(error),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        match &error {
            RegistryError::Closed => {
                unavailable("shutting_down", "the server is shutting down; nothing was stored", &error)
            }
            RegistryError::Lost => {
                unavailable("outcome_unknown", "the server stopped in mid-write; look whether it was stored", &error)
            }
            RegistryError::Open { .. }
            | RegistryError::Format { .. }
            | RegistryError::Migrate(_)
            | RegistryError::Database(_)
            | RegistryError::Commit(_)
            | RegistryError::Panicked(_) => Self::internal(&error),
        }
    }
}

impl From<LakeError> for ApiError {
    fn from(error: LakeError) -> Self {
        match &error {
            LakeError::Busy { retry_after } => Self::too_many("busy", error.to_string(), *retry_after),
            LakeError::Interrupted(_) => unavailable(
                "outcome_unknown",
                "the write was interrupted and may be stored; repeat it with the same Idempotency-Key",
                &error,
            ),
            LakeError::OverQuota { .. } => no_room("quota_exceeded", error.to_string()),
            LakeError::Superseded { .. } => {
                unavailable("superseded", "the files were rewritten meanwhile; nothing was changed, try again", &error)
            }
            LakeError::NotStored(cause) => match Trouble::of(cause.as_ref()) {
                Some(trouble) => Self::of_trouble(trouble, &error).saying("nothing was stored"),
                None => unavailable("not_stored", "nothing was stored; try again", &error),
            },
            LakeError::Delta(_)
            | LakeError::Storage(_)
            | LakeError::Parquet(_)
            | LakeError::Arrow(_)
            | LakeError::Io(_)
            | LakeError::Task(_)
            | LakeError::Inconsistent(_)
            | LakeError::Url(_) => Self::internal(&error),
        }
    }
}

impl From<UpkeepError> for ApiError {
    fn from(error: UpkeepError) -> Self {
        match error {
            UpkeepError::Tenant(error) => error.into(),
            UpkeepError::NoRoom(error) => Self::from(&error),
            UpkeepError::Lake(error) => error.into(),
            UpkeepError::Registry(error) => error.into(),
        }
    }
}

impl From<TenantError> for ApiError {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::NotFound(_) => Self::not_found(error.to_string()).with_target("tenant"),
            TenantError::Exists(_) => {
                Self::new(StatusCode::CONFLICT, "exists", error.to_string()).with_target("tenant")
            }
            TenantError::Dropping(_) => Self::new(StatusCode::CONFLICT, "being_dropped", error.to_string()),
            TenantError::OutOfRange { .. }
            | TenantError::TooLarge { .. }
            | TenantError::RecencyExceedsRetention { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "out_of_range", error.to_string())
            }
            TenantError::Registry(error) => error.into(),
        }
    }
}

impl From<DropError> for ApiError {
    fn from(error: DropError) -> Self {
        match error {
            DropError::Tenant(error) => error.into(),
            DropError::Registry(error) => error.into(),
            DropError::Lake(_) => Self::internal(&error),
        }
    }
}

impl From<CheckError> for ApiError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Tenant(error) => error.into(),
            CheckError::Registry(error) => error.into(),
            CheckError::Io(_) | CheckError::Task(_) => Self::internal(&error),
        }
    }
}

impl From<BackupError> for ApiError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::NotEmpty(_) | BackupError::Inside(_) | BackupError::Relative(_) => {
                Self::bad_request("backup_folder", "dir", error.to_string())
            }
            BackupError::NoRoom { .. } => no_room("backup_folder", error.to_string()).with_target("dir"),
            BackupError::Registry(error) => error.into(),
            BackupError::Io(ref cause) if is_disk_full(cause) => {
                no_room("backup_folder", "the backup's disk is full; nothing of it is left").with_cause(&error)
            }
            BackupError::Io(_) | BackupError::Task(_) => Self::internal(&error),
        }
    }
}

impl From<EraseError> for ApiError {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::NoName => Self::bad_request("bad_value", "user", error.to_string()),
            EraseError::Tenant(error) => error.into(),
            EraseError::Registry(error) => error.into(),
            EraseError::Index(error) => error.into(),
            EraseError::Lake(ref cause) if is_disk_full(cause) => {
                let message = "the server's disk is full; the user is not erased to the end";
                no_room("disk_full", message).with_cause(&error)
            }
            EraseError::Lake(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "not_erased", error.to_string()).with_cause(&error)
            }
            EraseError::Randomness(_) => Self::internal(&error),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match &error {
            AuthError::InvalidCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                UNAUTHENTICATED,
                "the credentials are missing, wrong, expired or revoked",
            ),
            AuthError::TenantChoiceNeeded => Self::bad_request(
                "tenant_needed",
                "bps-tenant-id",
                "the user has several tenants; name one in the header bps-tenant-id",
            ),
            AuthError::TenantNotGranted => Self::new(
                StatusCode::FORBIDDEN,
                "tenant_not_granted",
                "the credentials are valid but give no role in the tenant",
            ),
            AuthError::TooManyAttempts { retry_after } => {
                Self::too_many("too_many_attempts", "too many sign-in attempts; try again later", *retry_after)
            }
            AuthError::Hashing(_) | AuthError::Randomness(_) | AuthError::Registry(_) => Self::internal(&error),
        }
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let bad = |target: &str| Self::bad_request("bad_value", target, error.to_string());
        match error {
            AdminError::Tenant(error) => error.into(),
            AdminError::Registry(error) => error.into(),
            AdminError::UserExists(_) => Self::new(StatusCode::CONFLICT, "exists", error.to_string()),
            AdminError::NoSuchUser(_) => Self::not_found(error.to_string()).with_target("email"),
            AdminError::NoSuchRole { .. } => Self::not_found(error.to_string()).with_target("role"),
            AdminError::NoSuchToken { .. } => Self::not_found(error.to_string()).with_target("token"),
            AdminError::InvalidEmail(_) => bad("email"),
            AdminError::WeakPassword => bad("password"),
            AdminError::NoScopes => bad("scopes"),
            AdminError::InvalidLifetime => bad("expires"),
            AdminError::Busy { retry_after } => Self::too_many("busy", error.to_string(), retry_after),
            AdminError::Hashing(_) | AdminError::Randomness(_) => Self::internal(&error),
        }
    }
}

impl From<WhereError> for ApiError {
    fn from(error: WhereError) -> Self {
        match error {
            WhereError::Empty
            | WhereError::Bounds(_)
            | WhereError::Invalid(_)
            | WhereError::NotBoolean(_)
            | WhereError::Forbidden(_)
            | WhereError::TooLarge => Self::bad_request("bad_where", "where", error.to_string()),
        }
    }
}

impl From<AnomalyError> for ApiError {
    fn from(error: AnomalyError) -> Self {
        match error {
            AnomalyError::Field { field, .. } => Self::bad_request("bad_value", field, error.to_string()),
            AnomalyError::Unknown => Self::not_found(error.to_string()).with_target("id"),
            AnomalyError::Where(error) => error.into(),
            AnomalyError::Check(_) => Self::internal(&error),
            AnomalyError::Registry(error) => error.into(),
        }
    }
}

impl From<IncidentError> for ApiError {
    fn from(error: IncidentError) -> Self {
        match error {
            IncidentError::Page(PageError::TooManyTogether) => {
                Self::new(StatusCode::CONFLICT, "too_many_together", error.to_string()).with_target("timesSelection")
            }
            IncidentError::Page(PageError::Registry(error)) | IncidentError::Registry(error) => error.into(),
            IncidentError::Task(_) => Self::internal(&error),
        }
    }
}

impl From<EvidenceError> for ApiError {
    fn from(error: EvidenceError) -> Self {
        let failed = |message: String| Self::new(StatusCode::INTERNAL_SERVER_ERROR, "evidence_failed", message);
        match &error {
            // The reason is the anomaly's own and is shown by the anomaly's route too.
            EvidenceError::Failed(_) | EvidenceError::TimedOut(_) | EvidenceError::Where(_) => {
                failed(error.to_string()).with_cause(&error)
            }
            EvidenceError::NoRoom(error) => error.into(),
            EvidenceError::Changed => unavailable("changed_meanwhile", &error.to_string(), &error),
            EvidenceError::Making(cause) => match Trouble::of(cause) {
                Some(trouble) => Self::of_trouble(trouble, &error).saying("the evidence cannot be made"),
                None => failed(error.to_string()).with_cause(&error),
            },
            EvidenceError::Lake(_) | EvidenceError::Registry(_) => Self::internal(&error),
        }
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Busy { retry_after } => Self::too_many("busy", "too many exports are running", retry_after),
            ExportError::Evidence(error) => error.into(),
            ExportError::Lake(error) => error.into(),
            ExportError::Registry(error) => error.into(),
            ExportError::TimedOut(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "timed_out", error.to_string()),
            ExportError::Statement(error) => (*error).into(),
            ExportError::TooLarge(_) | ExportError::Encode(_) | ExportError::Compress(_) => Self::internal(&error),
        }
    }
}

impl From<SqlError> for ApiError {
    fn from(error: SqlError) -> Self {
        let over = |code| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string());
        match &error {
            SqlError::Busy { retry_after } => Self::too_many("busy", error.to_string(), *retry_after),
            SqlError::Refused(refusal) => {
                let code = match refusal.kind {
                    RefusalKind::TooLarge => "sql_too_large",
                    RefusalKind::Syntax => "sql_syntax",
                    RefusalKind::Plan => "sql_invalid",
                    RefusalKind::NotAllowed => "sql_not_allowed",
                    RefusalKind::Parameter => "sql_parameter",
                };
                let place = serde_json::json!({ "line": refusal.place.line, "column": refusal.place.column });
                Self::bad_request(code, "sql", refusal.to_string()).with_details(place)
            }
            SqlError::Statement(_) => Self::bad_request("sql_failed", "sql", error.to_string()),
            SqlError::Limit(limit) => {
                let retry_after = std::time::Duration::from_secs(5);
                match limit {
                    Limit::Memory => over("memory_limit"),
                    Limit::Value | Limit::Work => over("value_limit"),
                    Limit::TempDisk => over("temp_limit"),
                    Limit::ServerTemp => Self::too_many("server_temp_limit", error.to_string(), retry_after),
                    Limit::Disk => no_room("disk_full", error.to_string()),
                    Limit::TenantMemory => Self::too_many("tenant_memory_limit", error.to_string(), retry_after),
                    Limit::ServerMemory => Self::too_many("server_memory_limit", error.to_string(), retry_after),
                }
            }
            SqlError::TimedOut(_) => over("timed_out"),
            SqlError::TooLarge(_) => over("result_limit"),
            SqlError::Encode(EncodeError::UnsupportedType { .. }) => over("unsupported_type"),
            SqlError::Replaced(_) => unavailable("changed_meanwhile", &error.to_string(), &error),
            SqlError::Encode(_) | SqlError::Engine(_) | SqlError::Lake(_) | SqlError::Task(_) | SqlError::Answer(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<SavedExportError> for ApiError {
    fn from(error: SavedExportError) -> Self {
        let bad = |target: &str, message: String| Self::bad_request("bad_value", target, message);
        match error {
            SavedExportError::Unknown => Self::not_found(error.to_string()).with_target("export"),
            SavedExportError::NoAnomaly => bad("anomaly", error.to_string()),
            SavedExportError::Format(_) => bad("format", error.to_string()),
            SavedExportError::Name => bad("name", format!("`name` {error}")),
            SavedExportError::Sql(error) => error.into(),
            SavedExportError::Params(_) => Self::bad_request("sql_parameter", "params", error.to_string()),
            SavedExportError::TooMany { limit } => {
                Self::new(StatusCode::CONFLICT, "too_many_exports", error.to_string())
                    .with_details(serde_json::json!({ "limit": limit }))
            }
            SavedExportError::TooLarge { max_bytes } => {
                no_room("exports_full", error.to_string()).with_details(serde_json::json!({ "limitBytes": max_bytes }))
            }
            SavedExportError::NotReady(_) => {
                let retry_after = Some(std::time::Duration::from_secs(2));
                Self { retry_after, ..Self::new(StatusCode::CONFLICT, "export_not_ready", error.to_string()) }
            }
            SavedExportError::Failed(_) => Self::new(StatusCode::CONFLICT, "export_failed", error.to_string()),
            SavedExportError::NoRoom(error) => (&error).into(),
            SavedExportError::Registry(error) => error.into(),
        }
    }
}

impl From<UciError> for ApiError {
    fn from(error: UciError) -> Self {
        match error {
            UciError::Field { field, .. } => Self::bad_request("bad_value", field, error.to_string()),
            UciError::UnknownAnomaly => Self::not_found(error.to_string()).with_target("anomalyId"),
            UciError::UnknownRule => Self::not_found(error.to_string()).with_target("id"),
            UciError::NotAnImpact => {
                Self::new(StatusCode::CONFLICT, "not_an_impact", error.to_string()).with_target("anomalyId")
            }
            UciError::UnknownUsers(_) => Self::bad_request("unknown_users", "users", error.to_string()),
            UciError::NoPage(_) => Self::bad_request("no_page", "operation", error.to_string()),
            UciError::KeyConflict(_) => Self::new(StatusCode::CONFLICT, "idempotency_conflict", error.to_string())
                .with_target("Idempotency-Key"),
            UciError::IndexBusy(_) => {
                Self::new(StatusCode::CONFLICT, "index_busy", error.to_string()).with_target("index")
            }
            UciError::Task(_) => Self::internal(&error),
            UciError::Registry(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Arc;

    use super::*;
    use crate::formats::input::DecodeError;
    use crate::lake::data_files::Rows;
    use crate::lake::testing::{self, FullDisk};

    #[tokio::test]
    async fn a_full_disk_is_recognised_under_all_that_wraps_it() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FullDisk::default());
        let lake = testing::lake_on(&dir, Arc::clone(&disk));
        let table = lake.table(testing::tenant()).await.unwrap();
        let rows = || Rows::Batches(vec![testing::rows(&[(5, "ann", "a")])]);
        *disk.refused.lock().unwrap() = ".parquet";
        let in_writer = ApiError::from(table.append(rows(), None).await.unwrap_err());
        let mut files = table.data_files();
        let Rows::Batches(batches) = rows() else { unreachable!() };
        files.push(batches[0].clone()).await.unwrap();
        let in_ingest = ApiError::from(files.finish_as_files().await.unwrap_err().not_stored());
        for error in [in_writer, in_ingest] {
            assert_eq!((error.status, error.code), (StatusCode::INSUFFICIENT_STORAGE, "disk_full"));
            assert!(error.message.contains("nothing was stored"), "{}", error.message);
        }
        let spool = ApiError::from(DecodeError::Spool(ErrorKind::StorageFull.into()));
        assert_eq!(spool.code, "disk_full");
        let other = ApiError::from(LakeError::Io(std::io::Error::other("planted")).not_stored());
        assert_eq!((other.status, other.code), (StatusCode::SERVICE_UNAVAILABLE, "not_stored"));
    }
}
