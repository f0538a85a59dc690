//! The one writer of a table: groups appends, commits them, publishes the snapshot.
//!
//! Order of one group, with what a crash after each step leaves:
//! 1. data files written and synced — garbage, nothing acknowledged;
//! 2. answers of requests with an idempotency key recorded as pending with the group's number G —
//!    on the next open they are deleted, since the table's `txn` is still below G;
//! 3. the Delta commit carrying `txn('ingest', G)`, synced — on the next open the pending answers
//!    with a number up to G are done, so a repeated request gets its first answer;
//! 4. the requests are answered.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deltalake::DeltaTable;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checksums::digest_metadata;
use super::data_files::{DataFolder, Rows};
use super::delta::{CHECKPOINT_INTERVAL, INGEST_APP, commit_properties};
use super::error::{Cause, LakeError};
use super::rewrite::Replace;
use super::table::{Published, bytes_of};
use crate::domain::activity::DAY;
use crate::domain::tenant::TenantKey;

/// Most appends in one commit.
const GROUP_APPENDS: usize = 256;

/// Answer of a request with an idempotency key, as it will be given once the group is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingAnswer {
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
    /// Status of the answer.
    pub status: u16,
    /// Body of the answer.
    pub answer: String,
}

/// Where pending answers are kept; implemented over the registry.
#[async_trait]
pub trait Ledger: std::fmt::Debug + Send + Sync + 'static {
    /// Records answers for group `group`, durable on success, and forgets any of this table with
    /// that number or a higher one: they belong to a group that never committed.
    async fn record_pending(&self, tenant: TenantKey, group: i64, answers: Vec<PendingAnswer>) -> Result<(), Cause>;

    /// Says that every group up to `committed` is in the table and no later one is: later pending
    /// answers are deleted.
    async fn resolve(&self, tenant: TenantKey, committed: i64) -> Result<(), Cause>;
}

/// One request to append.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) rows: Rows,
    pub(super) pending: Option<PendingAnswer>,
    /// Largest size of the table's live files with this append, in bytes; none for no limit.
    pub(super) max_live_bytes: Option<u64>,
    pub(super) reply: oneshot::Sender<Result<Committed, LakeError>>,
    /// Room in the queue; given back when the append is done with.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Append {
    /// The append's limit when a table of this size is beyond it.
    fn exceeded_by(&self, live_bytes: u64) -> Option<u64> {
        self.max_live_bytes.filter(|max| live_bytes > *max)
    }

    fn answer(self, outcome: Result<Committed, LakeError>) {
        // A receiver that is gone wants no answer.
        let _ = self.reply.send(outcome);
    }
}

/// A group whose files are written.
#[derive(Default)]
struct Admitted {
    files: Vec<Add>,
    /// The appends that wait for the commit of these files; their rows are in them.
    waiting: Vec<Append>,
    /// The shared files could not be written.
    failure: Option<Cause>,
}

/// Where an append landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Version of the table that holds it.
    pub version: u64,
    /// Files of the whole group.
    pub files: usize,
}

pub(super) struct Writer {
    pub(super) tenant: TenantKey,
    pub(super) table: DeltaTable,
    pub(super) folder: DataFolder,
    pub(super) published: Arc<Published>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) commit_interval: Duration,
    pub(super) queue: mpsc::Receiver<Append>,
    /// Rewrites; apart from the appends, so that neither waits in the other's queue.
    pub(super) rewrites: mpsc::Receiver<Replace>,
    /// A failed record may have left pending answers of the next number behind. They must be
    /// forgotten before that number is committed, or they would come true.
    pub(super) pending_in_doubt: bool,
    /// Ends the writer between two groups.
    pub(super) stop: CancellationToken,
}

/// A writer that panics must not leave a table that looks alive and answers nobody.
struct BrokenOnPanic(Arc<Published>);

impl Drop for BrokenOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.mark_broken();
        }
    }
}

impl Writer {
    /// Commits groups and rewrites until the table is closed or a commit's outcome is unknown.
    pub(super) async fn run(mut self) {
        let _guard = BrokenOnPanic(Arc::clone(&self.published));
        let mut next_commit = Instant::now();
        loop {
            let outcome = tokio::select! {
                first = self.queue.recv() => {
                    let Some(first) = first else { return self.refuse_the_rest().await };
                    tokio::time::sleep_until(next_commit).await;
                    next_commit = Instant::now() + self.commit_interval;
                    let group = self.form_group(first);
                    self.commit(group).await
                }
                // Its files are ready, so it holds up the appends by one log entry.
                Some(rewrite) = self.rewrites.recv() => self.replace(rewrite).await,
                () = self.stop.cancelled() => return self.refuse_the_rest().await,
            };
            if let Err(error) = outcome {
                tracing::error!(tenant = %self.tenant, %error, "the table is closed until it is opened again");
                self.published.mark_broken();
                return self.refuse_the_rest().await;
            }
        }
    }

    /// Answers what was not begun: nothing of it was stored.
    async fn refuse_the_rest(&mut self) {
        self.queue.close();
        self.rewrites.close();
        while let Some(rewrite) = self.rewrites.recv().await {
            self.folder.delete_uncommitted(&rewrite.added).await;
            // A receiver that is gone wants no answer.
            let _ = rewrite.reply.send(Err(LakeError::NotStored("the table's writer has stopped; try again".into())));
        }
        while let Some(append) = self.queue.recv().await {
            if let Rows::Files(files) = append.rows {
                self.folder.delete_uncommitted(&files).await;
            }
            // A receiver that is gone wants no answer.
            let _ = append.reply.send(Err(LakeError::NotStored("the table's writer has stopped; try again".into())));
        }
    }

    fn form_group(&mut self, first: Append) -> Vec<Append> {
        let mut group = vec![first];
        while group.len() < GROUP_APPENDS {
            let Ok(append) = self.queue.try_recv() else { break };
            group.push(append);
        }
        group
    }

    /// `Err` means that the outcome is unknown and the table must be opened again.
    async fn commit(&mut self, group: Vec<Append>) -> Result<(), Arc<dyn std::error::Error + Send + Sync>> {
        let mut admitted = self.admit(group).await;
        let number = self.published.last_group() + 1;
        let pending: Vec<_> = admitted.waiting.iter_mut().filter_map(|append| append.pending.take()).collect();
        let prepared = match admitted.failure {
            Some(error) => Err(error),
            None if admitted.waiting.is_empty() => return Ok(()),
            None if pending.is_empty() && !self.pending_in_doubt => Ok(()),
            None => {
                let recorded = self.ledger.record_pending(self.tenant, number, pending).await;
                self.pending_in_doubt = recorded.is_err();
                recorded
            }
        };
        let Admitted { files, waiting, .. } = admitted;
        if let Err(error) = prepared {
            let error: Arc<dyn std::error::Error + Send + Sync> = Arc::from(error);
            tracing::error!(tenant = %self.tenant, %error, "a group of appends was not stored");
            self.folder.delete_uncommitted(&files).await;
            for append in waiting {
                append.answer(Err(LakeError::NotStored(Box::new(Arc::clone(&error)))));
            }
            return Ok(());
        }
        match self.append_to_log(&files, number).await {
            Ok(version) => {
                let committed = Committed { version, files: files.len() };
                for append in waiting {
                    append.answer(Ok(committed));
                }
                self.checkpoint_when_due(version);
                Ok(())
            }
            Err(error) => {
                self.give_up(&files);
                let error: Arc<dyn std::error::Error + Send + Sync> = Arc::new(error);
                for append in waiting {
                    append.answer(Err(LakeError::Interrupted(Box::new(Arc::clone(&error)))));
                }
                Err(error)
            }
        }
    }

    /// Writes the files of a group and turns away the appends for which there is no room. An append that
    /// brings files is judged alone; the others share files and are judged together.
    async fn admit(&self, group: Vec<Append>) -> Admitted {
        let mut admitted = Admitted::default();
        let mut live_bytes = self.published.live_bytes();
        let (mut batches, mut sharing) = (Vec::new(), Vec::new());
        for mut append in group {
            match std::mem::replace(&mut append.rows, Rows::Batches(Vec::new())) {
                Rows::Batches(more) => {
                    batches.extend(more);
                    sharing.push(append);
                }
                Rows::Files(more) => {
                    let wanted_bytes = live_bytes + bytes_of(&more);
                    if let Some(max_bytes) = append.exceeded_by(wanted_bytes) {
                        self.folder.delete_uncommitted(&more).await;
                        append.answer(Err(LakeError::OverQuota { wanted_bytes, max_bytes }));
                    } else {
                        live_bytes = wanted_bytes;
                        admitted.files.extend(more);
                        admitted.waiting.push(append);
                    }
                }
            }
        }
        match self.folder.write_sorted(batches).await {
            Ok(shared) => {
                let wanted_bytes = live_bytes + bytes_of(&shared);
                if let Some(max_bytes) = sharing.iter().find_map(|append| append.exceeded_by(wanted_bytes)) {
                    self.folder.delete_uncommitted(&shared).await;
                    for append in sharing {
                        append.answer(Err(LakeError::OverQuota { wanted_bytes, max_bytes }));
                    }
                } else {
                    admitted.files.extend(shared);
                    admitted.waiting.extend(sharing);
                }
            }
            Err(error) => {
                admitted.failure = Some(error.into());
                admitted.waiting.extend(sharing);
            }
        }
        admitted
    }

    async fn append_to_log(&mut self, files: &[Add], number: i64) -> Result<u64, LakeError> {
        let operation =
            DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DAY.to_owned()]), predicate: None };
        let actions: Vec<Action> = files.iter().cloned().map(Action::Add).collect();
        let transaction = Transaction::new(INGEST_APP, number);
        let properties = commit_properties()
            .with_metadata(digest_metadata(actions.iter().chain([&Action::Txn(transaction.clone())])))
            .with_application_transaction(transaction);
        let snapshot = self.table.snapshot()?.clone();
        let finalized = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&snapshot), self.table.log_store(), operation)
            .await?;
        let version = finalized.version();
        self.table.state = Some(finalized.snapshot());
        self.published.publish(self.table.clone(), version, number, files);
        Ok(version)
    }

    /// The commit of these files failed: whoever opens the table next sees in its log whether they are live. Closes the
    /// table first, or vacuum could take them for garbage by what this handle has published.
    pub(super) fn give_up(&self, files: &[Add]) {
        self.published.mark_broken();
        self.folder.settled(files);
    }

    /// Writes a checkpoint beside the next commits. A failure costs only opening time.
    pub(super) fn checkpoint_when_due(&self, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_INTERVAL) {
            return;
        }
        let table = self.table.clone();
        let tenant = self.tenant;
        tokio::spawn(async move {
            if let Err(error) = deltalake::checkpoints::create_checkpoint(&table, None).await {
                tracing::warn!(%tenant, %error, "could not write a checkpoint");
            }
        });
    }
}
