//! Ingest: a body of activities, decoded on the CPU runtime, committed to the tenant's table once.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::Serialize;
use tokio::sync::mpsc;

use super::Services;
use super::evidence::chain;
use super::ledger::INGEST_ROUTE;
use super::metrics::Running;
use super::own_sources::ChosenSource;
use super::room::{Disk, NoRoom, Quota};
use super::upload::{Upload, UploadError};
use crate::domain::day::Day;
use crate::domain::tenant::TenantKey;
use crate::enrich::Enricher;
use crate::formats::input::channel_reader::{BodyDigest, ChannelReader, channel, spool};
use crate::formats::input::decompress::{ContentEncoding, Decompress};
use crate::formats::input::{
    DecodeError, DecodeOptions, DecodeReport, Format, NATIVE_SOURCE, OnError, Peek, RecordError, SinkClosed,
    decode_arrow, decode_csv, decode_ndjson, decode_parquet,
};
use crate::lake::data_files::DataFiles;
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;
use crate::lake::writer::PendingAnswer;
use crate::registry::RegistryError;
use crate::registry::idempotency::{self, KeyState, RememberedKey};
use crate::sources::{Layout, SourceError, decode_enriched};

/// Chunks of a body between the network and the decoder.
const BODY_CHUNKS: usize = 16;

/// Batches between the decoder and the file writer.
const BATCHES_AHEAD: usize = 2;

/// Decoded bytes after which a long ingest looks at the disk again.
const DISK_CHECK_BYTES: usize = 64 << 20;

/// One body of activities.
pub struct IngestRequest {
    /// Whose activities these are.
    pub tenant: TenantKey,
    /// Format; found by content when absent.
    pub format: Option<Format>,
    /// Compression; found by content when absent.
    pub encoding: Option<ContentEncoding>,
    /// Whose records they are, and how they are written; the lake's own columns when absent.
    pub source: Option<(ChosenSource, Layout)>,
    /// What a bad record does to the others.
    pub on_error: OnError,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// How long the sender may be silent; none for as long as it wants.
    pub patience: Option<Duration>,
    /// The bytes.
    pub body: BoxStream<'static, io::Result<Bytes>>,
}

impl std::fmt::Debug for IngestRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestRequest")
            .field("tenant", &self.tenant)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

/// What became of a body that was stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngestAnswer {
    /// Records stored.
    pub accepted: u64,
    /// Records refused; only with `on_error=skip` beside stored ones.
    pub rejected: u64,
    /// Records left out because the lake has them already; deduplication is not asked for, so none.
    pub duplicates: u64,
    /// How many stored records carried each key that is not stored.
    pub unknown_keys: BTreeMap<String, u64>,
    /// Stored records whose `tenantId` named another tenant and was replaced.
    pub tenant_id_replaced: u64,
    /// In how many stored records a column became null because its text is no address; only for
    /// sources other than `activities`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nulled: BTreeMap<String, u64>,
    /// UTC days of the stored records.
    #[schema(value_type = Vec<String>, example = json!(["2026-11-22"]))]
    pub days: Vec<Day>,
    /// The first 20 refusals.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub errors: Vec<RecordError>,
}

impl From<DecodeReport> for IngestAnswer {
    fn from(report: DecodeReport) -> Self {
        Self {
            accepted: report.accepted,
            rejected: report.rejected,
            duplicates: 0,
            unknown_keys: report.unknown_keys,
            tenant_id_replaced: report.tenant_id_replaced,
            nulled: report.nulled,
            days: report.days.into_keys().collect(),
            errors: report.errors,
        }
    }
}

/// An ingest that is done; the rows are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// Status of the answer.
    pub status: u16,
    /// [`IngestAnswer`] as JSON, byte for byte the same for every repeat of a key.
    pub answer: String,
    /// The key was known: this is the first request's answer, and nothing was stored again.
    pub replayed: bool,
    /// Data files written, none for a repeat.
    pub files: usize,
}

/// Failure of an ingest.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Too many ingests run; nothing was stored. Try again later.
    #[error("too many ingests are running")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The key was used with another body; nothing was stored.
    #[error("the idempotency key was used with another body; use a new key for new data")]
    KeyConflict,
    /// There is no room; nothing was stored.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The body did not arrive; nothing was stored.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The input is bad; nothing was stored.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The source's file is not sound; nothing was stored.
    #[error("the source is not sound: {0}")]
    Source(#[from] SourceError),
    /// The lake failed; see there what was stored.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The registry failed; nothing was stored.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The answer could not be written down; nothing was stored.
    #[error("the answer could not be written")]
    Answer(#[from] serde_json::Error),
}

impl Services {
    /// Stores a body of activities. Success means: every accepted record is committed, on stable
    /// storage, and in the answer of every query that starts from now on.
    ///
    /// The work goes on when the caller stops waiting: a body that arrived whole is stored.
    ///
    /// # Errors
    /// [`IngestError`]; unless it is [`LakeError::Interrupted`], nothing was stored.
    pub async fn ingest(self: &Arc<Self>, request: IngestRequest) -> Result<Ingested, IngestError> {
        let services = Arc::clone(self);
        let task = tokio::spawn(async move { services.run_ingest(request).await });
        task.await.map_err(LakeError::Task)?
    }

    async fn run_ingest(&self, request: IngestRequest) -> Result<Ingested, IngestError> {
        let _running = Running::on(&self.metrics.ingests_running);
        let table = self.lake.table(request.tenant).await?;
        let lock = request.key.clone().map(|key| self.keys_in_use.of((request.tenant, key)));
        let _in_use = match &lock {
            Some(lock) => Some(lock.lock().await),
            None => None,
        };
        let done = match &request.key {
            Some(key) => self.first_answer(&table, key).await?,
            None => None,
        };
        if done.is_none() {
            // Before the body: a client that may not store need not send.
            self.check_room(&table).await?;
        }
        let IngestRequest { body, patience, .. } = request;
        let mut upload = Upload::new(body, patience);
        upload.read_ahead().await?;
        // Only now, so that slow senders of small bodies do not keep the decoders from others.
        let busy = || IngestError::Busy { retry_after: Duration::from_secs(2) };
        let turn = tokio::time::timeout(self.settings.queue_timeout, self.ingest_permits.acquire());
        let _permit = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        let request = IngestRequest { body: futures::stream::empty().boxed(), ..request };
        match done {
            Some(done) => self.repeat(done, upload).await,
            None => self.store(&table, request, upload).await,
        }
    }

    /// The answer that a key has got already; nothing is stored again then.
    async fn first_answer(&self, table: &ActivityTable, key: &str) -> Result<Option<RememberedKey>, RegistryError> {
        let now_ms = self.clock.now_ms();
        let mut conn = self.registry.read().await?;
        let known = idempotency::find(&mut conn, table.tenant(), INGEST_ROUTE, key, now_ms).await?;
        // A pending key of a committed group is done, it just was not marked yet. One of a later
        // group belongs to an attempt that failed.
        Ok(known.filter(|k| k.state == KeyState::Done || k.group <= table.last_group()))
    }

    async fn repeat(&self, done: RememberedKey, upload: Upload) -> Result<Ingested, IngestError> {
        let (writer, reader) = channel(BODY_CHUNKS);
        let digest = self.cpu.spawn_blocking(move || reader.finish());
        let (digest, arrived) = tokio::join!(digest, upload.pass_on(writer));
        arrived?;
        let digest = digest.map_err(LakeError::Task)?.map_err(DecodeError::Read)?;
        if sha256_bytes(&digest) != Some(done.body_hash) {
            return Err(IngestError::KeyConflict);
        }
        let answer = String::from_utf8_lossy(&done.answer_body).into_owned();
        Ok(Ingested { status: done.answer_status, answer, replayed: true, files: 0 })
    }

    async fn store(
        &self,
        table: &Arc<ActivityTable>,
        request: IngestRequest,
        upload: Upload,
    ) -> Result<Ingested, IngestError> {
        let options = DecodeOptions {
            on_error: request.on_error,
            source: request.source.as_ref().map_or(NATIVE_SOURCE, |(source, _)| source.name()).to_owned(),
            max_record_bytes: usize::try_from(self.settings.max_record).unwrap_or(usize::MAX),
            max_inflated_bytes: self.settings.max_body,
            ..DecodeOptions::new(request.tenant.id, self.clock.now_ms())
        };
        let enricher = self.enricher(request.tenant).await?;
        let (writer, reader) = channel(BODY_CHUNKS);
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let (source, format, encoding, tmp) = (request.source, request.format, request.encoding, self.tmp.clone());
        let decoding = self.cpu.spawn_blocking(move || match source {
            Some((source, layout)) => decode_mapped(reader, &source, layout, encoding, enricher, &options, &sender),
            None => Ok(decode(reader, format, encoding, &options, &tmp, &sender)?),
        });
        let collecting = self.cpu.spawn(collect(batches, table.data_files(), self.disk()));
        let (decoded, collected, arrived) = tokio::join!(decoding, collecting, upload.pass_on(writer));
        let (files, write_error) = collected.map_err(LakeError::Task)?;
        if let Some(error) = write_error {
            files.discard().await;
            return Err(error);
        }
        let decoded = decoded.map_err(LakeError::Task)?;
        if let Err(error) = arrived {
            // It says more than what the decoder makes of a body that is cut off.
            files.discard().await;
            return Err(error.into());
        }
        let (report, digest) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                files.discard().await;
                if let IngestError::Decode(DecodeError::Rejected(rejection)) = &error {
                    self.metrics.records_rejected.inc_by(rejection.rejected);
                }
                return Err(error);
            }
        };
        let (accepted, rejected) = (report.accepted, report.rejected);
        let answer = serde_json::to_string(&IngestAnswer::from(report))?;
        let status = 200;
        let pending = request.key.and_then(|key| {
            Some(PendingAnswer { key, body_hash: sha256_bytes(&digest)?, status, answer: answer.clone() })
        });
        let keyed = pending.is_some();
        // Before the last files are written, so that a failure to ask leaves none behind.
        let quota = match self.quota(request.tenant).await {
            Ok(quota) => quota,
            Err(error) => {
                files.discard().await;
                return Err(error.into());
            }
        };
        let rows = files.finish().await.map_err(LakeError::not_stored)?;
        let appended = table.append_within(rows, pending, quota.map(Quota::max_live_bytes)).await;
        let committed = match (appended, quota) {
            (Err(LakeError::OverQuota { wanted_bytes, .. }), Some(quota)) => {
                return Err(quota.refusal(wanted_bytes).into());
            }
            (appended, _) => appended?,
        };
        self.metrics.activities_stored.inc_by(accepted);
        self.metrics.records_rejected.inc_by(rejected);
        if keyed {
            self.mark_keys_done(table).await;
        }
        Ok(Ingested { status, answer, replayed: false, files: committed.files })
    }

    /// Notes that the table holds the groups so far. A failure is harmless: the table itself tells.
    async fn mark_keys_done(&self, table: &ActivityTable) {
        let (tenant, group) = (table.tenant(), table.last_group());
        let marked = self.registry.write(move |conn| {
            Box::pin(async move { idempotency::mark_done(conn, tenant, INGEST_ROUTE, group).await })
        });
        if let Err(error) = marked.await {
            tracing::warn!(%tenant, error = chain(&error), "could not mark idempotency keys as done");
        }
    }
}

fn sha256_bytes(digest: &BodyDigest) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digest.sha256.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Collects batches into data files; on a failure the files written so far come with it.
async fn collect(
    mut batches: mpsc::Receiver<RecordBatch>,
    mut files: DataFiles,
    disk: Disk,
) -> (DataFiles, Option<IngestError>) {
    let mut unchecked_bytes = 0;
    while let Some(batch) = batches.recv().await {
        unchecked_bytes += batch.get_array_memory_size();
        if unchecked_bytes >= DISK_CHECK_BYTES {
            unchecked_bytes = 0;
            if let Err(low) = disk.check() {
                return (files, Some(low.into()));
            }
        }
        if let Err(error) = files.push(batch).await {
            return (files, Some(LakeError::not_stored(error).into()));
        }
    }
    (files, None)
}

fn decode(
    mut reader: ChannelReader,
    format: Option<Format>,
    encoding: Option<ContentEncoding>,
    options: &DecodeOptions,
    tmp: &Path,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(DecodeReport, BodyDigest), DecodeError> {
    let mut sink = |batch| batches.blocking_send(batch).map_err(|_| SinkClosed);
    let mut raw = Peek::new(&mut reader)?;
    let encoding = encoding.unwrap_or_else(|| ContentEncoding::of_content(raw.head()));
    let mut input = Peek::new(Decompress::new(&mut raw, encoding, options.max_inflated_bytes)?)?;
    let format = format.unwrap_or_else(|| Format::of_content(input.head()));
    let report = match format {
        Format::Ndjson => decode_ndjson(&mut input, options, &mut sink)?,
        Format::Csv => decode_csv(&mut input, options, &mut sink)?,
        Format::Arrow => decode_arrow(&mut input, options, &mut sink)?,
        Format::Parquet => {
            let file = spool(&mut input, tmp, options.max_inflated_bytes)?;
            decode_parquet(file, options, &mut sink)?
        }
    };
    drop(input);
    Ok((report, reader.finish()?))
}

/// Decodes the records of a source: CSV, or JSON in any of the shapes it unwraps.
fn decode_mapped(
    mut reader: ChannelReader,
    source: &ChosenSource,
    layout: Layout,
    encoding: Option<ContentEncoding>,
    mut enricher: Enricher,
    options: &DecodeOptions,
    batches: &mpsc::Sender<RecordBatch>,
) -> Result<(DecodeReport, BodyDigest), IngestError> {
    let source = source.ready()?;
    let mut sink = |batch| batches.blocking_send(batch).map_err(|_| SinkClosed);
    let mut raw = Peek::new(&mut reader).map_err(DecodeError::from)?;
    let encoding = encoding.unwrap_or_else(|| ContentEncoding::of_content(raw.head()));
    let mut input = Decompress::new(&mut raw, encoding, options.max_inflated_bytes).map_err(DecodeError::from)?;
    let report = decode_enriched(&mut input, layout, &source, options, Some(&mut enricher), &mut sink)?;
    drop(input);
    Ok((report, reader.finish().map_err(DecodeError::from)?))
}
