//! Enrichment: what the address of an activity tells beside what its source says.
//!
//! Places and networks come from MMDB files of the operator, trust from the tenant's own list. It runs over
//! the rows of a source before they are completed, and fills only what is null; the lake's own records never
//! pass here. The rules are in `docs/enrichment.md`.

mod columns;
mod database;
mod databases;
mod facts;
mod fill;
mod metrics;
mod record;
#[cfg(test)]
mod tests;

pub use database::DatabaseError;
pub use databases::Databases;
pub use fill::Enricher;
pub use metrics::EnrichmentMetrics;
