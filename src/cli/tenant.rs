//! `anomalake tenant`.

mod networks;

use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use clap::ArgGroup;

pub use self::networks::NetworksCommand;
use super::CommandError;
use super::args::{on_off, quota, span_ms};
use super::output::{self, FormatArgs};
use super::session::{IfMissing, with_client};
use crate::api::control::tenants::{CreateTenant, SetTenant, TenantModel};
use crate::domain::api_rate::ApiRate;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_span;
use crate::registry::settings::Quota;

/// Create, list, show, change and drop tenants.
#[derive(Debug, clap::Subcommand)]
pub enum TenantCommand {
    /// Create a tenant; the anomalous-activity feature is off.
    #[command(after_help = "Example:
  anomalake tenant create --id 5618 --name \"Acme Corp\"")]
    Create {
        /// Number of the tenant, from 1 on.
        #[arg(long, value_name = "ID")]
        id: TenantId,
        /// Name for people.
        #[arg(long)]
        name: String,
    },
    /// List all tenants.
    #[command(after_help = "Examples:
  anomalake tenant list
  anomalake tenant list --format json")]
    List(FormatArgs),
    /// Show a tenant and the limits that apply to it.
    #[command(after_help = "Example:
  anomalake tenant show 5618")]
    Show {
        /// Number of the tenant.
        id: TenantId,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change settings of a tenant; a running server obeys at once.
    #[command(after_help = "Examples:
  anomalake tenant set 5618 --anomalous-activity on
  anomalake tenant set 5618 --availability-delay 0s --max-activities 500000
  anomalake tenant set 5618 --quota 50GiB
  anomalake tenant set 5618 --uci-window 14d --uci-threshold 500
  anomalake tenant set 5618 --api-rate off")]
    Set(SetArgs),
    /// Show, add and remove the networks from which a tenant expects its people.
    #[command(subcommand)]
    Networks(NetworksCommand),
    /// Drop a tenant with all its activities, anomalies and tokens.
    #[command(after_help = "Example:
  anomalake tenant drop 5618 --yes")]
    Drop {
        /// Number of the tenant.
        id: TenantId,
        /// Yes, delete everything of this tenant.
        #[arg(long)]
        yes: bool,
    },
}

/// Settings to change; what is not given stays.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("settings").required(true).multiple(true).args([
    "anomalous_activity", "availability_delay", "recency", "max_activities", "activity_retention",
    "anomaly_retention", "quota", "uci_window", "uci_threshold", "api_rate",
]))]
pub struct SetArgs {
    /// Number of the tenant.
    id: TenantId,
    /// Whether queryActivities serves this tenant. Anomalies count from when it was switched on.
    #[arg(long, value_name = "on|off", value_parser = on_off())]
    anomalous_activity: Option<bool>,
    /// Time from an anomaly's creation until its activities are available, for example 12h.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    availability_delay: Option<i64>,
    /// Time from an anomaly's creation during which its activities are available, for example 15d.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    recency: Option<i64>,
    /// Most activities of an anomaly that queryActivities gives; the newest win.
    #[arg(long, value_name = "N")]
    max_activities: Option<i64>,
    /// Time from an activity's timeStamp during which it is kept, for example 100d.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    activity_retention: Option<i64>,
    /// Time from an anomaly's creation during which it is kept, for example 90d; never shorter than it is served.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    anomaly_retention: Option<i64>,
    /// Most bytes of stored activities and evidence, for example 50GiB; none takes the limit away.
    #[arg(long, value_name = "SIZE|none", value_parser = quota)]
    quota: Option<Quota>,
    /// How long an impact counts against a user's score, for example 30d; at most 90d.
    #[arg(long, value_name = "DURATION", value_parser = span_ms)]
    uci_window: Option<i64>,
    /// A fall of a user's score below it makes an alert, 0 to 1000; 0 makes none.
    #[arg(long, value_name = "SCORE", value_parser = clap::value_parser!(i64).range(0..=1000))]
    uci_threshold: Option<i64>,
    /// Requests a second of one token to each route under /api/v2.
    #[arg(long, value_name = "N|off")]
    api_rate: Option<ApiRate>,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &TenantCommand) -> Result<(), CommandError> {
    let if_missing = match command {
        TenantCommand::Create { .. } => IfMissing::Create,
        _ => IfMissing::Refuse,
    };
    if let TenantCommand::Drop { id, yes: false } = command {
        let message = format!("dropping tenant {id} deletes all its activities, anomalies and tokens");
        return Err(CommandError::usage(message).with_hint(format!("say so: anomalake tenant drop {id} --yes")));
    }
    with_client(data_dir, if_missing, async |client| match command {
        TenantCommand::Create { id, name } => {
            let new = CreateTenant { id: *id, name: name.clone() };
            let made: TenantModel = client.json(Method::POST, "/control/tenants", None, Some(&new)).await?;
            output::print(&format!("created tenant {}\n", made.id))
        }
        TenantCommand::List(FormatArgs { format }) => {
            let tenants: Vec<TenantModel> = client.json(Method::GET, "/control/tenants", None, None::<&()>).await?;
            let headings = ["ID", "NAME", "STATE", "ANOMALOUS ACTIVITY", "CREATED"];
            output::list(*format, &tenants, &headings, |t| {
                vec![t.id.to_string(), t.name.clone(), t.state.clone(), feature(t), t.created_at.clone()]
            })
        }
        TenantCommand::Show { id, format } => {
            let path = format!("/control/tenants/{id}");
            let tenant: TenantModel = client.json(Method::GET, &path, None, None::<&()>).await?;
            output::details(format.format, &tenant, fields)
        }
        TenantCommand::Set(args) => {
            let set = SetTenant {
                anomalous_activity: args.anomalous_activity,
                availability_delay_ms: args.availability_delay,
                recency_ms: args.recency,
                max_activities: args.max_activities,
                activity_retention_ms: args.activity_retention,
                anomaly_retention_ms: args.anomaly_retention,
                quota_bytes: args.quota,
                uci_window_ms: args.uci_window,
                uci_threshold: args.uci_threshold,
                api_rate: args.api_rate,
            };
            let path = format!("/control/tenants/{}", args.id);
            let tenant: TenantModel = client.json(Method::PATCH, &path, None, Some(&set)).await?;
            output::details(output::ListFormat::Table, &tenant, fields)
        }
        TenantCommand::Drop { id, .. } => {
            client.no_content(Method::DELETE, &format!("/control/tenants/{id}"), None::<&()>).await?;
            output::print(&format!("dropped tenant {id}\n"))
        }
        TenantCommand::Networks(command) => networks::run(client, command).await,
    })
    .await
}

fn feature(tenant: &TenantModel) -> String {
    match &tenant.anomalous_activity_since {
        Some(since) => format!("on since {since}"),
        None => "off".to_owned(),
    }
}

fn fields(tenant: &TenantModel) -> Vec<(&'static str, Option<String>)> {
    let span = |ms: i64| Some(format_span(Duration::from_millis(ms.unsigned_abs())));
    vec![
        ("id", Some(tenant.id.to_string())),
        ("name", Some(tenant.name.clone())),
        ("state", Some(tenant.state.clone())),
        ("created", Some(tenant.created_at.clone())),
        ("anomalous activity", Some(feature(tenant))),
        ("availability delay", span(tenant.availability_delay_ms)),
        ("recency", span(tenant.recency_ms)),
        ("max activities", Some(tenant.max_activities.to_string())),
        ("activity retention", span(tenant.activity_retention_ms)),
        ("anomaly retention", span(tenant.anomaly_retention_ms)),
        ("uci window", span(tenant.uci_window_ms)),
        ("uci threshold", Some(tenant.uci_threshold.to_string())),
        ("api rate", Some(tenant.api_rate.to_string())),
        ("quota", tenant.quota_bytes.map(|bytes| format_size(bytes.unsigned_abs()))),
    ]
}
