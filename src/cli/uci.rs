//! `anomalake uci`.

use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;

use super::CommandError;
use super::args::{path_segment, time_ms};
use super::client::{Client, transport};
use super::output::{self, FormatArgs};
use super::session::{IfMissing, with_client};
use super::uci_rules::{self, RulesCommand};
use crate::api::activities::ingest_activities::{IDEMPOTENCY_KEY, REPLAYED};
use crate::api::uci::allow_uci_anomaly::{AllowUciAnomaly, AllowedAnswer};
use crate::api::uci::create_uci_impact::UciImpactAnswer;
use crate::api::uci::impact::UciImpact;
use crate::api::uci::reset_uci::{ResetAnswer, ResetUci};
use crate::api::uci::show_user_uci::ExplainedUci;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_span;

/// Show, lower and restore the confidence scores of users.
#[derive(Debug, clap::Subcommand)]
pub enum UciCommand {
    /// Show a user's score and every impact that counts against it.
    #[command(after_help = "Example:
  anomalake uci show --tenant 5618 ann@example.com")]
    Show {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// The user, trimmed and without case.
        user: String,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Take points off a user's score and print the id of the impact alone.
    #[command(after_help = "Example:
  anomalake uci impact --tenant 5618 --user ann@example.com --score 50 \\
    --source OKTA --reason 'too many failed logins'")]
    Impact(ImpactArgs),
    /// Give back the points of an impact.
    #[command(after_help = "Example:
  anomalake uci allow --tenant 5618 ANO-42 --reason 'not an anomaly'")]
    Allow {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// 42, ANO-42 or the 24 hex digits.
        anomaly: String,
        /// Why.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Set the scores of users to 1000; all of them or, when one is unknown, none.
    #[command(after_help = "Example:
  anomalake uci reset --tenant 5618 ann@example.com bob@example.com")]
    Reset {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// The users, trimmed and without case.
        #[arg(required = true, value_name = "USER")]
        users: Vec<String>,
    },
    /// List, create, show, replace and delete rules by which scores are reset.
    #[command(subcommand)]
    Rules(RulesCommand),
}

/// An impact.
#[derive(Debug, clap::Args)]
pub struct ImpactArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Whose score falls.
    #[arg(long)]
    user: String,
    /// Points to take off, 1 to 1000.
    #[arg(long, value_name = "POINTS", value_parser = clap::value_parser!(i64).range(1..=1000))]
    score: i64,
    /// Who reports it.
    #[arg(long)]
    source: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// When it happened; now by default.
    #[arg(long, value_name = "TIME", value_parser = time_ms, allow_hyphen_values = true)]
    time: Option<i64>,
    /// Makes a repeat of the command within 24 hours take nothing off again.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, command: &UciCommand) -> Result<(), CommandError> {
    with_client(data_dir, IfMissing::Refuse, async |client| match command {
        UciCommand::Show { tenant, user, format } => {
            let path = format!("/api/v1/users/{}/uci", path_segment(user));
            let explained: ExplainedUci = client.json(Method::GET, &path, Some(*tenant), None::<&()>).await?;
            show(*format, &explained)
        }
        UciCommand::Impact(args) => impact(client, args).await,
        UciCommand::Allow { tenant, anomaly, reason } => {
            let path = format!("/api/v2/incidents/anomalies/{}/allow", path_segment(anomaly));
            let body = AllowUciAnomaly { reason: reason.clone() };
            let allowed: AllowedAnswer = client.json(Method::POST, &path, Some(*tenant), Some(&body)).await?;
            output::print(&format!("allowed {} of {}\n", allowed.anomaly_id, output::printable(&allowed.user)))
        }
        UciCommand::Reset { tenant, users } => {
            let body = ResetUci { users: users.clone() };
            let path = "/api/v2/incidents/users/uci/reset";
            let reset: ResetAnswer = client.json(Method::POST, path, Some(*tenant), Some(&body)).await?;
            let lines = reset.users.iter().map(|user| format!("reset {}\n", output::printable(user)));
            output::print(&lines.collect::<String>())
        }
        UciCommand::Rules(command) => uci_rules::run(client, command).await,
    })
    .await
}

async fn impact(client: &Client, args: &ImpactArgs) -> Result<(), CommandError> {
    let impact = UciImpact {
        user: args.user.clone(),
        score: args.score,
        timestamp: args.time.unwrap_or_else(|| SystemClock.now_ms()),
        source: args.source.clone(),
        reason: args.reason.clone(),
    };
    let mut request = Client::request(Method::POST, "/api/v2/incidents/user/uciimpact", Some(args.tenant))
        .header(CONTENT_TYPE, "application/json");
    if let Some(key) = &args.idempotency_key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let body = Body::from(serde_json::to_vec(&impact).map_err(CommandError::failed)?);
    let response = client.call(request.body(body).map_err(transport)?).await?;
    let replayed = response.headers().contains_key(REPLAYED);
    let bytes = response.into_body().collect().await.map_err(transport)?.to_bytes();
    let stored: UciImpactAnswer = serde_json::from_slice(&bytes).map_err(transport)?;
    if replayed {
        eprintln!("note: an earlier command with this key stored it; nothing was taken off again");
    }
    output::print(&format!("{}\n", stored.anomaly_id))
}

fn show(format: FormatArgs, explained: &ExplainedUci) -> Result<(), CommandError> {
    if format.format == output::ListFormat::Json {
        return output::details(format.format, explained, |_| Vec::new());
    }
    output::details(format.format, explained, |explained| {
        vec![
            ("user", Some(explained.user.clone())),
            ("score", Some(explained.score.to_string())),
            ("band", Some(explained.band.clone())),
            ("at", Some(explained.at.clone())),
            ("impacts count for", Some(format_span(Duration::from_millis(explained.window_ms.unsigned_abs())))),
        ]
    })?;
    if explained.impacts.is_empty() {
        return output::print("no impact counts against it\n");
    }
    output::print("\n")?;
    let headings = ["ANOMALY", "POINTS", "TIME", "COUNTS UNTIL", "SOURCE", "REASON"];
    output::list(format.format, &explained.impacts, &headings, |impact| {
        vec![
            impact.anomaly_id.clone(),
            impact.score.to_string(),
            impact.time.clone(),
            impact.until.clone(),
            impact.source.clone(),
            impact.reason.clone(),
        ]
    })
}
