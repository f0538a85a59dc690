//! Source files of the operator: checked once, then named by what they say.

use std::sync::Arc;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::Services;
use crate::domain::hex::hex;
use crate::lake::error::LakeError;
use crate::sources::{EmbeddedSource, Source, SourceError};

/// Files that are kept ready; the least used go first, and are given again when they are used again.
const MAX_KEPT: u64 = 64;

/// Begins the name of a kept file.
const PREFIX: &str = "own:";

/// Kept files by name.
#[derive(Debug)]
pub struct OwnSources(Cache<String, Arc<Source>>);

impl Default for OwnSources {
    fn default() -> Self {
        Self(Cache::new(MAX_KEPT))
    }
}

/// A source that records are read with.
#[derive(Debug, Clone)]
pub enum ChosenSource {
    /// One that comes with the program.
    Embedded(&'static EmbeddedSource),
    /// One of the operator.
    Own(Arc<Source>),
}

impl ChosenSource {
    /// What the column `source` of its rows holds.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Embedded(source) => source.name,
            Self::Own(source) => source.name(),
        }
    }

    /// The source ready to run. Call it on the CPU runtime.
    ///
    /// # Errors
    /// [`SourceError`], never for a source that was used before.
    pub fn ready(&self) -> Result<Arc<Source>, SourceError> {
        match self {
            Self::Embedded(source) => source.source(),
            Self::Own(source) => Ok(Arc::clone(source)),
        }
    }
}

/// Why a file is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It is not sound; its author mends it at the place.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Reading it failed by no fault of its own.
    #[error(transparent)]
    Task(#[from] LakeError),
}

impl Services {
    /// Checks a source file and keeps it for the time of this process. The name it gets says what is in
    /// it: `own:` and the SHA-256 of the text.
    ///
    /// # Errors
    /// [`KeepError`].
    pub async fn keep_source(&self, text: String) -> Result<(String, Arc<Source>), KeepError> {
        let name = format!("{PREFIX}{}", hex(&Sha256::digest(text.as_bytes())));
        let source = match self.own_sources.0.get(&name) {
            Some(source) => source,
            None => Arc::new(self.cpu.spawn_blocking(move || Source::parse(&text)).await.map_err(LakeError::Task)??),
        };
        self.own_sources.0.insert(name.clone(), Arc::clone(&source));
        Ok((name, source))
    }

    /// The kept file of this name.
    #[must_use]
    pub fn kept_source(&self, name: &str) -> Option<Arc<Source>> {
        self.own_sources.0.get(name)
    }
}
