//! `anomalake ingest`.

mod answer;
mod progress;
mod source;

use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Response};
use http_body_util::BodyExt;

use super::CommandError;
use super::client::{Client, ClientError, transport};
use super::output;
use super::session::{IfMissing, with_client};
use crate::api::activities::ingest_activities::{FILES, IDEMPOTENCY_KEY, REPLAYED};
use crate::api::control::tenants::TenantModel;
use crate::domain::tenant::TenantId;
use crate::formats::input::NATIVE_SOURCE;
use answer::Answer;
use progress::Progress;
use source::Source;

/// What to load, and how.
#[derive(Debug, clap::Args)]
#[command(after_help = "Gzip and zstd are found by content, and so is the format unless --format names it.

Examples:
  anomalake ingest --tenant 5618 monday.ndjson tuesday.ndjson.gz
  zcat export-*.gz | anomalake ingest --tenant 5618 -
  anomalake ingest --tenant 5618 --on-error skip --format parquet week.parquet")]
pub struct IngestArgs {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    tenant: TenantId,
    /// Source mapping of the records; `activities` is the lake's own columns.
    #[arg(long, default_value = NATIVE_SOURCE)]
    source: String,
    /// Format of the files; found by content when absent.
    #[arg(long, value_enum)]
    format: Option<InputFormat>,
    /// What a bad record does: refuse its whole file, or be left out.
    #[arg(long, value_enum, default_value = "reject")]
    on_error: OnError,
    /// Load files again whose content is loaded already.
    #[arg(long)]
    again: bool,
    /// Files to load; - is stdin.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum InputFormat {
    /// One JSON object a line.
    Ndjson,
    /// Parquet.
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OnError {
    /// A bad record refuses its whole file.
    Reject,
    /// The good records are stored, the others counted.
    Skip,
}

/// What to do when the answer got lost.
const UNKNOWN: &str = "it may or may not be stored; run the same command again: content of a file that is stored \
    already is not stored twice, but that of stdin or with --again is";

/// Why one file was not loaded.
#[derive(Debug)]
struct FileFailure {
    error: CommandError,
    /// Nothing of it is stored; else nobody knows.
    nothing_stored: bool,
}

impl From<CommandError> for FileFailure {
    fn from(error: CommandError) -> Self {
        Self { error, nothing_stored: true }
    }
}

impl From<ClientError> for FileFailure {
    fn from(error: ClientError) -> Self {
        let nothing_stored = match &error {
            ClientError::Own(_) | ClientError::Unreachable { .. } => true,
            ClientError::Transport(_) => false,
            ClientError::Refused { code, .. } => code != "outcome_unknown",
        };
        let error = answer::bad_records(&error).unwrap_or_else(|| error.into());
        let error = if nothing_stored { error } else { error.with_hint(UNKNOWN) };
        Self { error, nothing_stored }
    }
}

/// Runs the command.
///
/// # Errors
/// When a file was not loaded; the others are loaded all the same.
pub async fn run(data_dir: &Path, args: &IngestArgs) -> Result<(), CommandError> {
    if args.files.iter().filter(|file| source::is_stdin(file)).count() > 1 {
        return Err(CommandError::usage("stdin (-) can be read once only"));
    }
    with_client(data_dir, IfMissing::Refuse, async |client| {
        // A wrong tenant shall not be found out after an hour of reading.
        let path = format!("/control/tenants/{}", args.tenant);
        let _: TenantModel = client.json(Method::GET, &path, None, None::<&()>).await?;
        let (mut failed, mut nothing_stored) = (0, true);
        for file in &args.files {
            let name = source::display_name(file);
            let Err(failure) = load(client, args, file, &name).await else { continue };
            let error = failure.error.about(&name);
            if args.files.len() == 1 {
                return Err(error);
            }
            error.print();
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
        Err(CommandError::failed_text(format!("{failed} of {} files failed; {stored}", args.files.len())))
    })
    .await
}

async fn load(client: &Client, args: &IngestArgs, file: &Path, name: &str) -> Result<(), FileFailure> {
    let begun = Instant::now();
    let source = Source::open(file)?;
    let mut progress = Progress::new(name, source.size());
    let answered = send(client, args, source, &mut progress).await;
    progress.clear();
    let response = answered?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let files = header(FILES).and_then(|files| files.parse().ok()).unwrap_or(0);
    let replayed = header(REPLAYED).is_some();
    let bytes = response.into_body().collect().await.map_err(transport)?.to_bytes();
    let answer: Answer = serde_json::from_slice(&bytes).map_err(transport)?;
    let lines =
        if replayed { answer::already_loaded(name) } else { answer.summary(name, args.tenant, files, begun.elapsed()) };
    Ok(output::print(&lines)?)
}

async fn send(
    client: &Client,
    args: &IngestArgs,
    source: Source,
    progress: &mut Progress,
) -> Result<Response<Body>, FileFailure> {
    let key = if args.again { None } else { source.idempotency_key(progress).await? };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("source", &args.source)
        .append_pair("on_error", if args.on_error == OnError::Skip { "skip" } else { "reject" })
        .finish();
    let content_type = match args.format {
        Some(InputFormat::Ndjson) => "application/x-ndjson",
        Some(InputFormat::Parquet) => "application/vnd.apache.parquet",
        None => "application/octet-stream",
    };
    let path = format!("/api/v1/activities?{query}");
    let mut request = Client::request(Method::POST, &path, Some(args.tenant)).header(CONTENT_TYPE, content_type);
    if let Some(key) = key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    let body = Body::from_stream(source.into_stream(progress)?);
    Ok(client.call(request.body(body).map_err(transport)?).await?)
}
