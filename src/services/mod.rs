//! What the product does, without HTTP: plain requests in, values or streams out.

pub mod anomalies;
pub mod anomaly_changes;
pub mod auth;
pub mod backup;
pub mod check;
pub mod enrichment;
pub mod erase;
pub mod evidence;
pub mod export;
pub mod incidents;
pub mod ingest;
pub mod ledger;
pub mod meter;
pub mod metrics;
pub mod own_sources;
pub mod room;
pub mod saved_exports;
pub mod settings;
pub mod single_flight;
pub mod sql;
pub mod tenants;
pub mod trouble;
pub mod uci;
pub mod upkeep;
pub mod upload;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::domain::anomaly::AnomalyId;
use crate::domain::clock::Clock;
use crate::domain::tenant::TenantKey;
use crate::enrich::{DatabaseError, Databases};
use crate::lake::error::LakeError;
use crate::lake::layout::DataDir;
use crate::lake::seen::SeenIndexes;
use crate::lake::tables::{Lake, LakeOptions};
use crate::query::cpu::{CpuHandle, CpuRuntime};
use crate::query::engine::{EngineOptions, QueryEngine};
use crate::registry::audit::AuditEntry;
use crate::registry::{Registry, RegistryError};

use auth::{Actor, AuthError, Authenticator};
use ledger::RegistryLedger;
use metrics::Metrics;
use own_sources::OwnSources;
use saved_exports::{SavedExports, TidyError};
use settings::ServerSettings;
use single_flight::SingleFlight;

/// Everything a request needs; one per data directory.
#[derive(Debug)]
pub struct Services {
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Settings of the server.
    pub settings: ServerSettings,
    /// Everything transactional.
    pub registry: Arc<Registry>,
    /// Activities and evidence files.
    pub lake: Arc<Lake>,
    /// Query sessions.
    pub engine: Arc<QueryEngine>,
    /// Where planning, scanning and encoding run.
    pub cpu: CpuHandle,
    /// Who may do what.
    pub auth: Authenticator,
    /// What the server counts about itself.
    pub metrics: Metrics,
    /// What addresses are looked up in.
    pub databases: Arc<Databases>,
    data_dir: PathBuf,
    tmp: PathBuf,
    evidence_flights: SingleFlight<AnomalyId>,
    keys_in_use: SingleFlight<(TenantKey, String)>,
    own_sources: OwnSources,
    seen: Arc<SeenIndexes>,
    indexes_in_use: SingleFlight<(TenantKey, String)>,
    saved_exports: SavedExports,
    /// Writes that nobody waits for but the end of the process.
    background: TaskTracker,
    export_permits: Arc<Semaphore>,
    // Exports that decode and encode at the same time.
    encoding_turns: Arc<Semaphore>,
    // Exports that read their file ahead, or compress beside.
    read_ahead_turns: Arc<Semaphore>,
    sql_gates: sql::Gates,
    ingest_permits: Semaphore,
    upkeep: upkeep::Upkeep,
    // Last, so that it outlives what runs on it.
    _cpu: CpuRuntime,
}

/// Why the services cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry cannot be opened.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The lake's folder is not usable.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The query engine cannot start.
    #[error("the query engine cannot start")]
    Engine(#[from] datafusion::error::DataFusionError),
    /// Authentication cannot start.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A database of addresses cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Threads or folders cannot be made.
    #[error("the server's threads or folders cannot be made")]
    Io(#[from] io::Error),
}

impl Services {
    /// Opens a data directory that this process owns.
    ///
    /// # Errors
    /// [`StartError`], saying which part and why.
    pub async fn open(dir: &DataDir, settings: ServerSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        dir.sweep()?;
        let runtime = CpuRuntime::start()?;
        let cpu = runtime.handle();
        let cpu_cores = runtime.cores();
        let metrics = Metrics::default();
        let (files, counts) = (settings.enrichment.databases.clone(), metrics.enrichment.clone());
        let databases =
            cpu.spawn_blocking(move || Databases::open(&files, counts)).await.map_err(io::Error::other)??;
        let registry = Registry::open(&dir.registry()).await?;
        let auth =
            Authenticator::new(registry.clone(), Arc::clone(&clock))?.with_lifetimes(settings.tokens.lifetimes());
        let registry = Arc::new(registry);
        let ledger = Arc::new(RegistryLedger::new(Arc::clone(&registry), Arc::clone(&clock)));
        let options = LakeOptions { commit_interval: settings.commit_interval };
        let lake = Arc::new(Lake::new(dir, ledger, options, cpu.tokio())?);
        let engine = Arc::new(QueryEngine::new(EngineOptions {
            query_memory_bytes: usize::try_from(settings.query_memory).unwrap_or(usize::MAX),
            query_spill_bytes: settings.query_spill,
            ..EngineOptions::new(dir.tmp())
        })?);
        let services = Self {
            clock,
            registry,
            lake,
            engine,
            cpu,
            auth,
            metrics,
            databases: Arc::new(databases),
            data_dir: dir.path().to_owned(),
            tmp: dir.tmp(),
            saved_exports: SavedExports::new(dir.exports()),
            background: TaskTracker::new(),
            evidence_flights: SingleFlight::default(),
            keys_in_use: SingleFlight::default(),
            own_sources: OwnSources::default(),
            seen: Arc::new(SeenIndexes::new(dir.lake())),
            indexes_in_use: SingleFlight::default(),
            export_permits: Arc::new(Semaphore::new(settings.max_exports)),
            encoding_turns: Arc::new(Semaphore::new(4 * cpu_cores)),
            read_ahead_turns: Arc::new(Semaphore::new(cpu_cores)),
            sql_gates: sql::Gates::new(&settings.sql),
            ingest_permits: Semaphore::new(settings.max_ingests),
            upkeep: upkeep::Upkeep::default(),
            settings,
            _cpu: runtime,
        };
        services.recover_saved_exports().await.map_err(|error| match error {
            TidyError::Io(error) => StartError::Io(error),
            TidyError::Registry(error) => StartError::Registry(error),
        })?;
        Ok(Arc::new(services))
    }

    /// Writes what is queued and closes the registry. Requests must have ended.
    pub async fn close(&self) {
        self.background.close();
        self.background.wait().await;
        self.close_seen(SeenIndexes::close_all).await;
        self.auth.flush_last_used().await;
        self.registry.close().await;
    }

    /// Closes indexes of stored ids that nobody uses, beyond what may stay open.
    pub async fn close_unused_indexes(&self) {
        self.close_seen(SeenIndexes::close_beyond).await;
    }

    async fn close_seen(&self, close: fn(&SeenIndexes, i64)) {
        let (seen, now_ms) = (Arc::clone(&self.seen), self.clock.now_ms());
        // It writes files. A failure costs time when an index is opened again, no more.
        if let Err(error) = self.cpu.spawn_blocking(move || close(&seen, now_ms)).await {
            tracing::error!(%error, "closing indexes of stored ids ended abnormally");
        }
    }

    /// Adds an entry to the audit trail; durable on success.
    ///
    /// # Errors
    /// When the registry fails.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), RegistryError> {
        self.registry
            .write(move |conn| Box::pin(async move { crate::registry::audit::append(conn, &entry).await }))
            .await
    }

    /// Refreshes the gauges that are read and not counted, and returns the series as text.
    ///
    /// # Errors
    /// When formatting fails.
    pub async fn metrics_text(&self) -> Result<String, std::fmt::Error> {
        if let Err(error) = self.disk().free() {
            tracing::warn!(%error, "could not ask the disk for its free space");
        }
        self.databases.observe(self.clock.now_ms());
        self.metrics.open_tables.set(gauge_of(self.lake.open_tables()));
        let lake = Arc::clone(&self.lake);
        match self.cpu.spawn_blocking(move || lake.live_files()).await.map_err(LakeError::Task).flatten() {
            Ok(counts) => {
                self.metrics.live_files.set(gauge_of(counts.files));
                self.metrics.live_files_of_fullest_day.set(gauge_of(counts.most_files_a_day));
            }
            Err(error) => tracing::warn!(%error, "could not count the live files"),
        }
        let written = self.lake.feed().bytes_written();
        self.metrics.lake_bytes_ingested.set(written.ingest);
        self.metrics.lake_bytes_merged.set(written.merge);
        self.metrics.lake_bytes_sorted.set(written.sort);
        self.metrics.seen_memory_bytes.set(gauge_of(self.seen.open().1));
        let stats = self.registry.writer_stats();
        self.metrics.registry_commits.set(stats.groups);
        self.metrics.registry_writes.set(stats.jobs);
        self.metrics.text()
    }
}

fn gauge_of(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An entry of the audit trail without details.
#[must_use]
pub fn audit_entry(
    actor: &Actor,
    at_ms: i64,
    tenant: Option<TenantKey>,
    action: &str,
    target: impl Into<String>,
) -> AuditEntry {
    AuditEntry {
        at_ms,
        tenant,
        principal: actor.principal.clone(),
        address: actor.address.map(|address| address.to_string()),
        action: action.to_owned(),
        target: Some(target.into()),
        detail: serde_json::json!({}),
        rows: None,
    }
}
