//! `anomalake user-data`.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use axum::http::Method;

use super::CommandError;
use super::output::{self, FormatArgs, ListFormat, count, printable};
use super::session::{IfMissing, with_client};
use super::watched::watch;
use crate::api::control::erase::EraseUser;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::services::erase::EraseReport;

/// Manage what is stored about a monitored user.
#[derive(Debug, clap::Subcommand)]
pub enum UserDataCommand {
    /// Erase a monitored user from activities, evidence and the registry.
    ///
    /// Erased are all activities of the user that are stored when it begins, the user's anomalies with their evidence,
    /// and every other row about the user. Evidence of other anomalies that holds the user's activities is made anew without
    /// them when it is next asked for. The audit trail keeps a keyed hash in the place of the name. Backups are not
    /// touched.
    #[command(after_help = "Examples:
  anomalake user-data erase --tenant 5618 --user ann@example.com --dry-run
  anomalake user-data erase --tenant 5618 --user ann@example.com --yes")]
    Erase(EraseArgs),
}

/// Whom to erase.
#[derive(Debug, clap::Args)]
pub struct EraseArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The user, in any mix of upper and lower case.
    #[arg(long)]
    user: String,
    /// Only count what there is.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Yes, erase everything about this user; without it the command asks.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &UserDataCommand) -> Result<(), CommandError> {
    let UserDataCommand::Erase(args) = command;
    if !args.dry_run && !args.yes {
        confirm(args)?;
    }
    let path = format!("/control/tenants/{}/user-data/erase", args.tenant);
    let request = EraseUser { user: args.user.clone(), dry_run: args.dry_run };
    let erased = with_client(data_dir, IfMissing::Refuse, async |client| {
        let erased: EraseReport = watch(client, Method::POST, &path, Some(&request), "erasing").await?;
        Ok(erased)
    });
    let erased = erased.await?;
    match args.format.format {
        ListFormat::Json => output::json(&erased),
        ListFormat::Table => output::print(&shown(&args.user, &erased)),
    }
}

/// Asks on a terminal; elsewhere nobody could answer.
fn confirm(args: &EraseArgs) -> Result<(), CommandError> {
    let told = format!("this erases everything about {} in tenant {}", printable(&args.user), args.tenant);
    let hint = "look with --dry-run, then say --yes";
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(CommandError::usage(told).with_hint(hint));
    }
    let ask = |error| CommandError::io("cannot ask on the terminal", error);
    let mut terminal = io::stderr().lock();
    write!(terminal, "{told} and cannot be undone. Type the user's name to go on: ").map_err(ask)?;
    terminal.flush().map_err(ask)?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed).map_err(ask)?;
    if typed.trim() == args.user.trim() {
        return Ok(());
    }
    Err(CommandError::failed_text("nothing was erased"))
}

fn shown(user: &str, erased: &EraseReport) -> String {
    let done = if erased.dry_run { "would erase" } else { "erased" };
    let mut text = format!(
        "{done} {}: {} in {} on {}, {}\n",
        printable(user),
        count(erased.activities, "activity", "activities"),
        count(erased.files, "data file", "data files"),
        count(erased.days, "day", "days"),
        count(erased.evidence_files, "evidence file", "evidence files"),
    );
    // Writing to a string does not fail.
    for (table, rows) in &erased.registry_rows {
        let _ = writeln!(text, "registry: {} of {table}", count(*rows, "row", "rows"));
    }
    if erased.audit_entries > 0 {
        let entries = count(erased.audit_entries, "entry", "entries");
        let _ = writeln!(text, "audit trail: {entries} without the name");
    }
    if let Some(name) = &erased.audit_name {
        let _ = writeln!(text, "the audit trail calls the user: {name}");
    }
    if !erased.mentioned_in.is_empty() {
        let ids: Vec<_> = erased.mentioned_in.iter().take(20).map(i64::to_string).collect();
        let more = if erased.mentioned_in.len() > 20 { ", …" } else { "" };
        let _ = writeln!(text, "not erased: the name is part of a text of anomaly {}{more}", ids.join(", "));
    }
    if let Some(gone) = erased.gone_from_ms {
        let size = format_size(erased.bytes);
        let _ = writeln!(
            text,
            "the replaced files ({size}) stay on disk until queries that run cannot need them: upkeep deletes them from {} on",
            format_time(gone)
        );
    }
    text
}
