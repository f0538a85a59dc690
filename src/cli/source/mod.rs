//! `anomalake source`.

mod trial;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::CommandError;
use super::args::ConfigArgs;
use super::output::{self, FormatArgs};
use crate::enrich::{Databases, EnrichmentMetrics};
use crate::query::cpu::CpuRuntime;
use crate::sources::{EMBEDDED, EmbeddedSource, Layout, Source, SourceError, embedded};

/// What to do with sources.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum SourceCommand {
    /// List the sources that come with the program.
    #[command(after_help = "Example:
  anomalake source list")]
    List(FormatArgs),
    /// Print a source's file, a start for one of your own.
    #[command(after_help = "Example:
  anomalake source show okta > my-okta.sql")]
    Show {
        /// Its name.
        name: String,
    },
    /// Map a sample and show its rows, how full each column is, and what was dropped. Nothing is stored.
    ///
    /// With the settings of a server, what its databases know about the addresses is filled in too.
    Test(TestArgs),
}

/// What to map, and how.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  anomalake source test okta log.json
  anomalake source test okta log.json --config anomalake.toml
  anomalake source test ./badge.sql doors.csv --format csv")]
pub struct TestArgs {
    /// Name of a source, or a file that ends in .sql.
    source: String,
    /// Records as the vendor delivers them, plain or compressed.
    sample: PathBuf,
    /// How they are written.
    #[arg(long, value_enum, default_value = "json")]
    format: LayoutArg,
    #[command(flatten)]
    config: ConfigArgs,
    /// Rows to print.
    #[arg(long, default_value_t = 5)]
    rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LayoutArg {
    /// JSON: a record a line, in lists, or in documents.
    Json,
    /// CSV with a header line.
    Csv,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    about: String,
    columns: Vec<&'static str>,
}

/// Runs the command.
///
/// # Errors
/// When there is no such source, its file is not sound, or the sample cannot be read.
pub async fn run(command: SourceCommand) -> Result<(), CommandError> {
    match command {
        SourceCommand::Show { name } => output::print(known(&name)?.text),
        SourceCommand::List(format) => {
            let listed = on_large_stack(list).await?;
            output::list(format.format, &listed, &["name", "about"], |source| {
                vec![source.name.to_owned(), source.about.clone()]
            })
        }
        SourceCommand::Test(args) => {
            let text = on_large_stack(move || {
                let layout = if args.format == LayoutArg::Csv { Layout::Csv } else { Layout::Json };
                let files = args.config.settings()?.enrichment.databases;
                let databases = Databases::open(&files, EnrichmentMetrics::default()).map_err(CommandError::failed)?;
                trial::run(&read(&args.source)?, layout, &args.sample, args.rows, &databases)
            });
            output::print(&text.await?)
        }
    }
}

/// Planning recurses along expressions, deeper than the usual stack.
async fn on_large_stack<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CommandError> + Send + 'static,
) -> Result<T, CommandError> {
    let runtime = CpuRuntime::start().map_err(CommandError::failed)?;
    runtime.handle().spawn_blocking(work).await.map_err(CommandError::failed)?
}

fn list() -> Result<Vec<Listed>, CommandError> {
    let listed = |file: &EmbeddedSource| {
        let source = file.source().map_err(CommandError::failed)?;
        let columns = source.column_names().collect();
        Ok(Listed { name: file.name, about: source.about().to_owned(), columns })
    };
    EMBEDDED.iter().map(listed).collect()
}

fn known(name: &str) -> Result<&'static EmbeddedSource, CommandError> {
    embedded(name).ok_or_else(|| {
        CommandError::failed_text(format!("there is no source `{name}`"))
            .with_hint("`anomalake source list` shows them; a file of your own ends in .sql")
    })
}

/// A source by its name, or from its file.
fn read(source: &str) -> Result<std::sync::Arc<Source>, CommandError> {
    let path = Path::new(source);
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sql")) {
        return known(source)?.source().map_err(CommandError::failed);
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| CommandError::io(format!("cannot read the source {source}"), error))?;
    let unsound = |error: SourceError| CommandError::failed_text(format!("{source}: {error}"));
    Source::parse(&text).map(std::sync::Arc::new).map_err(unsound)
}
