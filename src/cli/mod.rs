//! The command line: one file per command.

pub mod client;
pub mod owner;
pub mod serve;
pub mod signal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use client::ClientError;

/// A self-hosted lake for the user activities of cloud services and the anomalies in them.
#[derive(Debug, Parser)]
#[command(name = "anomalake", version, about, max_term_width = 100)]
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
    /// Serve the HTTP API over a data directory.
    Serve(serve::ServeArgs),
}

/// Why a command failed: exit code 1, or 2 when it was called wrongly.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    message: String,
    hint: Option<String>,
    code: u8,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl CommandError {
    /// The command did not succeed.
    #[must_use]
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        let message = crate::services::evidence::chain(&error);
        Self { message, hint: None, code: 1, source: Some(Box::new(error)) }
    }

    /// The command did not succeed, in our own words.
    #[must_use]
    pub fn failed_text(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: 1, source: None }
    }

    /// The command was called wrongly.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: 2, source: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        Self::failed(error)
    }
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(matches!(cli.command, Command::Serve(_)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("anomalake-io").build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&CommandError::failed(error)),
    };
    match runtime.block_on(execute(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

async fn execute(cli: Cli) -> Result<(), CommandError> {
    let data_dir = || {
        cli.data_dir.clone().ok_or_else(|| {
            CommandError::usage("no data directory is given").with_hint("add --data-dir DIR or set ANOMALAKE_DATA_DIR")
        })
    };
    match &cli.command {
        Command::Serve(args) => serve::run(&data_dir()?, args).await,
    }
}

fn report(error: &CommandError) -> ExitCode {
    eprintln!("error: {error}");
    if let Some(hint) = &error.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(error.code)
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
