//! `anomalake sql`: one statement, statements from stdin, or a shell.

mod answer;
mod complete;
mod describe;
mod history;
mod params;
mod progress;
mod request;
mod shell;
mod statements;
mod table;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::CommandError;
use super::args::span;
use crate::domain::tenant::TenantId;
use answer::Target;
use request::Query;

pub(super) use params::{Param, Params, param};

/// A statement and where its rows go.
#[derive(Debug, clap::Args)]
#[command(after_help = "Tables: activities, evidence, anomalies, impacts, users, alerts; `\\d` in the shell
describes them. Without a statement, a shell on a terminal, else statements from stdin.
A parameter is read as JSON where it is a number, true, false, null or a quoted text,
else as text.

Examples:
  anomalake sql --tenant 5618 'select user, count(*) n from activities group by 1'
  anomalake sql --tenant 5618 'select * from activities where userKey = $1' \\
    --param 1=ann@example.com --format parquet -o ann.parquet
  echo 'select count(*) from activities' | anomalake sql --tenant 5618
  anomalake sql --tenant 5618")]
pub struct SqlArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// The statement.
    statement: Option<String>,
    /// How rows are written; a table on a terminal, else CSV.
    #[arg(long, value_enum)]
    format: Option<SqlFormat>,
    /// Write to this file instead of stdout; it appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A parameter: 1=VALUE for $1, NAME=VALUE for $NAME.
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = param)]
    params: Vec<Param>,
    /// Longest time until the last row, for example 20s.
    #[arg(long, value_name = "DURATION", value_parser = span)]
    timeout: Option<Duration>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SqlFormat {
    /// Aligned columns, for people.
    Table,
    /// One header line, then rows.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// One JSON array.
    Json,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl SqlFormat {
    /// What is asked of the server. A table is made here, of typed values.
    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Ndjson => "application/x-ndjson",
            Self::Json => "application/json",
            Self::Table | Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Whether its bytes are no text.
    const fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// Runs the command.
///
/// # Errors
/// When a statement is refused, breaks off, or its rows cannot be written.
pub async fn run(data_dir: &Path, args: &SqlArgs) -> Result<(), CommandError> {
    let to_terminal = args.output.is_none() && io::stdout().is_terminal();
    let default = if to_terminal { SqlFormat::Table } else { SqlFormat::Csv };
    let format = args.format.unwrap_or(default);
    if to_terminal && format.is_binary() {
        let message = "this format is no text, and stdout is a terminal";
        return Err(CommandError::usage(message).with_hint("add -o FILE"));
    }
    let query = Query {
        data_dir: data_dir.to_owned(),
        tenant: args.tenant,
        params: Params::of(&args.params)?,
        timeout: args.timeout,
        format,
    };
    let target = args.output.clone().map_or(Target::Stdout, Target::File);
    let text = match &args.statement {
        Some(text) => text.clone(),
        None if io::stdin().is_terminal() => {
            if args.output.is_some() || !args.params.is_empty() {
                return Err(CommandError::usage("-o and --param need a statement")
                    .with_hint("give the statement as an argument, or on stdin"));
            }
            return shell::run(query).await;
        }
        None => io::read_to_string(io::stdin()).map_err(|error| CommandError::io("cannot read stdin", error))?,
    };
    let found = statements::split(&text);
    if found.is_empty() {
        return Err(CommandError::usage("there is no statement"));
    }
    if found.len() > 1 && args.output.is_some() {
        return Err(CommandError::usage("-o takes the rows of one statement, and there are several"));
    }
    for statement in &found {
        until_interrupted(query.run(statement, &target)).await?;
    }
    Ok(())
}

/// Ends the work at Ctrl-C, so that what it holds is given back and no part of a file is left.
async fn until_interrupted(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    tokio::select! {
        done = work => done,
        () = interrupted() => Err(CommandError::failed_text("interrupted; the query is cancelled")),
    }
}

/// Waits for Ctrl-C; for ever where it cannot be heard.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
