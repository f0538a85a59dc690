//! The public collection of agents.

use std::sync::LazyLock;

use serde::Deserialize;
use ua_parser::{os, user_agent};

/// The collection, made ready at its first use: that takes some 50 ms and 15 MB.
pub(super) static PARSERS: LazyLock<Parsers> = LazyLock::new(|| {
    Parsers::new(include_str!("../../../data/user-agents.json")).unwrap_or_else(|error| {
        // The tests read the same file; without it agents are still named by their products.
        tracing::error!(%error, "the collection of user agents cannot be read");
        Parsers { programs: None, systems: None }
    })
});

/// Finds programs and operating systems.
pub(super) struct Parsers {
    programs: Option<user_agent::Extractor<'static>>,
    systems: Option<os::Extractor<'static>>,
}

#[derive(Deserialize)]
struct Collection {
    user_agent_parsers: Vec<user_agent::Parser<'static>>,
    os_parsers: Vec<os::Parser<'static>>,
}

/// Why the collection cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CollectionError {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("an expression is wrong: {0}")]
    Expression(#[from] ua_parser::Error),
}

impl Parsers {
    fn new(json: &str) -> Result<Self, CollectionError> {
        let Collection { user_agent_parsers, os_parsers } = serde_json::from_str(json)?;
        let programs = user_agent::Builder::new().push_all(user_agent_parsers)?;
        let systems = os::Builder::new().push_all(os_parsers).map_err(ua_parser::Error::from)?;
        Ok(Self {
            programs: Some(programs.build().map_err(ua_parser::Error::from)?),
            systems: Some(systems.build().map_err(ua_parser::Error::from)?),
        })
    }

    /// Name of the program.
    pub(super) fn program(&self, text: &str) -> Option<String> {
        let found = self.programs.as_ref()?.extract(text)?.family;
        known(&found).map(str::to_owned)
    }

    /// Name of the operating system. Of Windows alone the version is part of what people call it.
    pub(super) fn system(&self, text: &str) -> Option<String> {
        let found = self.systems.as_ref()?.extract(text)?;
        match (known(&found.os)?, found.major.as_deref()) {
            (windows @ "Windows", Some(version)) => Some(format!("{windows} {version}")),
            (name, _) => Some(name.to_owned()),
        }
    }
}

/// The collection's name for what it does not know is `Other`.
fn known(name: &str) -> Option<&str> {
    (!name.is_empty() && name != "Other").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collection_that_comes_with_the_program_is_sound() {
        let parsers = Parsers::new(include_str!("../../../data/user-agents.json")).unwrap();
        assert!(parsers.programs.is_some() && parsers.systems.is_some());
        for wrong in ["{}", r#"{"user_agent_parsers":[{"regex":"("}],"os_parsers":[]}"#] {
            assert!(Parsers::new(wrong).is_err(), "{wrong}");
        }
    }
}
