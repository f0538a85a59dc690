//! What can go wrong with the index, told apart by what the caller can do.

use crate::registry::RegistryError;

/// Why a request about the index was not carried out; nothing was stored then.
#[derive(Debug, thiserror::Error)]
pub enum UciError {
    /// A field is missing or wrong: correct it.
    #[error("`{field}` {problem}")]
    Field {
        /// The field, as the wire names it.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The tenant has no such anomaly, or not in the index.
    #[error("there is no such anomaly")]
    UnknownAnomaly,
    /// The anomaly records a reset, which takes no points off and so cannot be allowed.
    #[error("only an impact can be allowed; this anomaly records a reset")]
    NotAnImpact,
    /// Users of whom the index knows nothing; the texts as they were asked for.
    #[error("no user confidence index for: {}", .0.join(", "))]
    UnknownUsers(Vec<String>),
    /// The tenant has no such reset rule.
    #[error("there is no such reset rule")]
    UnknownRule,
    /// The idempotency key was used for another impact within 24 hours: take another key.
    #[error("the idempotency key `{0}` was used for another impact")]
    KeyConflict(String),
    /// Another request reads from the same export index: repeat when it is done.
    #[error("another request is reading from the index `{0}`; repeat when it is done")]
    IndexBusy(String),
    /// Nothing was read from this export index yet, so nothing can be repeated.
    #[error("the index `{0}` has given no page yet; begin with next, head, tail or a time")]
    NoPage(String),
    /// Reading ended abnormally.
    #[error("the answer could not be read")]
    Task(#[from] tokio::task::JoinError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<sqlx::Error> for UciError {
    fn from(error: sqlx::Error) -> Self {
        Self::Registry(error.into())
    }
}

/// A refusal of a field.
pub(super) fn field(field: &'static str, problem: impl Into<String>) -> UciError {
    UciError::Field { field, problem: problem.into() }
}
