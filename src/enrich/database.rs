//! One MMDB file in memory.

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use prometheus_client::metrics::counter::Counter;

use super::facts::Facts;
use super::metrics::{DatabaseLabels, EnrichmentMetrics};
use super::record::Record;

/// Records that are looked at to find out what a file holds.
const SAMPLED: usize = 2_000;

/// A database that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be read.
    #[error("cannot read the database {}; put the file there, or take it out of `databases` under [enrichment]", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is compressed.
    #[error("the database {} is compressed; unpack it with gunzip or tar first", .path.display())]
    Compressed {
        /// The file.
        path: PathBuf,
    },
    /// The file is no MMDB file, or a part of one.
    #[error("{} is no sound MMDB database; download it again", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What its reader said.
        source: MaxMindDbError,
    },
    /// The file has nothing of use.
    #[error("the database {} ({database_type}) holds neither places nor networks; a city, country or asn database does", .path.display())]
    Useless {
        /// The file.
        path: PathBuf,
        /// What it says it is.
        database_type: String,
    },
}

/// A database, as it was when its file was read.
pub(super) struct Database {
    pub(super) path: PathBuf,
    reader: Reader<Vec<u8>>,
    hits: Counter,
    misses: Counter,
    /// Something in it could not be read, and that was told.
    is_damaged: AtomicBool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Database {
    /// Reads a file whole into memory: a mapped one would take the process down when it is cut short in place.
    pub(super) fn open(path: &Path, metrics: &EnrichmentMetrics) -> Result<Self, DatabaseError> {
        let owned = || path.to_owned();
        let bytes = std::fs::read(path).map_err(|source| DatabaseError::Read { path: owned(), source })?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(DatabaseError::Compressed { path: owned() });
        }
        let unsound = |source| DatabaseError::Format { path: owned(), source };
        let reader = Reader::from_source(bytes).map_err(unsound)?;
        if !is_useful(&reader).map_err(unsound)? {
            let database_type = reader.metadata().database_type.clone();
            return Err(DatabaseError::Useless { path: owned(), database_type });
        }
        let labels = DatabaseLabels { database: file_name(path) };
        let hits = metrics.hits.get_or_create_owned(&labels);
        let misses = metrics.misses.get_or_create_owned(&labels);
        let database = Self { path: owned(), reader, hits, misses, is_damaged: AtomicBool::default() };
        tracing::info!(
            file = %path.display(),
            kind = database.reader.metadata().database_type,
            built_ms = database.built_ms(),
            "loaded a database of addresses"
        );
        Ok(database)
    }

    /// Reads every record once. It takes seconds for a large file.
    pub(super) fn verify(&self) -> Result<(), DatabaseError> {
        let all = || -> Result<(), MaxMindDbError> {
            let mut read = HashSet::new();
            for found in self.reader.networks(WithinOptions::default())? {
                let found = found?;
                if found.offset().is_some_and(|offset| read.insert(offset)) {
                    found.decode::<Record<'_>>()?;
                }
            }
            Ok(())
        };
        all().map_err(|source| DatabaseError::Format { path: self.path.clone(), source })
    }

    /// When it was built, ms since epoch.
    pub(super) fn built_ms(&self) -> i64 {
        i64::try_from(self.reader.metadata().build_epoch.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }

    pub(super) fn labels(&self) -> DatabaseLabels {
        DatabaseLabels { database: file_name(&self.path) }
    }

    /// What it knows about a public address.
    pub(super) fn look_up(&self, address: IpAddr) -> Option<Facts> {
        // A tree of IPv4 alone knows nothing of other addresses, and that is no fault of it.
        let found = if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            None
        } else {
            self.read(address).unwrap_or_else(|error| {
                if !self.is_damaged.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        file = %self.path.display(),
                        %error,
                        "a record of the database cannot be read; download it again"
                    );
                }
                None
            })
        };
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.inc();
        found
    }

    fn read(&self, address: IpAddr) -> Result<Option<Facts>, MaxMindDbError> {
        let record = self.reader.lookup(address)?.decode::<Record<'_>>()?;
        Ok(record.map(|record| Facts::of(&record)).filter(|facts| !facts.is_empty()))
    }
}

/// Whether some of the first records tell anything that is asked for.
fn is_useful(reader: &Reader<Vec<u8>>) -> Result<bool, MaxMindDbError> {
    for found in reader.networks(WithinOptions::default())?.take(SAMPLED) {
        if found?.decode::<Record<'_>>()?.is_some_and(|record| !Facts::of(&record).is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
