//! Storing a body: decoding, leaving out repeats, the commit.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::decode::{BATCHES_AHEAD, collect, decode, decode_mapped};
use super::repeats::Repeats;
use super::workers::CpuWorkers;
use super::{BODY_GROUPS, Dedup, IngestAnswer, IngestError, IngestRequest, Ingested};
use crate::formats::input::channel_reader::channel;
use crate::formats::input::{DecodeError, DecodeOptions, KnownIds, NATIVE_SOURCE};
use crate::lake::error::LakeError;
use crate::lake::table::ActivityTable;
use crate::lake::writer::PendingAnswer;
use crate::registry::idempotency;
use crate::services::Services;
use crate::services::evidence::chain;
use crate::services::ledger::INGEST_ROUTE;
use crate::services::room::Quota;
use crate::services::upload::Upload;

impl Services {
    /// Stores a body that was not stored before.
    pub(super) async fn store(
        &self,
        table: &Arc<ActivityTable>,
        request: IngestRequest,
        upload: Upload,
    ) -> Result<Ingested, IngestError> {
        let source = request.source.as_ref().map_or(NATIVE_SOURCE, |(source, _)| source.name()).to_owned();
        let now_ms = self.clock.now_ms();
        let repeats = match request.dedup.unwrap_or_else(|| Dedup::default_of(&source)) {
            Dedup::ActivityId => {
                let gate = self.seen.gate(request.tenant, &source);
                Some(Arc::new(Repeats::new(Arc::clone(table), gate, now_ms, &self.tmp)))
            }
            Dedup::Off => None,
        };
        let options = DecodeOptions {
            on_error: request.on_error,
            source,
            known_ids: repeats.clone().map(|repeats| repeats as Arc<dyn KnownIds>),
            workers: Some(Arc::new(CpuWorkers(self.cpu.clone()))),
            max_record_bytes: usize::try_from(self.settings.max_record).unwrap_or(usize::MAX),
            max_inflated_bytes: self.settings.max_body,
            ..DecodeOptions::new(request.tenant.id, now_ms)
        };
        let mapping = match request.source {
            Some(source) => Some((source, self.enricher(request.tenant).await?)),
            None => None,
        };
        let (writer, reader) = channel(BODY_GROUPS);
        // Only a key is compared with what came under it.
        let reader = if request.key.is_some() { reader } else { reader.without_hash() };
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let (format, encoding, tmp) = (request.format, request.encoding, self.tmp.clone());
        let decoding = self.cpu.spawn_blocking(move || match mapping {
            Some(((source, layout), enricher)) => {
                decode_mapped(reader, &source, layout, encoding, enricher, &options, &sender)
            }
            None => Ok(decode(reader, format, encoding, &options, &tmp, &sender)?),
        });
        let collecting = self.cpu.spawn(collect(batches, table.data_files(), self.disk()));
        let (decoded, collected, arrived) = tokio::join!(decoding, collecting, upload.pass_on(writer));
        let (mut files, write_error) = collected.map_err(LakeError::Task)?;
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
        let (mut report, digest) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                files.discard().await;
                if let IngestError::Decode(DecodeError::Repeats(cause)) = error {
                    return Err(IngestError::Repeats(cause));
                }
                if let IngestError::Decode(DecodeError::Rejected(rejection)) = &error {
                    self.metrics.records_rejected.inc_by(rejection.rejected);
                }
                return Err(error);
            }
        };
        // Held until the append has ended, whatever comes of it.
        let mut reserved = None;
        if let Some(repeats) = repeats {
            reserved = Some(repeats.reserve(&self.cpu, &mut files, &mut report).await);
        }
        let _reserved = match reserved.transpose() {
            Ok(reserved) => reserved,
            Err(error) => {
                files.discard().await;
                return Err(IngestError::Repeats(Box::new(error)));
            }
        };
        let (accepted, rejected, duplicates) = (report.accepted, report.rejected, report.duplicates);
        let answer = serde_json::to_string(&IngestAnswer::from(report))?;
        let status = 200;
        let pending = request
            .key
            .and_then(|key| Some(PendingAnswer { key, body_hash: digest.sha256?, status, answer: answer.clone() }));
        let keyed = pending.is_some();
        if accepted == 0 && duplicates > 0 && !keyed {
            // All of it is durable already, and nobody will ask for this answer again.
            files.discard().await;
            self.count(accepted, rejected, duplicates);
            return Ok(Ingested { status, answer, replayed: false, files: 0 });
        }
        // Before the last files are written, so that a failure to ask leaves none behind.
        let quota = match self.quota(request.tenant).await {
            Ok(quota) => quota,
            Err(error) => {
                files.discard().await;
                return Err(error.into());
            }
        };
        let rows = self.cpu.spawn(files.finish()).await.map_err(LakeError::Task)?.map_err(LakeError::not_stored)?;
        let appended = table.append_within(rows, pending, quota.map(Quota::max_live_bytes)).await;
        let committed = match (appended, quota) {
            (Err(LakeError::OverQuota { wanted_bytes, .. }), Some(quota)) => {
                return Err(quota.refusal(wanted_bytes).into());
            }
            (appended, _) => appended?,
        };
        self.count(accepted, rejected, duplicates);
        if keyed {
            self.mark_keys_done(table).await;
        }
        Ok(Ingested { status, answer, replayed: false, files: committed.files })
    }

    fn count(&self, accepted: u64, rejected: u64, duplicates: u64) {
        self.metrics.activities_stored.inc_by(accepted);
        self.metrics.records_rejected.inc_by(rejected);
        self.metrics.records_duplicate.inc_by(duplicates);
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
