//! `anomalake anomaly`.

use std::path::Path;

use axum::http::Method;
use clap::ArgGroup;

use super::CommandError;
use super::args::{path_segment, time};
use super::client::{Client, ClientError};
use super::output::{self, FormatArgs, ListFormat};
use super::session::{IfMissing, with_client};
use crate::api::anomalies::create_anomaly::CreateAnomaly;
use crate::api::anomalies::list_anomalies::{AnomalyPage, MAX_LIMIT};
use crate::api::anomalies::model::{AnomalyModel, TimeValue};
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantId;

/// Create, list and show anomalies.
#[derive(Debug, clap::Subcommand)]
pub enum AnomalyCommand {
    /// Create an anomaly and print its id alone.
    #[command(after_help = "Times: RFC 3339 (2026-11-22T10:00:00Z), epoch ms, now, or relative (-24h, +30m).
The window holds --from and ends before --to, which may lie in the future.

Examples:
  anomalake anomaly create --tenant 5618 --user ann@example.com \\
    --from -24h --to now
  anomalake anomaly create --tenant 5618 --from -7d --to now \\
    --where \"downloadBytes > 1000000 AND country <> 'US'\"")]
    Create(CreateArgs),
    /// List anomalies, newest first.
    #[command(after_help = "Example:
  anomalake anomaly list --tenant 5618 --limit 20")]
    List {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Most anomalies to list.
        #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show an anomaly, whether queryActivities gives its activities, and the state of its evidence.
    #[command(after_help = "Example:
  anomalake anomaly show --tenant 5618 42")]
    Show {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// 42, ANO-42 or the 24 hex digits.
        anomaly: String,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
}

/// An anomaly to create.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("whose").required(true).multiple(true).args(["user", "condition"]))]
pub struct CreateArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Whose activities belong to it; matched trimmed and without case. This or --where is needed.
    #[arg(long)]
    user: Option<String>,
    /// First moment of the window.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    from: String,
    /// First moment after the window.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    to: String,
    /// Condition over the activity columns, in SQL.
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Risk score.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    score: Option<f64>,
    /// Category; fills threatCategory of its activities where they have none.
    #[arg(long)]
    category: Option<String>,
    /// What reported it.
    #[arg(long)]
    source: Option<String>,
    /// Why it was reported.
    #[arg(long)]
    reason: Option<String>,
    /// When it counts as created; now by default.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    created_at: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &AnomalyCommand) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| match command {
        AnomalyCommand::Create(args) => {
            let new = CreateAnomaly {
                user: args.user.clone(),
                from: TimeValue::Text(args.from.clone()),
                to: TimeValue::Text(args.to.clone()),
                condition: args.condition.clone(),
                score: args.score,
                category: args.category.clone(),
                source: args.source.clone(),
                reason: args.reason.clone(),
                activity: None,
                value: None,
                service_names: Vec::new(),
                instance_id: None,
                instance_name: None,
                created_at: args.created_at.clone().map(TimeValue::Text),
            };
            let made = create(client, args.tenant, &new).await?;
            output::print(&format!("{}\n", made.id))
        }
        AnomalyCommand::List { tenant, limit, format } => list(client, *tenant, *limit, format.format).await,
        AnomalyCommand::Show { tenant, anomaly, format } => {
            let path = format!("/api/v1/anomalies/{}", path_segment(anomaly));
            let anomaly: AnomalyModel = client.json(Method::GET, &path, Some(*tenant), None::<&()>).await?;
            output::details(format.format, &anomaly, fields)
        }
    })
    .await
}

/// Creates an anomaly.
///
/// # Errors
/// As [`Client::call`].
pub async fn create(client: &Client, tenant: TenantId, new: &CreateAnomaly) -> Result<AnomalyModel, ClientError> {
    client.json(Method::POST, "/api/v1/anomalies", Some(tenant), Some(new)).await
}

async fn list(client: &Client, tenant: TenantId, limit: u32, format: ListFormat) -> Result<(), CommandError> {
    let mut anomalies: Vec<AnomalyModel> = Vec::new();
    let mut before = None;
    let more = loop {
        let page = (limit as usize).saturating_sub(anomalies.len()).min(MAX_LIMIT as usize);
        if page == 0 {
            break true;
        }
        let before_param = before.map(|id: String| format!("&before={id}")).unwrap_or_default();
        let path = format!("/api/v1/anomalies?limit={page}{before_param}");
        let page: AnomalyPage = client.json(Method::GET, &path, Some(tenant), None::<&()>).await?;
        anomalies.extend(page.anomalies);
        match page.next {
            Some(next) => before = Some(next),
            None => break false,
        }
    };
    let headings = ["ID", "USER", "FROM", "TO", "CATEGORY", "EVIDENCE", "ROWS", "CREATED"];
    output::list(format, &anomalies, &headings, |anomaly| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            anomaly.id.to_string(),
            or_dash(anomaly.user.clone()),
            anomaly.from.clone(),
            anomaly.to.clone(),
            or_dash(anomaly.category.clone()),
            anomaly.evidence.state.clone(),
            or_dash(anomaly.evidence.rows.map(|rows| rows.to_string())),
            anomaly.created_at.clone(),
        ]
    })?;
    if more {
        eprintln!("note: there are more anomalies than {limit}; raise --limit to see them");
    }
    Ok(())
}

fn fields(anomaly: &AnomalyModel) -> Vec<(&'static str, Option<String>)> {
    let evidence = &anomaly.evidence;
    vec![
        ("id", Some(anomaly.id.to_string())),
        ("incident id", Some(anomaly.incident_id.clone())),
        ("anomaly id", Some(anomaly.anomaly_id.clone())),
        ("user", anomaly.user.clone()),
        ("from", Some(anomaly.from.clone())),
        ("to", Some(anomaly.to.clone())),
        ("where", anomaly.condition.clone()),
        ("score", anomaly.score.map(|score| score.to_string())),
        ("category", anomaly.category.clone()),
        ("source", anomaly.source.clone()),
        ("reason", anomaly.reason.clone()),
        ("activity", anomaly.activity.clone()),
        ("value", anomaly.value.map(|value| value.to_string())),
        ("services", Some(anomaly.service_names.join(", ")).filter(|names| !names.is_empty())),
        ("instance id", anomaly.instance_id.map(|id| id.to_string())),
        ("instance", anomaly.instance_name.clone()),
        ("status", Some(anomaly.status.clone())),
        ("created", Some(anomaly.created_at.clone())),
        ("modified", Some(anomaly.modified_at.clone())),
        ("availability", Some(anomaly.availability.clone())),
        ("evidence", Some(evidence.state.clone())),
        ("evidence rows", evidence.rows.map(|rows| rows.to_string())),
        ("evidence size", evidence.bytes.map(|bytes| format_size(bytes.unsigned_abs()))),
        ("evidence made", evidence.made_at.clone()),
        ("evidence of version", evidence.lake_version.map(|version| version.to_string())),
        ("evidence error", evidence.error.clone()),
    ]
}
