//! `anomalake ingest`.

mod answer;
mod job;
mod progress;
mod source;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use futures::StreamExt;

use super::CommandError;
use super::args::ConfigArgs;
use super::output;
use super::session::{IfMissing, with_settings};
use crate::api::control::tenants::TenantModel;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::parse_span;
use crate::formats::input::NATIVE_SOURCE;
use job::Job;

/// What to load, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Gzip and zstd are found by content, and so is the format unless --format names it.

Examples:
  anomalake ingest --tenant 5618 monday.ndjson tuesday.ndjson.gz
  zcat export-*.gz | anomalake ingest --tenant 5618 -
  anomalake ingest --tenant 5618 --on-error skip --format parquet week.parquet
  anomalake ingest --tenant 5618 --source okta log.json
  anomalake ingest --tenant 5618 --source okta --dedup off log.json
  anomalake ingest --tenant 5618 --source ./badge.sql --format csv doors.csv
  anomalake ingest --tenant 5618 --source cloudtrail --watch ./inbox")]
pub struct IngestArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Source mapping of the records: a name of `anomalake source list`, or a file that ends in `.sql`;
    /// `activities` is the lake's own columns.
    #[arg(long, default_value = NATIVE_SOURCE)]
    source: String,
    /// Format of the files; found by content when absent.
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// What a bad record does: refuse its whole file, or be left out.
    #[arg(long, value_enum, default_value = "reject")]
    on_error: OnError,
    /// Which events are repeats and not stored again: those with the activityId of one that was stored from the same
    /// source within 7 days, or none. By default activityId, but off for the source `activities`.
    #[arg(long, value_enum)]
    dedup: Option<Dedup>,
    /// Load files again whose content is loaded already; their repeats are still left out, see --dedup.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Load the files that appear in this folder, until Ctrl-C.
    ///
    /// Each is loaded once and moved to the folder's `done`; a bad one to `failed`, with what is wrong with
    /// it beside it. Taken are files that look the same twice, but not those that end in .part or .tmp or
    /// begin with a dot.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "again"])]
    watch: Option<PathBuf>,
    /// Time between two looks at the folder.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_span, requires = "watch")]
    poll: Duration,
    /// Files to load; - is stdin.
    #[arg(required_unless_present = "watch", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum InputFormat {
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
    /// CSV with a header line that names the columns.
    Csv,
    /// Arrow IPC, stream or file.
    Arrow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnError {
    /// A bad record refuses its whole file.
    Reject,
    /// The good records are stored, the others counted.
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Dedup {
    /// An event with a known id is stored once.
    #[value(name = "activityId")]
    ActivityId,
    /// Every event is stored.
    #[value(alias = "none")]
    Off,
}

/// Runs the command.
///
/// # Errors
/// When a file was not loaded; the others are loaded all the same. Of a watched folder, when no file can
/// be loaded any more.
pub async fn run(data_dir: &Path, args: &IngestArgs) -> Result<(), CommandError> {
    if args.files.iter().filter(|file| source::is_stdin(file)).count() > 1 {
        return Err(CommandError::usage("stdin (-) can be read once only"));
    }
    let settings = args.config.settings()?;
    with_settings(data_dir, IfMissing::Refuse, &settings, async |client| {
        let job = Job::new(client, args)?;
        // A wrong tenant or source shall not be found out after an hour of reading.
        let path = format!("/control/tenants/{}", args.tenant);
        let _: TenantModel = client.json(Method::GET, &path, None, None::<&()>).await?;
        job.mapping.name(client).await.map_err(|error| CommandError::from(error).about(&args.source))?;
        match &args.watch {
            Some(folder) => watch::watch(&job, folder, args.poll).await,
            None => load_all(&job, &args.files).await,
        }
    })
    .await
}

/// Files loaded at the same time: while one is decoded another is written.
const FILES_AT_ONCE: usize = 2;

async fn load_all(job: &Job<'_>, files: &[PathBuf]) -> Result<(), CommandError> {
    let (mut failed, mut nothing_stored) = (0, true);
    let loads = files.iter().map(async |file| {
        let name = source::display_name(file);
        (job.load(file, &name).await, name)
    });
    // Told in the order of the command.
    let mut loaded = std::pin::pin!(futures::stream::iter(loads).buffered(FILES_AT_ONCE));
    while let Some((outcome, name)) = loaded.next().await {
        let failure = match outcome {
            Ok(lines) => {
                job.bars.suspend(|| output::print(&lines))?;
                continue;
            }
            Err(failure) => failure,
        };
        let error = failure.error.about(&name);
        if files.len() == 1 {
            return Err(error);
        }
        job.bars.suspend(|| error.print());
        failed += 1;
        nothing_stored &= failure.nothing_stored;
    }
    if failed == 0 {
        return Ok(());
    }
    let stored = if nothing_stored {
        "nothing of a failed file is stored"
    } else {
        "whether they are stored is not known for all"
    };
    Err(CommandError::failed_text(format!("{failed} of {} files failed; {stored}", files.len())))
}
