//! The tables that are open: opened at first use, closed when idle, opened again after a failure.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::sync::OnceCell;

use super::delta::tenant_store;
use super::durable_store::DurableStore;
use super::error::LakeError;
use super::feed::Feed;
use super::file_use::FileUse;
use super::layout::{ACTIVITIES, DataDir, STAGING};
use super::syncer::{FsSyncer, Syncer};
use super::table::{ActivityTable, TableParts};
use super::upkeep::live::FileCounts;
use super::upkeep::threads::MergeThreads;
use super::writer::Ledger;
use crate::domain::tenant::TenantKey;

/// Settings of the lake.
#[derive(Debug, Clone, Copy)]
pub struct LakeOptions {
    /// Shortest time between two commits of a table; appends that arrive meanwhile share the next one.
    pub commit_interval: Duration,
}

impl Default for LakeOptions {
    /// Ten commits a second at most.
    fn default() -> Self {
        Self { commit_interval: Duration::from_millis(100) }
    }
}

/// Tables that stay open though nobody uses them. Each costs some hundred KiB, and opening one again some
/// milliseconds: thousands of tenants that are asked now and then must not add up.
const MOST_OPEN: usize = 256;

type Slot = Arc<OnceCell<Arc<ActivityTable>>>;

/// All tenants' tables of one data directory.
#[derive(Debug)]
pub struct Lake {
    root: PathBuf,
    store: Arc<dyn ObjectStore>,
    durable: DurableStore,
    dropped: Mutex<HashSet<TenantKey>>,
    ledger: Arc<dyn Ledger>,
    options: LakeOptions,
    cpu: tokio::runtime::Handle,
    open: Mutex<HashMap<TenantKey, Slot>>,
    /// Outlives the tables: a table that is opened again finds what was in use before.
    files: Mutex<HashMap<TenantKey, Arc<FileUse>>>,
    feed: Arc<Feed>,
    merging: Arc<MergeThreads>,
}

impl Lake {
    /// A lake on local disk. Encoding runs on the runtime `cpu`.
    ///
    /// # Errors
    /// When the lake's folder is not usable.
    pub fn new(
        dir: &DataDir,
        ledger: Arc<dyn Ledger>,
        options: LakeOptions,
        cpu: tokio::runtime::Handle,
    ) -> Result<Self, LakeError> {
        Self::with_syncer(dir, Arc::new(FsSyncer), ledger, options, cpu)
    }

    /// As [`Lake::new`] with another way to make files durable, for tests of its failures.
    ///
    /// # Errors
    /// As [`Lake::new`].
    pub fn with_syncer(
        dir: &DataDir,
        syncer: Arc<dyn Syncer>,
        ledger: Arc<dyn Ledger>,
        options: LakeOptions,
        cpu: tokio::runtime::Handle,
    ) -> Result<Self, LakeError> {
        let root = std::fs::canonicalize(dir.lake())?;
        let local = Arc::new(LocalFileSystem::new_with_prefix(&root)?);
        Ok(Self::with_storage(root, local, syncer, ledger, options, cpu))
    }

    /// A lake over any store whose paths are relative to `root`, for tests of what a disk may do. Evidence is read
    /// and tenants are dropped on the file system below `root`.
    #[must_use]
    pub fn with_storage(
        root: PathBuf,
        inner: Arc<dyn ObjectStore>,
        syncer: Arc<dyn Syncer>,
        ledger: Arc<dyn Ledger>,
        options: LakeOptions,
        cpu: tokio::runtime::Handle,
    ) -> Self {
        let durable = DurableStore::new(inner, root.clone(), syncer);
        let store: Arc<dyn ObjectStore> = Arc::new(durable.clone());
        Self {
            root,
            store,
            durable,
            dropped: Mutex::default(),
            ledger,
            options,
            cpu,
            open: Mutex::default(),
            files: Mutex::default(),
            feed: Arc::default(),
            merging: Arc::default(),
        }
    }

    /// The tenant's table, opened or created when it is not open.
    ///
    /// # Errors
    /// As opening a Delta table; a later call tries again.
    pub async fn table(&self, tenant: TenantKey) -> Result<Arc<ActivityTable>, LakeError> {
        let slot = {
            if self.dropped.lock().unwrap_or_else(PoisonError::into_inner).contains(&tenant) {
                return Err(LakeError::NotStored("the tenant was dropped".into()));
            }
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = open.entry(tenant).or_default();
            if slot.get().is_some_and(|table| table.is_broken()) {
                *slot = Slot::default();
            }
            Arc::clone(slot)
        };
        let opened = slot
            .get_or_try_init(|| async {
                ActivityTable::open(TableParts {
                    tenant,
                    lake: &self.store,
                    durable: &self.durable,
                    local_folder: self.activities_folder(tenant),
                    ledger: Arc::clone(&self.ledger),
                    files: self.file_use(tenant),
                    feed: Arc::clone(&self.feed),
                    merging: Arc::clone(&self.merging),
                    commit_interval: self.options.commit_interval,
                    cpu: &self.cpu,
                })
                .await
                .map(Arc::new)
            })
            .await?;
        let opened = Arc::clone(opened);
        drop(slot);
        self.close_beyond(MOST_OPEN);
        Ok(opened)
    }

    /// The newest version that the tenant's table has published; none while it is not open.
    #[must_use]
    pub fn published_version(&self, tenant: TenantKey) -> Option<u64> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&tenant)?.get().map(|table| table.version())
    }

    /// Which files of a tenant are in use.
    #[must_use]
    pub fn file_use(&self, tenant: TenantKey) -> Arc<FileUse> {
        Arc::clone(self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(tenant).or_default())
    }

    /// What the tables tell upkeep.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Whether the tenant has a table. Unlike [`Lake::table`] it makes none.
    ///
    /// # Errors
    /// When the file system cannot tell.
    pub async fn has_table(&self, tenant: TenantKey) -> Result<bool, LakeError> {
        Ok(tokio::fs::try_exists(self.activities_folder(tenant).join("_delta_log")).await?)
    }

    /// Folder of a tenant's table on local disk.
    pub(super) fn activities_folder(&self, tenant: TenantKey) -> PathBuf {
        self.tenant_folder(tenant).join(ACTIVITIES)
    }

    /// Deletes files of the staging folder that nobody has written to for as long as given: what a failed write
    /// could not take away. What a crash left is deleted at the next start. Returns how many there were.
    ///
    /// # Errors
    /// Any I/O error of listing or deleting.
    pub async fn sweep_staging(&self, untouched_for: Duration) -> Result<usize, LakeError> {
        let folder = self.root.join(STAGING);
        let swept = tokio::task::spawn_blocking(move || {
            let mut swept = 0;
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let age = entry.metadata()?.modified()?.elapsed();
                // A time in the future: the clock was stepped back, so wait.
                if age.is_ok_and(|age| age >= untouched_for) {
                    std::fs::remove_file(entry.path())?;
                    swept += 1;
                }
            }
            Ok::<_, std::io::Error>(swept)
        });
        Ok(swept.await??)
    }

    /// Store rooted in a tenant's folder, with the promise of the durable store.
    #[must_use]
    pub fn tenant_store(&self, tenant: TenantKey) -> Arc<dyn ObjectStore> {
        tenant_store(&self.store, tenant)
    }

    /// Folder of a tenant on local disk.
    #[must_use]
    pub fn tenant_folder(&self, tenant: TenantKey) -> PathBuf {
        self.root.join(tenant.folder())
    }

    /// Closes tables that nobody holds and that were not used for a while. Returns how many stay open.
    pub fn close_idle(&self, idle: Duration) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, slot| {
            // A slot that somebody is opening, or a table that somebody uses, has other owners.
            Arc::strong_count(slot) > 1
                || slot.get().is_some_and(|table| Arc::strong_count(table) > 1 || table.idle_for() < idle)
        });
        open.len()
    }

    /// Closes the tables that were not used for longest while more than so many are open and nobody holds them.
    fn close_beyond(&self, most: usize) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(excess) = open.len().checked_sub(most).filter(|excess| *excess > 0) else { return };
        let idle = |slot: &Slot| {
            let table = slot.get().filter(|table| Arc::strong_count(slot) == 1 && Arc::strong_count(table) == 1)?;
            Some(table.idle_for())
        };
        let mut unused: Vec<_> = open.iter().filter_map(|(tenant, slot)| Some((idle(slot)?, *tenant))).collect();
        unused.sort_unstable_by(|a, b| b.cmp(a));
        for (_, tenant) in unused.into_iter().take(excess) {
            open.remove(&tenant);
        }
    }

    /// Number of open tables.
    #[must_use]
    pub fn open_tables(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Live files of the tables that are open. Cost: a look at each of them.
    ///
    /// # Errors
    /// When a table is not loaded.
    pub fn live_files(&self) -> Result<FileCounts, LakeError> {
        let open: Vec<_> = {
            let slots = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            slots.values().filter_map(|slot| slot.get().map(|table| table.current())).collect()
        };
        open.iter().try_fold(FileCounts::default(), |counts, table| Ok(counts.and(FileCounts::of(table)?)))
    }

    /// Deletes the tenant's folder. From the first step on its table cannot be opened and takes no
    /// write; a commit under way ends before. A crash leaves a part of the folder; calling it again finishes.
    ///
    /// # Errors
    /// Any I/O error of deleting.
    pub async fn drop_tenant(&self, tenant: TenantKey) -> Result<(), LakeError> {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant);
        let slot = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        if let Some(table) = slot.as_ref().and_then(|slot| slot.get()) {
            table.close().await;
        }
        self.feed.dropped(tenant);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant);
        remove_folder(self.tenant_folder(tenant)).await
    }

    /// Names of the tenants' folders that there are.
    ///
    /// # Errors
    /// Any I/O error of listing.
    pub async fn tenant_folders(&self) -> Result<Vec<String>, LakeError> {
        let mut folders = tokio::fs::read_dir(&self.root).await?;
        let mut found = Vec::new();
        while let Some(folder) = folders.next_entry().await? {
            let name = folder.file_name().to_string_lossy().into_owned();
            if name.starts_with("tenant=") {
                found.push(name);
            }
        }
        Ok(found)
    }

    /// Deletes those of the folders that belong to none of the given tenants: what a request under way may have
    /// written for a tenant while it was dropped. Returns how many there were. The folders must have been
    /// listed before the tenants, or that of a tenant made in between would be taken for a left-over.
    ///
    /// # Errors
    /// Any I/O error of deleting.
    pub async fn remove_other_tenants(&self, folders: Vec<String>, keep: &[TenantKey]) -> Result<usize, LakeError> {
        let keep: HashSet<String> = keep.iter().map(|key| key.folder()).collect();
        let mut removed = 0;
        for folder in folders.into_iter().filter(|folder| !keep.contains(folder)) {
            remove_folder(self.root.join(folder)).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

async fn remove_folder(folder: PathBuf) -> Result<(), LakeError> {
    match tokio::task::spawn_blocking(move || std::fs::remove_dir_all(folder)).await? {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tenant::TenantId;
    use crate::lake::testing;

    #[tokio::test(flavor = "multi_thread")]
    async fn beyond_the_most_the_tables_used_least_lately_are_closed_but_not_those_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (lake, _) = testing::lake(&dir);
        let key = |id| TenantKey { id: TenantId::try_from(id).unwrap(), incarnation: 1 };
        let held = lake.table(key(1)).await.unwrap();
        for id in 2..=5 {
            lake.table(key(id)).await.unwrap();
        }
        // Used again, so that it is not the oldest any more.
        let _ = lake.table(key(2)).await.unwrap().snapshot();
        lake.close_beyond(3);
        let open = |id| lake.published_version(key(id)).is_some();
        assert_eq!([1, 2, 3, 4, 5].map(open), [true, true, false, false, true]);
        lake.close_beyond(0);
        assert_eq!(lake.open_tables(), 1, "the one in use");
        drop(held);
        lake.close_beyond(0);
        assert_eq!(lake.open_tables(), 0);
    }
}
