//! What enrichment counts. Databases are named by their file alone: series are open to everybody.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Labels of a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DatabaseLabels {
    /// File name without its folder.
    pub(super) database: String,
}

/// Series of enrichment.
#[derive(Debug, Clone, Default)]
pub struct EnrichmentMetrics {
    pub(super) hits: Family<DatabaseLabels, Counter>,
    pub(super) misses: Family<DatabaseLabels, Counter>,
    pub(super) age_seconds: Family<DatabaseLabels, Gauge>,
    pub(super) reloads_failed: Counter,
}

impl EnrichmentMetrics {
    /// Adds the series to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("geo_hits", "addresses that a database knows", self.hits.clone());
        registry.register("geo_misses", "addresses that a database does not know", self.misses.clone());
        registry.register("geo_database_age_seconds", "time since a database was built", self.age_seconds.clone());
        registry.register("geo_reloads_failed", "new databases that cannot be used", self.reloads_failed.clone());
    }
}
