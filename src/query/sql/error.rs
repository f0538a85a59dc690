//! What can be wrong with a statement.

use std::fmt;

use super::place::Place;

/// Why a statement does not come to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// It is larger or more complex than a statement may be.
    TooLarge,
    /// It is no SQL.
    Syntax,
    /// It names what is not there, or mixes types.
    Plan,
    /// It asks for what is not allowed here.
    NotAllowed,
    /// A parameter is missing or does not fit.
    Parameter,
}

/// A statement that is refused before it runs; the message holds neither paths nor settings.
#[derive(Debug)]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// Where in the text.
    pub place: Place,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(kind: RefusalKind, place: Place, message: impl Into<String>) -> Self {
        Self { kind, place, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for Refusal {}
