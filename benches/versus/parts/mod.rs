//! The parts of the benchmark, one file each.

mod encoder;
mod export;
mod growth;
mod ingest;
mod many;
mod queries;
mod small;

use super::Run;
use super::report::Line;

/// A part, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// The encoder of CSV beside arrow's, on one core.
    Encoder,
    /// 100,000 rows by queryActivities: whole, first row, compressed, beside the peers and a static file.
    Export,
    /// A 30-row anomaly on several connections.
    Small,
    /// The same requests as the lake grows.
    Growth,
    /// Many exports at once, and the memory they take.
    Many,
    /// Ingest of NDJSON.
    IngestNdjson,
    /// Ingest of Parquet.
    IngestParquet,
    /// The query suite.
    Queries,
}

impl Part {
    pub const fn all() -> [Self; 8] {
        use Part::{Encoder, Export, Growth, IngestNdjson, IngestParquet, Many, Queries, Small};
        [Encoder, Export, Small, Growth, Many, IngestNdjson, IngestParquet, Queries]
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Export => "export",
            Self::Small => "small",
            Self::Growth => "growth",
            Self::Many => "many",
            Self::IngestNdjson => "ingest-ndjson",
            Self::IngestParquet => "ingest-parquet",
            Self::Queries => "queries",
        }
    }

    pub fn run(self, run: &mut Run) -> Vec<Line> {
        match self {
            Self::Encoder => encoder::run(run),
            Self::Export => export::run(run),
            Self::Small => small::run(run),
            Self::Growth => growth::run(run),
            Self::Many => many::run(run),
            Self::IngestNdjson => ingest::run(run, "ndjson"),
            Self::IngestParquet => ingest::run(run, "parquet"),
            Self::Queries => queries::run(run),
        }
    }
}
