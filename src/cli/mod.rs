//! The command line: one file per command.

pub mod alerts;
pub mod anomaly;
pub mod args;
pub mod audit;
pub mod backup;
pub mod client;
pub mod completions;
pub mod demo;
pub mod error;
pub mod export;
pub mod exports;
pub mod generate;
pub mod ingest;
pub mod lake;
pub mod output;
pub mod owner;
mod part_file;
pub mod password;
pub mod serve;
pub mod session;
pub mod signal;
pub mod source;
pub mod sql;
mod stream;
pub mod tenant;
pub mod token;
pub mod uci;
pub mod uci_rules;
pub mod user;
pub mod user_data;
mod watched;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use error::CommandError;

const EXAMPLES: &str = "Every command works beside a running server, which sees its effect at once.

Examples:
  anomalake demo
  export ANOMALAKE_DATA_DIR=./lake
  anomalake tenant create --id 5618 --name Acme
  anomalake ingest --tenant 5618 activities.ndjson.gz
  anomalake anomaly create --tenant 5618 --user ann@example.com \\
    --from -24h --to now
  anomalake export --tenant 5618 --anomaly 1 > evidence.csv
  anomalake serve";

/// A self-hosted lake for the user activities of cloud services and the anomalies in them.
#[derive(Debug, Parser)]
#[command(name = "anomalake", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// Folder that holds everything: activities, evidence, registry.
    #[arg(long, global = true, env = "ANOMALAKE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try it out: a small company's data in a temporary folder, served with ready-made requests.
    ///
    /// Generates activities, loads them, creates anomalies in them, serves the HTTP API, and prints
    /// requests to paste with credentials that work. The folder is removed at the end unless --data-dir
    /// names one; the variable `ANOMALAKE_DATA_DIR` is ignored.
    Demo(demo::DemoArgs),
    /// Serve the HTTP API over a data directory.
    ///
    /// Prints one line `listening on http://ADDR:PORT` (`https://` with a certificate) when ready. On
    /// SIGTERM or Ctrl-C it takes no new connection, finishes the requests under way, and exits 0.
    Serve(serve::ServeArgs),
    /// Create, list, show, change and drop tenants.
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Create users, give and take their roles, change passwords.
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make, list and revoke API tokens of a tenant.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Load activities from files.
    ///
    /// A file is stored whole or not at all, and it is durable when its summary line is printed. The
    /// same content is not loaded twice within 7 days unless --again says so.
    Ingest(ingest::IngestArgs),
    /// Generate realistic activities as files, with planted anomalies whose truth is written beside them.
    Generate(generate::GenerateArgs),
    /// List, show and try out sources: how the logs of other products become activities.
    #[command(subcommand)]
    Source(source::SourceCommand),
    /// Create, list and show anomalies.
    #[command(subcommand)]
    Anomaly(anomaly::AnomalyCommand),
    /// Export the activities of an anomaly as of now, ascending by time.
    ///
    /// Unlike queryActivities it obeys no feature flag, delay, age or cap.
    Export(export::ExportArgs),
    /// Show how a tenant's lake is doing, check it; sort, drop old days and delete old files by hand.
    #[command(subcommand)]
    Lake(lake::LakeCommand),
    /// Show, lower and restore the confidence scores of users.
    #[command(subcommand)]
    Uci(uci::UciCommand),
    /// Show the alerts about users, oldest first, and follow new ones.
    Alerts(alerts::AlertsArgs),
    /// Run SQL over a tenant's activities, evidence, anomalies, impacts, users and alerts.
    ///
    /// Without a statement a shell on a terminal, with history, completion and `\d`.
    Sql(sql::SqlArgs),
    /// Save results: made in the background, downloaded later, also in pieces.
    #[command(subcommand)]
    Exports(exports::ExportsCommand),
    /// Show who did what in a tenant.
    Audit(audit::AuditArgs),
    /// Make backups and bring them back.
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Manage what is stored about a monitored user.
    #[command(subcommand)]
    UserData(user_data::UserDataCommand),
    /// Print a completion script for a shell.
    Completions(completions::CompletionsArgs),
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let from_environment = matches.value_source("data_dir") == Some(ValueSource::EnvVariable);
    log_to_stderr(matches!(cli.command, Command::Serve(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("anomalake-io").build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CommandError::failed(error)),
    };
    match runtime.block_on(execute(cli, from_environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

async fn execute(cli: Cli, from_environment: bool) -> Result<(), CommandError> {
    let data_dir = || {
        cli.data_dir.clone().ok_or_else(|| {
            CommandError::usage("no data directory is given").with_hint("add --data-dir DIR or set ANOMALAKE_DATA_DIR")
        })
    };
    match &cli.command {
        // A demo shall not end up in a real lake because a variable is set.
        Command::Demo(args) => demo::run(cli.data_dir.as_deref().filter(|_| !from_environment), args).await,
        Command::Serve(args) => serve::run(&data_dir()?, args).await,
        Command::Tenant(command) => tenant::run(&data_dir()?, command).await,
        Command::User(command) => user::run(&data_dir()?, command).await,
        Command::Token(command) => token::run(&data_dir()?, command).await,
        Command::Source(command) => source::run(command.clone()).await,
        Command::Generate(args) => generate::run(args).await,
        Command::Ingest(args) => ingest::run(&data_dir()?, args).await,
        Command::Anomaly(command) => anomaly::run(&data_dir()?, command).await,
        Command::Export(args) => export::run(&data_dir()?, args).await,
        Command::Lake(command) => lake::run(&data_dir()?, command).await,
        Command::Uci(command) => uci::run(&data_dir()?, command).await,
        Command::Alerts(args) => alerts::run(&data_dir()?, args).await,
        Command::Sql(args) => sql::run(&data_dir()?, args).await,
        Command::Exports(command) => exports::run(&data_dir()?, command).await,
        Command::Audit(args) => audit::run(&data_dir()?, args).await,
        Command::Backup(command) => backup::run(&data_dir()?, command).await,
        Command::UserData(command) => user_data::run(&data_dir()?, command).await,
        Command::Completions(args) => completions::run(args),
    }
}

fn report(error: &CommandError) -> ExitCode {
    error.print();
    error.exit_code()
}

/// Logs go to stderr; `RUST_LOG` chooses what, `ANOMALAKE_LOG_FORMAT=json` how.
fn log_to_stderr(serving: bool) {
    use tracing_subscriber::EnvFilter;
    // The libraries below tell of every log segment they read.
    let default = if serving { "warn,anomalake=info" } else { "error,anomalake=warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    if std::env::var("ANOMALAKE_LOG_FORMAT").is_ok_and(|format| format == "json") {
        builder.json().init();
    } else {
        builder.init();
    }
}
