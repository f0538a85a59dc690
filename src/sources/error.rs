//! What is wrong with a source file, and where.

use datafusion::common::DataFusionError;

/// A place in a source file, in lines and characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character in its line.
    pub column: u64,
}

/// Why a source file is refused: its author mends it at the place.
#[derive(Debug, thiserror::Error)]
#[error("line {}, column {}: {reason}", .at.line, .at.column)]
pub struct SourceError {
    /// Where.
    pub at: Position,
    /// What is wrong, and what would be right.
    pub reason: String,
    /// What the engine said, if it was the engine.
    pub source: Option<Box<DataFusionError>>,
}

impl SourceError {
    pub(super) fn new(at: Position, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into(), source: None }
    }

    /// A refusal by the engine, at the place it names or else here.
    pub(super) fn of_engine(at: Position, error: DataFusionError) -> Self {
        let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
        let at = span.map_or(at, |span| Position { line: span.start.line, column: span.start.column });
        let text = error.strip_backtrace();
        let reason = text.lines().next().unwrap_or_default().to_owned();
        Self { at, reason, source: Some(Box::new(error)) }
    }
}
