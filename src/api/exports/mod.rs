//! Saved exports: asked for, looked after, downloaded, deleted.

pub mod create_export;
pub mod delete_export;
pub mod get_export;
pub mod get_export_content;
pub mod list_exports;
pub mod model;

use super::caller::Caller;
use super::error::ApiError;
use crate::domain::principal::Scope;
use crate::services::saved_exports::Viewer;

/// Whose exports a caller sees.
fn viewer(caller: &Caller) -> Viewer<'_> {
    if caller.may(Scope::Admin) { Viewer::Admin } else { Viewer::Owner(&caller.actor.principal) }
}

/// The number of an export in a path.
///
/// # Errors
/// `404`, as for an unknown one.
fn id(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("there is no such export").with_target("export"))
}
