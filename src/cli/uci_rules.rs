//! `anomalake uci rules`.

use axum::http::Method;
use clap::ArgAction;

use super::CommandError;
use super::args::on_off;
use super::client::Client;
use super::output::{self, FormatArgs};
use crate::api::uci::reset_rules::{DeletedResetRule, ResetRuleModel, ResetRules, StoredResetRule};
use crate::domain::tenant::TenantId;

const PATH: &str = "/api/v2/incidents/uci/resetrules";

/// List, create, show, replace and delete rules by which scores are reset.
#[derive(Debug, clap::Subcommand)]
pub enum RulesCommand {
    /// List the tenant's rules.
    #[command(after_help = "Example:
  anomalake uci rules list --tenant 5618")]
    List {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Create a rule and print its number alone; it first runs at its next time.
    #[command(after_help = "Examples:
  anomalake uci rules create --tenant 5618 --name nightly \\
    --user '*@example.com' --schedule daily --at 02:00
  anomalake uci rules create --tenant 5618 --name weekly \\
    --user ann@example.com --schedule weekly --weekday monday --at 06:30")]
    Create {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// The rule.
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// Show a rule.
    #[command(after_help = "Example:
  anomalake uci rules show --tenant 5618 1")]
    Show {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the rule.
        #[arg(value_name = "NUMBER")]
        id: i64,
        /// How to print it.
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Replace a rule as a whole.
    #[command(after_help = "Example:
  anomalake uci rules replace --tenant 5618 1 --name nightly \\
    --user '*@example.com' --schedule daily --at 03:00 --enabled off")]
    Replace {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the rule.
        #[arg(value_name = "NUMBER")]
        id: i64,
        /// The rule.
        #[command(flatten)]
        rule: RuleArgs,
    },
    /// Delete a rule; it never runs again.
    #[command(after_help = "Example:
  anomalake uci rules delete --tenant 5618 1")]
    Delete {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: TenantId,
        /// Number of the rule.
        #[arg(value_name = "NUMBER")]
        id: i64,
    },
}

/// A rule.
#[derive(Debug, Clone, clap::Args)]
pub struct RuleArgs {
    /// Name for people.
    #[arg(long)]
    name: String,
    /// A user, exactly or as a glob pattern such as '*@example.com'; may be given again.
    #[arg(long = "user", required = true, value_name = "USER")]
    users: Vec<String>,
    /// How often.
    #[arg(long, value_name = "daily|weekly|monthly", value_parser = ["daily", "weekly", "monthly"])]
    schedule: String,
    /// Time of day, UTC.
    #[arg(long, value_name = "HH:MM")]
    at: String,
    /// Day of a weekly rule, for example monday.
    #[arg(long, value_name = "DAY")]
    weekday: Option<String>,
    /// Day of a monthly rule, 1 to 28.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=28))]
    day_of_month: Option<i64>,
    /// Whether it runs.
    #[arg(long, value_name = "on|off", default_value = "on", action = ArgAction::Set, value_parser = on_off())]
    enabled: bool,
}

impl RuleArgs {
    fn model(&self) -> ResetRuleModel {
        let Self { name, users, schedule, at, weekday, day_of_month, enabled } = self.clone();
        ResetRuleModel { name, users, schedule, at, weekday, day_of_month, enabled }
    }
}

/// Runs the command.
///
/// # Errors
/// [`CommandError`].
pub(super) async fn run(client: &Client, command: &RulesCommand) -> Result<(), CommandError> {
    match command {
        RulesCommand::List { tenant, format } => {
            let rules: ResetRules = client.json(Method::GET, PATH, Some(*tenant), None::<&()>).await?;
            let headings = ["NUMBER", "NAME", "WHEN", "USERS", "LAST RUN", "NEXT RUN"];
            output::list(format.format, &rules.results, &headings, |rule| {
                let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
                vec![
                    rule.id.to_string(),
                    rule.name.clone(),
                    when(rule),
                    rule.users.join(", "),
                    or_dash(&rule.last_run),
                    or_dash(&rule.next_run),
                ]
            })
        }
        RulesCommand::Create { tenant, rule } => {
            let made: StoredResetRule = client.json(Method::POST, PATH, Some(*tenant), Some(&rule.model())).await?;
            output::print(&format!("{}\n", made.id))
        }
        RulesCommand::Show { tenant, id, format } => {
            let path = format!("{PATH}/{id}");
            let rule: StoredResetRule = client.json(Method::GET, &path, Some(*tenant), None::<&()>).await?;
            output::details(format.format, &rule, fields)
        }
        RulesCommand::Replace { tenant, id, rule } => {
            let path = format!("{PATH}/{id}");
            let rule: StoredResetRule = client.json(Method::PUT, &path, Some(*tenant), Some(&rule.model())).await?;
            output::details(output::ListFormat::Table, &rule, fields)
        }
        RulesCommand::Delete { tenant, id } => {
            let path = format!("{PATH}/{id}");
            let gone: DeletedResetRule = client.json(Method::DELETE, &path, Some(*tenant), None::<&()>).await?;
            output::print(&format!("deleted rule {}\n", gone.id))
        }
    }
}

/// `weekly, monday 06:30`.
fn when(rule: &StoredResetRule) -> String {
    let day = rule.weekday.clone().or(rule.day_of_month.map(|day| format!("day {day}")));
    let day = day.map(|day| format!(", {day}")).unwrap_or_default();
    format!("{}{day} {}", rule.schedule, rule.at)
}

fn fields(rule: &StoredResetRule) -> Vec<(&'static str, Option<String>)> {
    vec![
        ("number", Some(rule.id.to_string())),
        ("name", Some(rule.name.clone())),
        ("when", Some(when(rule))),
        ("users", Some(rule.users.join(", "))),
        ("enabled", Some(if rule.enabled { "on" } else { "off" }.to_owned())),
        ("last run", rule.last_run.clone()),
        ("next run", rule.next_run.clone()),
        ("created", Some(rule.created_at.clone())),
        ("modified", Some(rule.modified_at.clone())),
    ]
}
