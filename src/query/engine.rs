//! Building a session for one tenant.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::{DataFusionError, exec_datafusion_err};
use datafusion::dataframe::DataFrame;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;
use url::Url;

use super::filter::ActivityFilter;
use super::functions::where_functions;
use crate::domain::tenant::TenantKey;
use crate::lake::error::LakeError;
use crate::lake::layout::tenant_url;
use crate::lake::table::ActivityTable;

/// Settings of the query engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Folder for spill files.
    pub spill_folder: PathBuf,
    /// Most bytes that one query's operators may reserve.
    pub query_memory_bytes: usize,
    /// Most bytes of spill files of one query.
    pub query_spill_bytes: u64,
    /// Partitions of a plan; the number of cores by default.
    pub partitions: usize,
}

impl EngineOptions {
    /// 512 MiB of memory and 20 GiB of spill files a query, one partition per core.
    #[must_use]
    pub fn new(spill_folder: PathBuf) -> Self {
        Self {
            spill_folder,
            query_memory_bytes: 512 << 20,
            query_spill_bytes: 20 << 30,
            partitions: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// Rows that a scan decodes at a time. Decoding is not counted by any memory pool, and a record may have a
/// megabyte.
pub(super) const BATCH_ROWS: usize = 2048;

/// Makes sessions over shared caches.
#[derive(Debug)]
pub struct QueryEngine {
    options: EngineOptions,
    shared: Arc<RuntimeEnv>,
}

/// A session's stores: one tenant's folder. Any other address, local paths included, does not resolve.
#[derive(Debug)]
struct TenantStore {
    url: Url,
    store: Arc<dyn ObjectStore>,
}

impl TenantStore {
    fn holds(&self, url: &Url) -> bool {
        url.scheme() == self.url.scheme() && url.host_str() == self.url.host_str()
    }
}

impl ObjectStoreRegistry for TenantStore {
    fn register_store(&self, url: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        // Nothing may be added; the table's own store is there already.
        self.holds(url).then(|| Arc::clone(&self.store))
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        if self.holds(url) { Ok(Arc::clone(&self.store)) } else { Err(exec_datafusion_err!("no such store")) }
    }
}

impl QueryEngine {
    /// An engine with empty caches.
    ///
    /// # Errors
    /// When the spill folder is not usable.
    pub fn new(options: EngineOptions) -> Result<Self, DataFusionError> {
        // A listing cache would hide new files; nothing here lists.
        let shared = RuntimeEnvBuilder::new().with_object_list_cache_limit(0).build_arc()?;
        Ok(Self { options, shared })
    }

    /// Settings of every session.
    pub(super) fn config(partitions: usize) -> SessionConfig {
        let mut config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(BATCH_ROWS);
        let options = config.options_mut();
        options.sql_parser.enable_ident_normalization = false;
        // Evaluating filters while decoding reads wide rows only where they match.
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        config
    }

    /// Partitions of a plan.
    pub(super) fn partitions(&self) -> usize {
        self.options.partitions
    }

    /// The surroundings of a session: shared caches, one tenant's store, an own pool and an own disk.
    pub(super) fn runtime(
        &self,
        tenant: TenantKey,
        store: Arc<dyn ObjectStore>,
        pool: Arc<dyn MemoryPool>,
        disk: DiskManagerBuilder,
    ) -> Result<Arc<RuntimeEnv>, DataFusionError> {
        let url = tenant_url(tenant).map_err(|error| DataFusionError::External(Box::new(error)))?;
        RuntimeEnvBuilder::from_runtime_env(&self.shared)
            .with_memory_pool(pool)
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(TenantStore { url, store }))
            .build_arc()
    }

    /// A fresh session that reaches the files of this table's tenant and has an own memory pool. What it reads of
    /// snapshots taken from now on stays on disk until nothing of it can open a file any more.
    ///
    /// # Errors
    /// When the session's parts cannot be built.
    pub fn session(&self, table: &ActivityTable) -> Result<SessionContext, LakeError> {
        let pool = FairSpillPool::new(self.options.query_memory_bytes);
        let consumers_named = std::num::NonZeroUsize::MIN;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.options.spill_folder.clone()]))
            .with_max_temp_directory_size(self.options.query_spill_bytes);
        let pool = Arc::new(TrackConsumersPool::new(pool, consumers_named));
        let runtime = self.runtime(table.tenant(), table.read_store(), pool, disk).map_err(into_lake)?;
        let state = SessionStateBuilder::new()
            .with_config(Self::config(self.options.partitions))
            .with_runtime_env(runtime)
            .with_scalar_functions(where_functions())
            .build();
        Ok(SessionContext::new_with_state(state))
    }

    /// The chosen activities of the table's newest snapshot, and that snapshot's version.
    ///
    /// # Errors
    /// When the snapshot cannot be scanned.
    pub async fn activities(
        &self,
        table: &ActivityTable,
        filter: &ActivityFilter,
    ) -> Result<(DataFrame, u64), LakeError> {
        let context = self.session(table)?;
        let (snapshot, version) = table.snapshot();
        let provider = snapshot.table_provider().with_session(Arc::new(context.state())).await.map_err(into_lake)?;
        let mut rows = context.read_table(provider).map_err(into_lake)?;
        for condition in filter.conjuncts() {
            rows = rows.filter(condition).map_err(into_lake)?;
        }
        Ok((rows, version))
    }
}

/// An engine's failure as the lake's.
#[must_use]
pub fn into_lake(error: DataFusionError) -> LakeError {
    LakeError::Delta(error.into())
}
