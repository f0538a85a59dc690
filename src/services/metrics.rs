//! What the server counts about itself, for Prometheus. No tenant and no user is named.

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::enrich::EnrichmentMetrics;
use crate::query::limits::temp::TempGauges;

/// Labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// Method.
    pub method: String,
    /// Route template, never a path with ids.
    pub route: String,
    /// Status.
    pub status: u16,
}

/// Every series of the server.
pub struct Metrics {
    registry: Mutex<Registry>,
    /// Requests answered.
    pub requests: Family<RequestLabels, Counter>,
    /// Time from a request to the head of its answer.
    pub request_seconds: Histogram,
    /// Exports whose body is not finished.
    pub exports_running: Gauge,
    /// Tasks that scan or encode for an export.
    pub export_tasks: Gauge,
    /// Bytes of exports handed to the network.
    pub export_bytes: Counter,
    /// Statements admitted whose rows have not all been read.
    pub sql_statements: Gauge,
    /// Statements whose operators, tasks or buffers still exist.
    pub sql_pools: Gauge,
    /// Bytes that the operators of statements have reserved.
    pub sql_memory_bytes: Gauge,
    /// Temporary files of statements.
    pub sql_temp: TempGauges,
    /// Data files that statements have opened.
    pub sql_files_opened: Counter,
    /// Ingests under way.
    pub ingests_running: Gauge,
    /// Activities stored.
    pub activities_stored: Counter,
    /// Records refused.
    pub records_rejected: Counter,
    /// Records left out as repeats.
    pub records_duplicate: Counter,
    /// Bytes in memory of the indexes that tell repeats.
    pub seen_memory_bytes: Gauge,
    /// Look-ups of addresses.
    pub enrichment: EnrichmentMetrics,
    /// Evidence files made.
    pub evidence_made: Counter,
    /// Attempts to make evidence that failed.
    pub evidence_failed: Counter,
    /// Connections from the network.
    pub connections_open: Gauge,
    /// Connections turned away because there were too many.
    pub connections_refused: Counter,
    /// Free bytes of the data directory's disk.
    pub disk_free_bytes: Gauge,
    /// Activities tables that are open.
    pub open_tables: Gauge,
    /// Data files of the tables that are open.
    pub live_files: Gauge,
    /// Data files of the day that has most of them.
    pub live_files_of_fullest_day: Gauge,
    /// Bytes of data files that ingests committed.
    pub lake_bytes_ingested: Gauge<u64, AtomicU64>,
    /// Bytes of data files that merging small files committed.
    pub lake_bytes_merged: Gauge<u64, AtomicU64>,
    /// Bytes of data files that sorting days committed.
    pub lake_bytes_sorted: Gauge<u64, AtomicU64>,
    /// Merges and sorts committed.
    pub upkeep_rewrites: Counter,
    /// Failures of upkeep.
    pub upkeep_failed: Counter,
    /// Activities dropped because they had expired.
    pub activities_expired: Counter,
    /// Files deleted because nobody needed them.
    pub vacuumed_files: Counter,
    /// Their bytes.
    pub vacuumed_bytes: Counter,
    /// Registry transactions committed.
    pub registry_commits: Gauge<u64, AtomicU64>,
    /// Writes in those transactions.
    pub registry_writes: Gauge<u64, AtomicU64>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("anomalake");
        let metrics = Self {
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 18)),
            exports_running: Gauge::default(),
            export_tasks: Gauge::default(),
            export_bytes: Counter::default(),
            sql_statements: Gauge::default(),
            sql_pools: Gauge::default(),
            sql_memory_bytes: Gauge::default(),
            sql_temp: TempGauges::default(),
            sql_files_opened: Counter::default(),
            ingests_running: Gauge::default(),
            activities_stored: Counter::default(),
            records_rejected: Counter::default(),
            records_duplicate: Counter::default(),
            seen_memory_bytes: Gauge::default(),
            enrichment: EnrichmentMetrics::default(),
            evidence_made: Counter::default(),
            evidence_failed: Counter::default(),
            connections_open: Gauge::default(),
            connections_refused: Counter::default(),
            disk_free_bytes: Gauge::default(),
            open_tables: Gauge::default(),
            live_files: Gauge::default(),
            live_files_of_fullest_day: Gauge::default(),
            lake_bytes_ingested: Gauge::default(),
            lake_bytes_merged: Gauge::default(),
            lake_bytes_sorted: Gauge::default(),
            upkeep_rewrites: Counter::default(),
            upkeep_failed: Counter::default(),
            activities_expired: Counter::default(),
            vacuumed_files: Counter::default(),
            vacuumed_bytes: Counter::default(),
            registry_commits: Gauge::default(),
            registry_writes: Gauge::default(),
            registry: Mutex::default(),
        };
        registry.register("requests", "requests answered", metrics.requests.clone());
        registry.register_with_unit(
            "request",
            "time from a request to the head of its answer",
            Unit::Seconds,
            metrics.request_seconds.clone(),
        );
        registry.register("exports_running", "exports whose body is not finished", metrics.exports_running.clone());
        registry.register("export_tasks", "tasks that scan or encode for an export", metrics.export_tasks.clone());
        registry.register("export_bytes", "bytes of exports handed to the network", metrics.export_bytes.clone());
        registry.register("sql_statements", "statements admitted and not ended", metrics.sql_statements.clone());
        registry.register("sql_pools", "statements whose operators still exist", metrics.sql_pools.clone());
        registry.register("sql_memory_bytes", "bytes that statements have reserved", metrics.sql_memory_bytes.clone());
        registry.register("sql_temp_files", "temporary files of statements", metrics.sql_temp.files.clone());
        registry.register("sql_temp_bytes", "bytes in temporary files of statements", metrics.sql_temp.bytes.clone());
        registry.register("sql_files_opened", "data files opened by statements", metrics.sql_files_opened.clone());
        registry.register("ingests_running", "ingests under way", metrics.ingests_running.clone());
        registry.register("activities_stored", "activities stored", metrics.activities_stored.clone());
        registry.register("records_rejected", "records refused by ingests", metrics.records_rejected.clone());
        registry.register("records_duplicate", "records left out as repeats", metrics.records_duplicate.clone());
        registry.register(
            "seen_memory_bytes",
            "bytes in memory of indexes that tell repeats",
            metrics.seen_memory_bytes.clone(),
        );
        metrics.enrichment.register(&mut registry);
        registry.register("evidence_made", "evidence files made", metrics.evidence_made.clone());
        registry.register("evidence_failed", "failed attempts to make evidence", metrics.evidence_failed.clone());
        registry.register("connections_open", "connections from the network", metrics.connections_open.clone());
        registry.register("connections_refused", "connections turned away", metrics.connections_refused.clone());
        registry.register(
            "disk_free_bytes",
            "free bytes of the data directory's disk",
            metrics.disk_free_bytes.clone(),
        );
        registry.register("open_tables", "activities tables that are open", metrics.open_tables.clone());
        registry.register("live_files", "data files of the tables that are open", metrics.live_files.clone());
        registry.register(
            "live_files_of_fullest_day",
            "data files of the day that has most of them, in the tables that are open",
            metrics.live_files_of_fullest_day.clone(),
        );
        for (name, help, gauge) in [
            ("lake_bytes_ingested", "bytes of data files by ingests", &metrics.lake_bytes_ingested),
            ("lake_bytes_merged", "bytes of data files by merging small ones", &metrics.lake_bytes_merged),
            ("lake_bytes_sorted", "bytes of data files by sorting days", &metrics.lake_bytes_sorted),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("upkeep_rewrites", "merges and sorts committed", &metrics.upkeep_rewrites),
            ("upkeep_failed", "failures of upkeep", &metrics.upkeep_failed),
            ("activities_expired", "activities dropped because of their age", &metrics.activities_expired),
            ("vacuumed_files", "files deleted because nobody needed them", &metrics.vacuumed_files),
            ("vacuumed_bytes", "bytes of deleted files", &metrics.vacuumed_bytes),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("registry_commits", "registry transactions committed", metrics.registry_commits.clone());
        registry.register("registry_writes", "writes in registry transactions", metrics.registry_writes.clone());
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// The series in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// When formatting fails.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(text)
    }
}

/// Counts one more on a gauge until it is dropped.
#[derive(Debug)]
pub struct Running(Gauge);

impl Running {
    /// Counts from now on.
    #[must_use]
    pub fn on(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}
