//! One open activities table: its published snapshot, its writer's queue.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use deltalake::DeltaTable;
use deltalake::kernel::Add;
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::data_files::{DataFiles, DataFolder, Rows};
use super::delta::{INGEST_APP, open_or_create, tenant_store};
use super::durable_store::DurableStore;
use super::error::LakeError;
use super::feed::Feed;
use super::file_ranges::{FileRange, Wanted, files_gained};
use super::file_use::FileUse;
use super::layout::ACTIVITIES;
use super::read_store::ReadStore;
use super::rewrite::{Removals, Replace, Replaced, Rewrite};
use super::upkeep::threads::MergeThreads;
use super::writer::{Append, Committed, Ledger, PendingAnswer, Writer};
use crate::domain::tenant::TenantKey;

/// Bytes that may wait in a table's write queue.
pub const QUEUE_BYTES: usize = 64 << 20;

/// Commits of which the gained files are kept in memory; older ones are read from the log again.
pub(super) const GAINED_VERSIONS: u64 = 4096;

/// How long a caller that met a full queue should wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What the writer shows to readers, and tells upkeep.
#[derive(Debug)]
pub(super) struct Published {
    tenant: TenantKey,
    files: Arc<FileUse>,
    feed: Arc<Feed>,
    snapshot: RwLock<(DeltaTable, u64)>,
    last_group: AtomicI64,
    live_bytes: AtomicU64,
    gained: Mutex<BTreeMap<u64, Arc<Vec<FileRange>>>>,
    broken: AtomicBool,
}

impl Published {
    fn new(parts: &TableParts<'_>, table: DeltaTable, version: u64, last_group: i64, live_bytes: u64) -> Self {
        Self {
            tenant: parts.tenant,
            files: Arc::clone(&parts.files),
            feed: Arc::clone(&parts.feed),
            snapshot: RwLock::new((table, version)),
            last_group: AtomicI64::new(last_group),
            live_bytes: AtomicU64::new(live_bytes),
            gained: Mutex::default(),
            broken: AtomicBool::new(false),
        }
    }

    pub(super) fn last_group(&self) -> i64 {
        self.last_group.load(Ordering::SeqCst)
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes.load(Ordering::SeqCst)
    }

    /// Shows a commit that added `files` and removed none.
    pub(super) fn publish(&self, table: DeltaTable, version: u64, group: i64, files: &[Add]) {
        self.remember_gained(version, Arc::new(files.iter().map(FileRange::of).collect()));
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = (table, version);
        self.last_group.store(group, Ordering::SeqCst);
        self.live_bytes.fetch_add(bytes_of(files), Ordering::SeqCst);
        self.files.settled(files.iter().map(|file| file.path.as_str()));
        self.feed.appended(self.tenant, bytes_of(files));
    }

    /// Shows a commit that replaced files; `gained` are those among the new ones that may hold rows which
    /// evidence made before lacks.
    pub(super) fn publish_rewrite(
        &self,
        table: DeltaTable,
        version: u64,
        gained: &[Add],
        added: &[Add],
        removed: &Removals,
    ) {
        self.remember_gained(version, Arc::new(gained.iter().map(FileRange::of).collect()));
        let removed_paths = || removed.paths.iter().map(String::as_str);
        // Vacuum, which runs beside, must not find them unnamed and not yet retired.
        self.files.retiring(removed_paths());
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = (table, version);
        // Only now: whoever begins to read from here on sees the new snapshot.
        self.files.retire(removed_paths());
        self.files.settled(added.iter().map(|file| file.path.as_str()));
        self.live_bytes.fetch_add(bytes_of(added), Ordering::SeqCst);
        self.live_bytes.fetch_sub(removed.bytes, Ordering::SeqCst);
    }

    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    fn remember_gained(&self, version: u64, files: Arc<Vec<FileRange>>) {
        let mut gained = self.gained.lock().unwrap_or_else(PoisonError::into_inner);
        gained.insert(version, files);
        while gained.len() as u64 > GAINED_VERSIONS {
            gained.pop_first();
        }
    }

    fn gained(&self, version: u64) -> Option<Arc<Vec<FileRange>>> {
        self.gained.lock().unwrap_or_else(PoisonError::into_inner).get(&version).map(Arc::clone)
    }
}

/// Bytes of data files.
pub(super) fn bytes_of(files: &[Add]) -> u64 {
    files.iter().map(|file| u64::try_from(file.size).unwrap_or(0)).sum()
}

/// What a table is made of besides its files.
#[derive(Debug)]
pub(super) struct TableParts<'a> {
    pub(super) tenant: TenantKey,
    pub(super) lake: &'a Arc<dyn ObjectStore>,
    pub(super) durable: &'a DurableStore,
    /// Folder of the table on local disk.
    pub(super) local_folder: PathBuf,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) files: Arc<FileUse>,
    pub(super) feed: Arc<Feed>,
    pub(super) merging: Arc<MergeThreads>,
    pub(super) commit_interval: Duration,
    pub(super) cpu: &'a tokio::runtime::Handle,
}

/// An open table. Dropping the last handle closes the queue; the writer ends after what is queued.
#[derive(Debug)]
pub struct ActivityTable {
    tenant: TenantKey,
    store: Arc<dyn ObjectStore>,
    local_folder: PathBuf,
    folder: DataFolder,
    published: Arc<Published>,
    queue: mpsc::Sender<Append>,
    rewrites: mpsc::Sender<Replace>,
    room: Arc<Semaphore>,
    last_used: Mutex<Instant>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
    merging: Arc<MergeThreads>,
}

impl ActivityTable {
    /// Opens or creates the table and starts its writer.
    ///
    /// # Errors
    /// When the log cannot be read, or the ledger cannot be told what is committed.
    pub(super) async fn open(parts: TableParts<'_>) -> Result<Self, LakeError> {
        let tenant = parts.tenant;
        let store = tenant_store(parts.lake, tenant);
        let table = open_or_create(&store, tenant).await?;
        // A process that was killed, or a sync that failed, may have left names that are visible and not
        // durable. Nothing is concluded from the log before they are.
        let log = object_store::path::Path::from_iter([tenant.folder().as_str(), ACTIVITIES, "_delta_log"]);
        parts.durable.sync_folder(&log).await?;
        let snapshot = table.snapshot()?.snapshot();
        let version = snapshot.version();
        let last_group = snapshot.transaction_version(table.log_store().as_ref(), INGEST_APP).await?.unwrap_or(0);
        parts.ledger.resolve(tenant, last_group).await.map_err(LakeError::NotStored)?;
        let activities: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(&store), ACTIVITIES));
        let folder = DataFolder::new(activities, snapshot, Arc::clone(&parts.files))?;
        let live_bytes = snapshot.log_data().iter().map(|file| u64::try_from(file.size()).unwrap_or(0)).sum();
        let published = Arc::new(Published::new(&parts, table.clone(), version, last_group, live_bytes));
        let (queue, receiver) = mpsc::channel(1024);
        let (rewrites, rewrites_receiver) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let writer = Writer {
            tenant,
            table,
            folder: folder.clone(),
            published: Arc::clone(&published),
            ledger: parts.ledger,
            commit_interval: parts.commit_interval,
            queue: receiver,
            rewrites: rewrites_receiver,
            pending_in_doubt: false,
            stop: stop.clone(),
        };
        let writer = parts.cpu.spawn(writer.run());
        parts.feed.opened(tenant);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        Ok(Self {
            tenant,
            store,
            local_folder: parts.local_folder,
            folder,
            published,
            queue,
            rewrites,
            room,
            last_used: Mutex::new(Instant::now()),
            stop,
            writer: Mutex::new(Some(writer)),
            merging: parts.merging,
        })
    }

    /// The tenant whose table this is.
    #[must_use]
    pub fn tenant(&self) -> TenantKey {
        self.tenant
    }

    /// Store rooted in the tenant's folder.
    #[must_use]
    pub fn tenant_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// The tenant's store for those who read a snapshot: as long as it or a clone of it is held, no file
    /// is deleted that is live now or later. Take it before the snapshot.
    #[must_use]
    pub fn read_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(ReadStore::new(Arc::clone(&self.store), self.published.files.read()))
    }

    /// Which files of the tenant are in use.
    #[must_use]
    pub fn file_use(&self) -> Arc<FileUse> {
        Arc::clone(&self.published.files)
    }

    /// Folder of the table on local disk.
    pub(super) fn local_folder(&self) -> &Path {
        &self.local_folder
    }

    /// Where files are merged.
    pub(super) fn merging(&self) -> &MergeThreads {
        &self.merging
    }

    /// What the tables tell upkeep.
    pub(super) fn feed(&self) -> &Feed {
        &self.published.feed
    }

    /// The newest committed snapshot and its version. It stays readable for an hour at least; for longer, take
    /// [`ActivityTable::read_store`] first.
    #[must_use]
    pub fn snapshot(&self) -> (DeltaTable, u64) {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.published.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Version of the newest committed snapshot.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.published.snapshot.read().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Number of the newest committed ingest group.
    #[must_use]
    pub fn last_group(&self) -> i64 {
        self.published.last_group()
    }

    /// Bytes of the data files of the newest committed snapshot.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.published.live_bytes()
    }

    /// The newest committed snapshot for a look at its files: unlike [`ActivityTable::snapshot`] it does not
    /// count as a use that keeps an idle table open.
    #[must_use]
    pub fn current(&self) -> DeltaTable {
        self.published.snapshot.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.published.broken.load(Ordering::SeqCst)
    }

    pub(super) fn idle_for(&self) -> Duration {
        self.last_used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Starts an ingest into this table.
    #[must_use]
    pub fn data_files(&self) -> DataFiles {
        DataFiles::new(self.folder.clone())
    }

    /// Appends rows. Success means: committed and on stable storage, and visible to every query that
    /// starts from now on. Cost: one data file per day and one log entry, shared with the appends
    /// that arrive meanwhile.
    ///
    /// # Errors
    /// [`LakeError::Busy`] and [`LakeError::NotStored`]: nothing was stored.
    /// [`LakeError::Interrupted`]: unknown until the table is opened again.
    pub async fn append(&self, rows: Rows, pending: Option<PendingAnswer>) -> Result<Committed, LakeError> {
        self.append_within(rows, pending, None).await
    }

    /// As [`ActivityTable::append`], unless the table's live files would then have more than `max_live_bytes`.
    /// The writer decides, with the sizes of the files as written, so that no two appends can both
    /// take the last room.
    ///
    /// # Errors
    /// As [`ActivityTable::append`], and [`LakeError::OverQuota`]: nothing was stored.
    pub async fn append_within(
        &self,
        rows: Rows,
        pending: Option<PendingAnswer>,
        max_live_bytes: Option<u64>,
    ) -> Result<Committed, LakeError> {
        *self.last_used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let bytes = match &rows {
            Rows::Batches(batches) => batches.iter().map(arrow::array::RecordBatch::get_array_memory_size).sum(),
            Rows::Files(files) => files.len() * 1024,
        };
        let permits = u32::try_from(bytes.clamp(1, QUEUE_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(permits) else {
            self.discard(rows).await;
            return Err(LakeError::Busy { retry_after: RETRY_AFTER });
        };
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = self.queue.send(Append { rows, pending, max_live_bytes, reply, _room: room }).await {
            self.discard(refused.0.rows).await;
            return Err(LakeError::NotStored("the table's writer has stopped; try again".into()));
        }
        // A writer that stops answers everything that it has not begun; only one that panics does not answer.
        answer.await.unwrap_or_else(|_| Err(LakeError::Interrupted("the table's writer ended abnormally".into())))
    }

    /// Replaces live files by others in one commit. The new files must be durable
    /// ([`DataFolder::write_sorted`]); paths are those of the log. Success means: committed and on
    /// stable storage, and every query that starts from now on reads the new files. A query that runs goes on
    /// with the old ones, which stay on disk until vacuum. A crash before the commit leaves the new files as
    /// garbage. On any error but [`LakeError::Interrupted`] the new files are deleted.
    ///
    /// Cost: one log entry; appends wait for no longer than that.
    ///
    /// # Errors
    /// [`LakeError::Superseded`] when a file to be replaced is not live any more: plan anew.
    /// [`LakeError::Inconsistent`] when the new files hold more rows than the old ones, or, for
    /// [`Rewrite::SameRows`], another number. [`LakeError::NotStored`]: nothing was changed.
    /// [`LakeError::Interrupted`]: unknown until the table is opened again.
    pub async fn replace_files(
        &self,
        removed: Vec<String>,
        added: Vec<Add>,
        rewrite: Rewrite,
    ) -> Result<Replaced, LakeError> {
        let (reply, answer) = oneshot::channel();
        if let Err(refused) = self.rewrites.send(Replace { removed, added, rewrite, reply }).await {
            self.folder.delete_uncommitted(&refused.0.added).await;
            return Err(LakeError::NotStored("the table's writer has stopped; try again".into()));
        }
        answer.await.unwrap_or_else(|_| Err(LakeError::Interrupted("the table's writer ended abnormally".into())))
    }

    /// Where this table's data files go, for those who prepare a rewrite.
    #[must_use]
    pub fn data_folder(&self) -> DataFolder {
        self.folder.clone()
    }

    /// Takes no more writes and waits until the writer has ended.
    pub(super) async fn close(&self) {
        self.published.mark_broken();
        self.room.close();
        self.stop.cancel();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = async { Some(writer?.await) }.await {
            tracing::error!(tenant = %self.tenant, %error, "a table's writer ended abnormally");
        }
    }

    async fn discard(&self, rows: Rows) {
        if let Rows::Files(files) = rows {
            self.folder.delete_uncommitted(&files).await;
        }
    }

    /// Whether the table gained files after version `covered`, up to `version`, that may hold wanted
    /// rows. True in doubt, for example when the log of that time is gone.
    ///
    /// # Errors
    /// When a log entry cannot be read.
    pub async fn gained_since(&self, covered: u64, version: u64, wanted: &Wanted<'_>) -> Result<bool, LakeError> {
        if covered == version {
            return Ok(false);
        }
        // A file from a version that is not there any more, or from long ago: cheaper made anew than looked into.
        if covered > version || version - covered > GAINED_VERSIONS {
            return Ok(true);
        }
        let log = self.snapshot().0.log_store();
        for v in covered + 1..=version {
            let files = if let Some(files) = self.published.gained(v) {
                files
            } else {
                let Some(entry) = log.read_commit_entry(v).await? else { return Ok(true) };
                let Ok(files) = files_gained(&entry) else { return Ok(true) };
                let files = Arc::new(files);
                self.published.remember_gained(v, Arc::clone(&files));
                files
            };
            if files.iter().any(|file| file.may_hold(wanted)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
