//! `anomalake audit`.

use std::path::Path;

use axum::http::Method;

use super::CommandError;
use super::args::time_ms;
use super::output::{self, FormatArgs};
use super::session::{IfMissing, with_client};
use crate::api::control::audit::{AuditModel, LIMIT};
use crate::domain::tenant::TenantId;

/// Show who did what in a tenant, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  anomalake audit --tenant 5618
  anomalake audit --tenant 5618 --since -24h --format json")]
pub struct AuditArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Only from this time on: RFC 3339, epoch ms, or relative such as -24h.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    since: Option<i64>,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, args: &AuditArgs) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let path = format!("/control/tenants/{}/audit?sinceMs={}", args.tenant, args.since.unwrap_or(0));
        let entries: Vec<AuditModel> = client.json(Method::GET, &path, None, None::<&()>).await?;
        let headings = ["AT", "WHO", "FROM", "ACTION", "TARGET", "ROWS", "DETAIL"];
        output::list(args.format.format, &entries, &headings, |entry| {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            vec![
                entry.at.clone(),
                entry.principal.clone(),
                or_dash(entry.address.clone()),
                entry.action.clone(),
                or_dash(entry.target.clone()),
                or_dash(entry.rows.map(|rows| rows.to_string())),
                or_dash(Some(entry.detail.to_string()).filter(|detail| detail != "{}")),
            ]
        })?;
        if let Some(last) = entries.last().filter(|_| entries.len() >= LIMIT as usize) {
            eprintln!("note: there are more entries than {LIMIT}; go on with --since {}", last.at);
        }
        Ok(())
    })
    .await
}
