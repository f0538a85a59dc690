//! One file, from the disk to the answer.

use std::path::Path;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use indicatif::MultiProgress;
use sha2::{Digest, Sha256};

use super::answer::{self, Answer};
use super::progress::Progress;
use super::source::Source;
use super::{Dedup, IngestArgs, InputFormat, OnError};
use crate::api::activities::ingest_activities::{FILES, IDEMPOTENCY_KEY, REPLAYED};
use crate::api::control::sources::{KeepSource, KeptSource};
use crate::cli::CommandError;
use crate::cli::client::{Client, ClientError, transport};
use crate::domain::hex::hex;
use crate::domain::tenant::TenantId;
use crate::formats::input::NATIVE_SOURCE;

/// What to do when the answer got lost.
const UNKNOWN: &str = "it may or may not be stored; run the same command again: content of a file that is stored \
    already is not stored twice, but that of stdin or with --again is";

/// Why one file was not loaded.
#[derive(Debug)]
pub(super) struct FileFailure {
    pub(super) error: CommandError,
    /// Nothing of it is stored; else nobody knows.
    pub(super) nothing_stored: bool,
    pub(super) fault: Fault,
}

/// Where the fault lies, and so who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file is bad, and stays so.
    File,
    /// The file or the server was not ready; the same may succeed later.
    Moment,
    /// The command was called wrongly, or its tenant is gone: no file will fare better.
    Command,
}

impl From<CommandError> for FileFailure {
    fn from(error: CommandError) -> Self {
        Self { error, nothing_stored: true, fault: Fault::Moment }
    }
}

impl From<ClientError> for FileFailure {
    fn from(error: ClientError) -> Self {
        let nothing_stored = match &error {
            ClientError::Own(_) | ClientError::Unreachable { .. } => true,
            ClientError::Transport(_) => false,
            ClientError::Refused { code, .. } => code != "outcome_unknown",
        };
        let fault = match &error {
            ClientError::Refused { status, code, .. } => fault_of(*status, code),
            ClientError::Own(_) | ClientError::Unreachable { .. } | ClientError::Transport(_) => Fault::Moment,
        };
        let error = answer::bad_records(&error).unwrap_or_else(|| error.into());
        let error = if nothing_stored { error } else { error.with_hint(UNKNOWN) };
        Self { error, nothing_stored, fault }
    }
}

fn fault_of(status: StatusCode, code: &str) -> Fault {
    match (status.as_u16(), code) {
        (400, "unknown_source" | "bad_source" | "bad_query" | "bad_value") | (401 | 403 | 404 | 415, _) => {
            Fault::Command
        }
        (400 | 413, _) => Fault::File,
        _ => Fault::Moment,
    }
}

/// How the records of every file are read.
#[derive(Debug)]
pub(super) enum Mapping {
    /// A source of the server, by name.
    Named(String),
    /// The text of the caller's own.
    Own(String),
}

impl Mapping {
    /// What `--source` says: a name, or a file if it ends in `.sql`.
    pub(super) fn read(source: &str) -> Result<Self, CommandError> {
        let path = Path::new(source);
        if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("sql")) {
            return Ok(Self::Named(source.to_owned()));
        }
        let text = std::fs::read_to_string(path);
        text.map(Self::Own).map_err(|error| CommandError::io(format!("cannot read the source {source}"), error))
    }

    /// The name by which the server knows it. An own one is told each time, as the server may have been
    /// started anew.
    pub(super) async fn name(&self, client: &Client) -> Result<String, ClientError> {
        match self {
            Self::Named(name) => Ok(name.clone()),
            Self::Own(text) => {
                let body = KeepSource { text: text.clone() };
                let kept: KeptSource = client.json(Method::POST, "/control/sources", None, Some(&body)).await?;
                Ok(kept.source)
            }
        }
    }
}

/// What is the same for every file of a command.
#[derive(Debug)]
pub(super) struct Job<'c> {
    pub(super) client: &'c Client,
    pub(super) tenant: TenantId,
    pub(super) mapping: Mapping,
    pub(super) format: Option<InputFormat>,
    pub(super) on_error: OnError,
    pub(super) dedup: Option<Dedup>,
    pub(super) once: Once,
    /// How far the files are that are being loaded.
    pub(super) bars: MultiProgress,
}

/// What is stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Once {
    /// A content, whatever its file is called.
    Content,
    /// A content of a file name.
    ContentAndName,
    /// Nothing: each load stores.
    Never,
}

impl<'c> Job<'c> {
    pub(super) fn new(client: &'c Client, args: &IngestArgs) -> Result<Self, CommandError> {
        let once = match (args.again, &args.watch) {
            (true, _) => Once::Never,
            (false, None) => Once::Content,
            (false, Some(_)) => Once::ContentAndName,
        };
        let mapping = Mapping::read(&args.source)?;
        let IngestArgs { tenant, format, on_error, dedup, .. } = *args;
        Ok(Self { client, tenant, mapping, format, on_error, dedup, once, bars: MultiProgress::new() })
    }

    /// Loads a file; the line for people when it is durable.
    pub(super) async fn load(&self, file: &Path, name: &str) -> Result<String, FileFailure> {
        let begun = Instant::now();
        let source = Source::open(file)?;
        let mut progress = Progress::new(name, source.size(), &self.bars);
        let answered = self.send(source, file, &mut progress).await;
        progress.clear();
        let response = answered?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let files = header(FILES).and_then(|files| files.parse().ok()).unwrap_or(0);
        let replayed = header(REPLAYED).is_some();
        let bytes = response.into_body().collect().await.map_err(transport)?.to_bytes();
        let answer: Answer = serde_json::from_slice(&bytes).map_err(transport)?;
        if replayed {
            return Ok(answer::already_loaded(name, self.once));
        }
        Ok(answer.summary(name, self.tenant, files, begun.elapsed()))
    }

    async fn send(&self, source: Source, file: &Path, progress: &mut Progress) -> Result<Response<Body>, FileFailure> {
        let mapping = self.mapping.name(self.client).await?;
        let key = self.key(&source, file, &mapping, progress).await?;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("source", &mapping);
        query.append_pair("on_error", if self.on_error == OnError::Skip { "skip" } else { "reject" });
        if let Some(dedup) = self.dedup {
            query.append_pair("dedup", if dedup == Dedup::ActivityId { "activityId" } else { "off" });
        }
        let query = query.finish();
        let content_type = match self.format {
            Some(InputFormat::Ndjson) => "application/x-ndjson",
            Some(InputFormat::Parquet) => "application/vnd.apache.parquet",
            Some(InputFormat::Csv) => "text/csv",
            Some(InputFormat::Arrow) => "application/vnd.apache.arrow.stream",
            None => "application/octet-stream",
        };
        let path = format!("/api/v1/activities?{query}");
        let mut request = Client::request(Method::POST, &path, Some(self.tenant)).header(CONTENT_TYPE, content_type);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let body = Body::from_stream(source.into_stream(progress)?);
        Ok(self.client.call(request.body(body).map_err(transport)?).await?)
    }

    /// The key under which the server stores a file once. Another source makes other rows of the same
    /// content.
    async fn key(
        &self,
        source: &Source,
        file: &Path,
        mapping: &str,
        progress: &mut Progress,
    ) -> Result<Option<String>, CommandError> {
        if self.once == Once::Never {
            return Ok(None);
        }
        let Some(content) = source.idempotency_key(progress).await? else { return Ok(None) };
        let key = if mapping == NATIVE_SOURCE { content } else { format!("{content}:{mapping}") };
        Ok(Some(match (self.once, file.file_name()) {
            (Once::ContentAndName, Some(name)) => {
                let mut hash = Sha256::new();
                hash.update(key.as_bytes());
                hash.update([0]);
                hash.update(name.as_encoded_bytes());
                format!("watch:{}", hex(&hash.finalize()))
            }
            _ => key,
        }))
    }
}
