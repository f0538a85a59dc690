//! The sources that come with the program.

use std::sync::{Arc, OnceLock};

use super::error::SourceError;
use super::source::Source;

/// A source that comes with the program.
#[derive(Debug)]
pub struct EmbeddedSource {
    /// Its name, the one its header says.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
    parsed: OnceLock<Arc<Source>>,
}

/// All of them, by name.
pub static EMBEDDED: [EmbeddedSource; 10] = [
    EmbeddedSource::new("box", include_str!("../../data/sources/box.sql")),
    EmbeddedSource::new("cloudtrail", include_str!("../../data/sources/cloudtrail.sql")),
    EmbeddedSource::new("dropbox", include_str!("../../data/sources/dropbox.sql")),
    EmbeddedSource::new("entra", include_str!("../../data/sources/entra.sql")),
    EmbeddedSource::new("github", include_str!("../../data/sources/github.sql")),
    EmbeddedSource::new("google-workspace", include_str!("../../data/sources/google-workspace.sql")),
    EmbeddedSource::new("m365", include_str!("../../data/sources/m365.sql")),
    EmbeddedSource::new("ocsf", include_str!("../../data/sources/ocsf.sql")),
    EmbeddedSource::new("okta", include_str!("../../data/sources/okta.sql")),
    EmbeddedSource::new("slack", include_str!("../../data/sources/slack.sql")),
];

/// The source of this name.
#[must_use]
pub fn embedded(name: &str) -> Option<&'static EmbeddedSource> {
    EMBEDDED.iter().find(|source| source.name == name)
}

impl EmbeddedSource {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text, parsed: OnceLock::new() }
    }

    /// The source ready to run; read at its first use. Call it on the CPU runtime.
    ///
    /// # Errors
    /// Never for a file that passed the tests.
    pub fn source(&self) -> Result<Arc<Source>, SourceError> {
        if let Some(source) = self.parsed.get() {
            return Ok(Arc::clone(source));
        }
        let source = Arc::new(Source::parse(self.text)?);
        Ok(Arc::clone(self.parsed.get_or_init(|| source)))
    }
}
