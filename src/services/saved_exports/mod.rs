//! Saved exports: asked for, made in the background into a file, downloaded with ranges, gone when their
//! time is over.
//!
//! The file is durable before the registry names it, and that naming is the commit. An attempt that ends
//! for whatever reason leaves a part that nobody names, and the next one begins anew.

mod attempt;
mod error;
mod file;
mod running;
mod tidy;

use std::path::PathBuf;

use super::auth::Actor;
use super::{Services, audit_entry};
use crate::domain::tenant::TenantKey;
use crate::formats::output::ExportFormat;
use crate::formats::wire_csv::WireCsvOptions;
use crate::query::params::{ParamError, from_json};
use crate::registry::audit;
use crate::registry::exports::{self, ExportOf, ExportState, NewExport, SavedExport};
use crate::registry::tenants::Tenant;
use crate::services::sql::SqlRequest;

pub use attempt::BegunExport;
pub use error::SavedExportError;
pub use running::Attempt;
pub(super) use running::SavedExports;
pub use tidy::TidyError;

/// Longest name of a file, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// What a caller asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRequest {
    /// What it holds.
    pub of: ExportOf,
    /// Name of the format: `csv`, `ndjson`, `json`, `arrow`, `parquet`.
    pub format: String,
    /// Name of the file at its receiver.
    pub name: Option<String>,
    /// Escapes cells that a spreadsheet would run; CSV only.
    pub escape_formulas: bool,
}

/// Whose exports a caller sees: their own, or all of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Viewer<'a> {
    /// Those of this principal.
    Owner(&'a str),
    /// Whoever administers the tenant sees all.
    Admin,
}

impl Viewer<'_> {
    fn sees(self, export: &SavedExport) -> bool {
        match self {
            Self::Owner(owner) => export.new.owner == owner,
            Self::Admin => true,
        }
    }
}

/// The format of an export, by its extension: CSV of an anomaly is the wire's, that of a statement RFC 4180's. None
/// for a name that this version does not know.
#[must_use]
pub fn format_of(new: &NewExport) -> Option<ExportFormat> {
    let csv = WireCsvOptions { escape_formulas: new.escape_formulas };
    let named = |format: &ExportFormat| format.extension() == new.format;
    match new.of {
        ExportOf::Anomaly(_) => ExportFormat::all(csv).into_iter().find(named),
        ExportOf::Sql { .. } => ExportFormat::of_statements(csv).into_iter().find(named),
    }
}

/// A stored statement as it runs.
fn request_of(sql: &str, params: &serde_json::Value) -> Result<SqlRequest, ParamError> {
    let params = if params.is_null() { None } else { Some(from_json(params)?) };
    Ok(SqlRequest { text: sql.to_owned(), params, timeout: None })
}

fn check_name(name: &str) -> Result<(), SavedExportError> {
    let plain = |c: char| c.is_ascii_graphic() && !"\"\\/:*?<>|;".contains(c);
    let fine = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.chars().all(|c| plain(c) || c == ' ')
        && !name.starts_with(['.', ' '])
        && !name.ends_with(' ');
    if fine { Ok(()) } else { Err(SavedExportError::Name) }
}

impl Services {
    /// Stores a wish for an export. Success means: durable; it is made in the background, also after a
    /// restart.
    ///
    /// # Errors
    /// [`SavedExportError`]; nothing was stored then.
    pub async fn create_saved_export(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        request: ExportRequest,
    ) -> Result<SavedExport, SavedExportError> {
        let ExportRequest { of, format, name, escape_formulas } = request;
        if let Some(name) = &name {
            check_name(name)?;
        }
        let new = NewExport { owner: actor.principal.clone(), name, of, format, escape_formulas };
        if format_of(&new).is_none() {
            return Err(SavedExportError::Format(new.format));
        }
        self.check_what(tenant, &new.of).await?;
        self.check_disk()?;
        let (limit, max_bytes) = (self.settings.exports.per_tenant, self.settings.exports.bytes_per_tenant);
        let (key, actor, now_ms) = (tenant.key, actor.clone(), self.clock.now_ms());
        let created = self
            .registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let used = exports::usage(conn, key).await?;
                    if used.count >= i64::from(limit) {
                        return Err(SavedExportError::TooMany { limit });
                    }
                    if u64::try_from(used.bytes).is_ok_and(|bytes| bytes >= max_bytes) {
                        return Err(SavedExportError::TooLarge { max_bytes });
                    }
                    let export = exports::create(conn, key, &new, now_ms).await?;
                    let mut entry = audit_entry(&actor, now_ms, Some(key), "export.create", export.id.to_string());
                    entry.detail = detail(&export);
                    audit::append(conn, &entry).await?;
                    Ok(export)
                })
            })
            .await?;
        self.saved_exports.wake();
        Ok(created)
    }

    /// Refuses what could never be made.
    async fn check_what(&self, tenant: &Tenant, of: &ExportOf) -> Result<(), SavedExportError> {
        match of {
            ExportOf::Anomaly(id) => match self.anomaly(tenant, *id).await? {
                Some(_) => Ok(()),
                None => Err(SavedExportError::NoAnomaly),
            },
            ExportOf::Sql { sql, params } => Ok(self.check_sql(tenant, request_of(sql, params)?).await?),
        }
    }

    /// An export that the viewer may see; those of others do not exist here.
    ///
    /// # Errors
    /// [`SavedExportError::Unknown`], or when the registry fails.
    pub async fn saved_export(
        &self,
        tenant: &Tenant,
        viewer: Viewer<'_>,
        id: i64,
    ) -> Result<SavedExport, SavedExportError> {
        let found = exports::get(&mut *self.registry.read().await?, tenant.key, id).await?;
        found.filter(|export| viewer.sees(export)).ok_or(SavedExportError::Unknown)
    }

    /// A page of the exports that the viewer may see, highest id first.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn list_saved_exports(
        &self,
        tenant: &Tenant,
        viewer: Viewer<'_>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SavedExport>, SavedExportError> {
        let owner = match viewer {
            Viewer::Owner(owner) => Some(owner),
            Viewer::Admin => None,
        };
        Ok(exports::list(&mut *self.registry.read().await?, tenant.key, owner, before, limit).await?)
    }

    /// The file of an export that is ready; `range` is what of it was asked for, for the audit trail.
    ///
    /// # Errors
    /// [`SavedExportError::NotReady`], [`SavedExportError::Failed`], or as [`Services::saved_export`].
    pub async fn saved_export_file(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        viewer: Viewer<'_>,
        id: i64,
        range: Option<&str>,
    ) -> Result<(SavedExport, PathBuf), SavedExportError> {
        let export = self.saved_export(tenant, viewer, id).await?;
        let Some(made) = &export.made else {
            return Err(match export.state {
                ExportState::Failed => SavedExportError::Failed(export.last_error.unwrap_or_default()),
                state => SavedExportError::NotReady(state),
            });
        };
        let path = self.saved_exports.folder_of(tenant.key).join(&made.file);
        let mut entry =
            audit_entry(actor, self.clock.now_ms(), Some(tenant.key), "export.download", export.id.to_string());
        entry.detail = serde_json::json!({ "range": range });
        entry.rows = Some(made.rows);
        self.audit(entry).await?;
        Ok((export, path))
    }

    /// Deletes an export in whatever state; one that is being made is stopped. Success means: nobody finds
    /// it any more. A crash right after leaves a file that nothing names, which the next tidying removes.
    ///
    /// # Errors
    /// As [`Services::saved_export`].
    pub async fn delete_saved_export(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        viewer: Viewer<'_>,
        id: i64,
    ) -> Result<(), SavedExportError> {
        let (key, actor, now_ms) = (tenant.key, actor.clone(), self.clock.now_ms());
        let owner = match viewer {
            Viewer::Owner(owner) => Some(owner.to_owned()),
            Viewer::Admin => None,
        };
        let deleted = self
            .registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let viewer = owner.as_deref().map_or(Viewer::Admin, Viewer::Owner);
                    let found = exports::get(conn, key, id).await?;
                    let export = found.filter(|export| viewer.sees(export)).ok_or(SavedExportError::Unknown)?;
                    exports::delete(conn, key, id).await?;
                    let entry = audit_entry(&actor, now_ms, Some(key), "export.delete", id.to_string());
                    audit::append(conn, &entry).await?;
                    Ok::<_, SavedExportError>(export)
                })
            })
            .await?;
        self.saved_exports.cancel(id);
        if let Some(made) = &deleted.made {
            self.saved_exports.remove_file(key, &made.file).await;
        }
        Ok(())
    }

    /// How far an export is that is being made now.
    #[must_use]
    pub fn export_progress(&self, id: i64) -> Option<std::sync::Arc<Attempt>> {
        self.saved_exports.attempt(id)
    }

    /// Removes every file of a tenant that is being dropped, and stops what makes more.
    pub(super) async fn drop_saved_exports(&self, tenant: TenantKey) -> std::io::Result<()> {
        self.saved_exports.cancel_tenant(tenant);
        self.saved_exports.remove_tenant(tenant).await
    }
}

/// What the audit trail keeps of an export.
fn detail(export: &SavedExport) -> serde_json::Value {
    let format = &export.new.format;
    match &export.new.of {
        ExportOf::Sql { sql, .. } => serde_json::json!({ "sql": sql, "format": format }),
        ExportOf::Anomaly(id) => serde_json::json!({ "anomaly": id.get(), "format": format }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_a_header_or_a_folder() {
        for name in ["a", "Q3 report (final).csv", "x.tar.gz", &"n".repeat(MAX_NAME_BYTES)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "n".repeat(MAX_NAME_BYTES + 1);
        for name in ["", ".hidden", "../a", "a/b", "a\\b", "a\"b", "a\nb", "é", "a;b", " a", "a ", "C:a", &long] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
