//! A saved export as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::time_text::format_time;
use crate::registry::exports::{ExportOf, ExportState, SavedExport};
use crate::services::Services;

/// A saved export.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportModel {
    /// Number.
    #[schema(example = 17)]
    pub id: i64,
    /// Name of the file.
    #[schema(example = "export-17.csv")]
    pub name: String,
    /// Who asked for it.
    #[schema(example = "ann@example.com")]
    pub owner: String,
    /// The statement whose rows it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Parameters of the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Number of the anomaly whose activities it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<i64>,
    /// `csv`, `json`, `ndjson`, `arrow` or `parquet`.
    #[schema(example = "csv")]
    pub format: String,
    /// `pending`, `running`, `ready` or `failed`.
    #[schema(example = "running")]
    pub state: String,
    /// Rows: of the file when it is ready, written so far while it is being made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes: of the file when it is ready, written so far while it is being made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// SHA-256 of the file, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Attempts begun.
    pub attempts: i64,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was asked for, RFC 3339.
    pub created_at: String,
    /// When the last attempt began, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it became ready or was given up, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// When it is deleted, RFC 3339; absent before it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Name of the file at its receiver.
pub(super) fn file_name(export: &SavedExport) -> String {
    let made_up = || format!("export-{}.{}", export.id, export.new.format);
    export.new.name.clone().unwrap_or_else(made_up)
}

impl ExportModel {
    /// The export with its progress.
    #[must_use]
    pub fn new(services: &Services, export: SavedExport) -> Self {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let under_way = (export.state == ExportState::Running).then(|| services.export_progress(export.id)).flatten();
        let (rows, bytes) = match (&export.made, under_way) {
            (Some(made), _) => (Some(made.rows), Some(made.bytes)),
            (None, Some(attempt)) => (Some(count(attempt.rows())), Some(count(attempt.bytes()))),
            (None, None) => (None, None),
        };
        let name = file_name(&export);
        let (sql, params, anomaly) = match export.new.of {
            ExportOf::Sql { sql, params } => (Some(sql), Some(params).filter(|params| !params.is_null()), None),
            ExportOf::Anomaly(id) => (None, None, Some(id.get())),
        };
        Self {
            id: export.id,
            name,
            owner: export.new.owner,
            sql,
            params,
            anomaly,
            format: export.new.format,
            state: export.state.as_str().to_owned(),
            rows,
            bytes,
            sha256: export.made.map(|made| made.sha256),
            attempts: export.attempts,
            error: export.last_error,
            created_at: format_time(export.created_at_ms),
            started_at: export.started_at_ms.map(format_time),
            finished_at: export.finished_at_ms.map(format_time),
            expires_at: export.expires_at_ms.map(format_time),
        }
    }
}
