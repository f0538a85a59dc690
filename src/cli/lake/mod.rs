//! `anomalake lake`: one file per subcommand, or per kind of it.

mod check;
mod status;
mod upkeep;

use std::path::Path;

use super::CommandError;
use crate::domain::tenant::TenantId;

/// How a tenant's lake is doing, upkeep by hand, and checking it.
#[derive(Debug, clap::Subcommand)]
pub enum LakeCommand {
    /// Show how a tenant's lake is doing: files, days, what upkeep did last and when it will look again.
    #[command(after_help = "Examples:
  anomalake lake status --tenant 5618
  anomalake lake status --tenant 5618 --days
  anomalake lake status --tenant 5618 --format json")]
    Status(status::StatusArgs),
    /// Sort every day that is not sorted yet, also those that still get rows.
    ///
    /// A server does this by itself once nothing has been ingested into a day for an hour. Ingests and queries go
    /// on meanwhile, and no answer changes.
    #[command(after_help = "Examples:
  anomalake lake compact --tenant 5618 --dry-run
  anomalake lake compact --tenant 5618")]
    Compact(upkeep::UpkeepArgs),
    /// Drop what is older than the tenant keeps it: days of activities, evidence files, anomalies.
    ///
    /// A server does this by itself. How long things are kept is set with `anomalake tenant set`. Activities
    /// that were loaded late stay until an anomaly made with them could be exported.
    #[command(after_help = "Examples:
  anomalake lake retain --tenant 5618 --dry-run
  anomalake lake retain --tenant 5618")]
    Retain(upkeep::UpkeepArgs),
    /// Delete files that nobody needs any more.
    ///
    /// A server does this by itself. Files are kept for 2 hours after they were written and after they were
    /// replaced, and as long as a query reads them.
    #[command(after_help = "Examples:
  anomalake lake vacuum --tenant 5618 --dry-run
  anomalake lake vacuum --tenant 5618")]
    Vacuum(upkeep::UpkeepArgs),
    /// Check the stored files against the log, the registry and themselves.
    ///
    /// Reads the log with its checkpoints, sizes and footers of all data files, and every byte of the evidence files.
    /// It changes nothing and works beside a running server.
    #[command(after_help = "Exit codes: 0 nothing is damaged, 1 damage was found, 3 it could not be checked.

Examples:
  anomalake lake check
  anomalake lake check --tenant 5618 --deep
  anomalake lake check --deep --format json")]
    Check(check::CheckArgs),
}

/// Which tenant.
#[derive(Debug, clap::Args)]
pub struct TenantArg {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &LakeCommand) -> Result<(), CommandError> {
    match command {
        LakeCommand::Status(args) => status::run(data_dir, args).await,
        LakeCommand::Compact(args) => upkeep::run(data_dir, "compact", args).await,
        LakeCommand::Retain(args) => upkeep::run(data_dir, "retain", args).await,
        LakeCommand::Check(args) => check::run(data_dir, args).await,
        LakeCommand::Vacuum(args) => upkeep::run(data_dir, "vacuum", args).await,
    }
}
