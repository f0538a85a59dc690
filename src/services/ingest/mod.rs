//! Ingest: a body of activities, decoded on the CPU runtime, committed to the tenant's table once.

mod answer;
mod decode;
mod repeats;
mod store;
mod workers;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::Services;
use super::ledger::INGEST_ROUTE;
use super::metrics::Running;
use super::own_sources::ChosenSource;
use super::room::NoRoom;
use super::upload::{Upload, UploadError};
use crate::domain::tenant::TenantKey;
use crate::formats::input::channel_reader::channel;
use crate::formats::input::decompress::ContentEncoding;
use crate::formats::input::{DecodeError, Format, NATIVE_SOURCE, OnError};
use crate::lake::error::{Cause, LakeError};
use crate::lake::table::ActivityTable;
use crate::registry::RegistryError;
use crate::registry::idempotency::{self, KeyState, RememberedKey};
use crate::sources::{Layout, SourceError};

pub use answer::IngestAnswer;

/// Groups of chunks of a body between the network and the decoder, 256 KiB each.
const BODY_GROUPS: usize = 8;

/// What counts as a repeat of an activity that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedup {
    /// A record with the `activityId` of a row of the same tenant and source that was stored within 7 days, or of a
    /// record before it. One that brings no id is none.
    ActivityId,
    /// Nothing: every record is stored.
    Off,
}

impl Dedup {
    /// What holds for a source if nothing is said: vendors deliver events more than once, and the lake's own
    /// records are stored as they are sent.
    #[must_use]
    pub fn default_of(source: &str) -> Self {
        if source == NATIVE_SOURCE { Self::Off } else { Self::ActivityId }
    }
}

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
    /// What is a repeat; [`Dedup::default_of`] the source when absent.
    pub dedup: Option<Dedup>,
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
    /// Whether records are repeats cannot be told, because the lake or a disk failed; nothing was stored.
    #[error("whether records are repeats cannot be told")]
    Repeats(#[source] Cause),
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
        let task = tokio::spawn(async move {
            let done = services.run_ingest(request).await;
            if services.seen.is_crowded() {
                let crowded = Arc::clone(&services);
                services.background.spawn(async move { crowded.close_unused_indexes().await });
            }
            done
        });
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
        let (writer, reader) = channel(BODY_GROUPS);
        let digest = self.cpu.spawn_blocking(move || reader.finish());
        let (digest, arrived) = tokio::join!(digest, upload.pass_on(writer));
        arrived?;
        let digest = digest.map_err(LakeError::Task)?.map_err(DecodeError::Read)?;
        if digest.sha256 != Some(done.body_hash) {
            return Err(IngestError::KeyConflict);
        }
        let answer = String::from_utf8_lossy(&done.answer_body).into_owned();
        Ok(Ingested { status: done.answer_status, answer, replayed: true, files: 0 })
    }
}
