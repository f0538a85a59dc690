//! `anomalake lake status`.

use std::path::Path;

use axum::http::Method;

use super::TenantArg;
use crate::cli::CommandError;
use crate::cli::output::{self, FormatArgs, ListFormat};
use crate::cli::session::{IfMissing, with_client};
use crate::domain::size_text::format_size;
use crate::services::upkeep::LakeStatus;

/// Arguments of the status.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    tenant: TenantArg,
    /// Also list every day.
    #[arg(long)]
    days: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub(super) async fn run(data_dir: &Path, args: &StatusArgs) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let path = format!("/control/tenants/{}/lake", args.tenant.tenant);
        let mut status: LakeStatus = client.json(Method::GET, &path, None, None::<&()>).await?;
        let days = match &mut status.table {
            Some(table) if !args.days => {
                table.days.clear();
                Vec::new()
            }
            Some(table) => table.days.clone(),
            None => Vec::new(),
        };
        output::details(args.format.format, &status, fields)?;
        if days.is_empty() || args.format.format == ListFormat::Json {
            return Ok(());
        }
        output::print("\n")?;
        let headings = ["DAY", "FILES", "SMALL", "ROWS", "SIZE", "SORTED", "WRITTEN"];
        output::list(ListFormat::Table, &days, &headings, |day| {
            vec![
                day.day.clone(),
                day.files.to_string(),
                day.small_files.to_string(),
                day.rows.to_string(),
                format_size(day.bytes),
                if day.sorted { "yes" } else { "no" }.to_owned(),
                times(day.write_amplification),
            ]
        })
    })
    .await
}

fn times(amplification: f64) -> String {
    format!("{amplification:.2} times")
}

fn fields(status: &LakeStatus) -> Vec<(&'static str, Option<String>)> {
    let table = status.table.as_ref();
    let with_size =
        |files: usize, bytes: u64| format!("{}, {}", output::count(files as u64, "file", "files"), format_size(bytes));
    vec![
        ("tenant", Some(status.tenant.to_string())),
        ("activities", Some(table.map_or("none yet".to_owned(), |table| table.rows.to_string()))),
        ("stored in", table.map(|table| with_size(table.files, table.bytes))),
        ("unsorted days", table.map(|table| table.unsorted_days.to_string())),
        ("most files a day", table.map(|table| table.most_files_a_day.to_string())),
        ("written", table.map(|table| times(table.write_amplification))),
        ("waiting for vacuum", table.map(|table| with_size(table.old_files, table.old_bytes))),
        ("version", table.map(|table| table.version.to_string())),
        ("checkpoint", table.and_then(|table| table.checkpoint).map(|version| version.to_string())),
        ("evidence", Some(with_size(status.evidence_files, status.evidence_bytes.unsigned_abs()))),
        ("last upkeep", Some(status.last_upkeep.clone().unwrap_or_else(|| "never".to_owned()))),
        ("next upkeep", Some(status.next_upkeep.clone().unwrap_or_else(|| "when a server runs".to_owned()))),
        ("last failure", status.last_error.clone()),
    ]
}
