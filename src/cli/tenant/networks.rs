//! `anomalake tenant networks`.

use axum::http::Method;

use crate::api::control::networks::{AddNetworks, AddedNetworks, NetworkModel, RemoveNetworks, RemovedNetworks};
use crate::cli::CommandError;
use crate::cli::client::Client;
use crate::cli::output::{self, FormatArgs, count};
use crate::domain::tenant::TenantId;
use crate::domain::trust::SourceNetwork;

/// Show, add and remove the networks from which a tenant expects its people.
#[derive(Debug, clap::Subcommand)]
pub enum NetworksCommand {
    /// Show the tenant's networks.
    #[command(after_help = "Examples:
  anomalake tenant networks show 5618
  anomalake tenant networks show 5618 --format json")]
    Show {
        /// Number of the tenant.
        id: TenantId,
        /// How to print them.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Add networks, or judge anew those that are there.
    #[command(after_help = "The most specific network decides; any network decides before its autonomous system.

Examples:
  anomalake tenant networks add 5618 203.0.113.0/24 2001:db8:7::/48 \\
    --reason \"Head office\"
  anomalake tenant networks add 5618 AS64500 --entity \"Acme IT\" \\
    --reason \"Our provider\"
  anomalake tenant networks add 5618 203.0.113.64/26 \\
    --untrusted --reason Guests")]
    Add(AddArgs),
    /// Remove networks.
    #[command(after_help = "Example:
  anomalake tenant networks remove 5618 203.0.113.0/24 AS64500")]
    Remove {
        /// Number of the tenant.
        id: TenantId,
        /// Networks as `show` shows them.
        #[arg(required = true, value_name = "NETWORK")]
        networks: Vec<SourceNetwork>,
    },
}

/// Networks to judge, and how.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// Number of the tenant.
    id: TenantId,
    /// Networks: `203.0.113.0/24`, `2001:db8:7::/48`, a single address, or an autonomous system, `AS64500`.
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<SourceNetwork>,
    /// Who trusts them, the column trustEntity; the tenant's name when absent.
    #[arg(long, value_name = "NAME")]
    entity: Option<String>,
    /// Why, the column trustReason; Trusted Network or Untrusted Network when absent.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// They are not trusted: an exception within a network that is.
    #[arg(long)]
    untrusted: bool,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub(super) async fn run(client: &Client, command: &NetworksCommand) -> Result<(), CommandError> {
    match command {
        NetworksCommand::Show { id, format } => {
            let networks: Vec<NetworkModel> = client.json(Method::GET, &path(*id), None, None::<&()>).await?;
            let headings = ["NETWORK", "TRUSTED", "ENTITY", "REASON"];
            output::list(format.format, &networks, &headings, |n| {
                let trusted = if n.trusted { "yes" } else { "no" };
                vec![n.network.to_string(), trusted.to_owned(), n.entity.clone(), n.reason.clone()]
            })
        }
        NetworksCommand::Add(args) => {
            let add = AddNetworks {
                networks: args.networks.clone(),
                trusted: !args.untrusted,
                entity: args.entity.clone(),
                reason: args.reason.clone(),
            };
            let done: AddedNetworks = client.json(Method::POST, &path(args.id), None, Some(&add)).await?;
            let added = count(done.added, "network", "networks");
            output::print(&format!("added {added}, changed {}; the next ingest follows it\n", done.replaced))
        }
        NetworksCommand::Remove { id, networks } => {
            let remove = RemoveNetworks { networks: networks.clone() };
            let path = format!("{}/remove", path(*id));
            let done: RemovedNetworks = client.json(Method::POST, &path, None, Some(&remove)).await?;
            output::print(&format!("removed {}\n", count(done.removed.len() as u64, "network", "networks")))?;
            if done.missing.is_empty() {
                return Ok(());
            }
            let missing: Vec<String> = done.missing.iter().map(ToString::to_string).collect();
            Err(CommandError::failed_text(format!("not among the tenant's networks: {}", missing.join(", ")))
                .with_hint(format!("`anomalake tenant networks show {id}` shows them")))
        }
    }
}

fn path(id: TenantId) -> String {
    format!("/control/tenants/{id}/networks")
}
