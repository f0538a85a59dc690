//! `anomalake alerts`.

use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use url::form_urlencoded;

use super::CommandError;
use super::client::Client;
use super::output::{self, FormatArgs, ListFormat};
use super::session::{IfMissing, with_client};
use super::signal::Termination;
use crate::api::uci::alert_model::AlertModel;
use crate::api::uci::alerts::{AlertSearch, MAX_FOUND};
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;

/// How often a follower asks for more.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which alerts, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Fields of --query: alert_name, user, severity, activity, source, alert_id, alert_type.

Examples:
  anomalake alerts --tenant 5618
  anomalake alerts --tenant 5618 --query 'user eq \"ann@example.com\"'
  anomalake alerts --tenant 5618 --limit 0 --follow")]
pub struct AlertsArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Newest alerts to show, at most 10000.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(i64).range(0..=MAX_FOUND))]
    limit: i64,
    /// Conditions joined by `and`: `field eq "value"` or `field in ["a", "b"]`.
    #[arg(long, value_name = "CONDITIONS")]
    query: Option<String>,
    /// Go on with new ones as they come, until Ctrl-C; JSON is then one object a line.
    #[arg(long)]
    follow: bool,
    /// How to print it.
    #[command(flatten)]
    format: FormatArgs,
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub async fn run(data_dir: &Path, args: &AlertsArgs) -> Result<(), CommandError> {
    let mut termination = args.follow.then(Termination::listen);
    with_client(data_dir, IfMissing::Refuse, async |client| {
        let newest = newest(client, args).await?;
        let Some(termination) = &mut termination else {
            return output::list(args.format.format, &newest.alerts, &HEADINGS, cells);
        };
        for alert in &newest.alerts {
            if !line(args.format.format, alert)? {
                return Ok(());
            }
        }
        tokio::select! {
            () = termination.received() => Ok(()),
            ended = follow(client, args, newest.seen) => ended,
        }
    })
    .await
}

/// The newest alert that was shown: its id, and when it was made, in seconds since epoch.
#[derive(Debug, Clone, Default)]
struct Seen {
    id: String,
    second: i64,
}

struct Newest {
    alerts: Vec<AlertModel>,
    seen: Seen,
}

async fn newest(client: &Client, args: &AlertsArgs) -> Result<Newest, CommandError> {
    let total = search(client, args, 0, 0, 1).await?.status.total;
    // At least the newest is read, so that a follower knows where to go on.
    let limit = args.limit.max(1);
    let mut alerts = search(client, args, 0, (total - limit).max(0), limit).await?.result;
    let seen = alerts.last().map(|alert| Seen { id: alert.id.clone(), second: alert.timestamp }).unwrap_or_default();
    if args.limit == 0 {
        alerts.clear();
    }
    Ok(Newest { alerts, seen })
}

async fn follow(client: &Client, args: &AlertsArgs, mut seen: Seen) -> Result<(), CommandError> {
    loop {
        // The second of the last alert again: more may have been made in it. Ids grow along the order.
        let mut offset = 0;
        let begin = seen.second;
        loop {
            let page = search(client, args, begin, offset, MAX_FOUND).await?;
            for alert in page.result.iter().filter(|alert| alert.id > seen.id) {
                if !line(args.format.format, alert)? {
                    return Ok(());
                }
            }
            if let Some(last) = page.result.last().filter(|last| last.id > seen.id) {
                seen = Seen { id: last.id.clone(), second: last.timestamp };
            }
            offset += MAX_FOUND;
            if offset >= page.status.total {
                break;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn search(
    client: &Client,
    args: &AlertsArgs,
    starttime: i64,
    offset: i64,
    limit: i64,
) -> Result<AlertSearch, CommandError> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("query", args.query.as_deref().unwrap_or_default());
    for (name, number) in [("starttime", starttime), ("offset", offset), ("limit", limit)] {
        query.append_pair(name, &number.to_string());
    }
    let path = format!("/api/v2/events/datasearch/alert?{}", query.finish());
    Ok(client.json(Method::GET, &path, Some(args.tenant), None::<&()>).await?)
}

const HEADINGS: [&str; 8] = ["TIME", "ALERT", "SEVERITY", "USER", "SCORE", "POINTS", "SOURCE", "REASON"];

fn cells(alert: &AlertModel) -> Vec<String> {
    vec![
        format_time(alert.timestamp.saturating_mul(1000)),
        alert.alert_name.clone(),
        alert.severity.clone(),
        alert.user.clone(),
        alert.user_confidence_index.to_string(),
        alert.score.clone(),
        alert.source.clone(),
        alert.reason.clone(),
    ]
}

/// One alert as it comes: what comes next is not known, so nothing is aligned. False when nobody reads any more.
fn line(format: ListFormat, alert: &AlertModel) -> Result<bool, CommandError> {
    match format {
        ListFormat::Table => output::print_more(&format!("{}\n", output::printable(&cells(alert).join("  ")))),
        ListFormat::Json => {
            let text = serde_json::to_string(alert).map_err(CommandError::failed)?;
            output::print_more(&format!("{text}\n"))
        }
    }
}
