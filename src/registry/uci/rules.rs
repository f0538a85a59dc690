//! Reset rules.

use crate::domain::uci::schedule::Schedule;

/// A stored reset rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRule {
    /// Its number, never used again.
    pub id: i64,
    /// Name for people.
    pub name: String,
    /// Users, exactly or as glob patterns.
    pub users: Vec<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was created, ms since epoch.
    pub created_at_ms: i64,
    /// When it was last changed, ms since epoch.
    pub modified_at_ms: i64,
    /// When it last ran to its end, ms since epoch.
    pub last_run_ms: Option<i64>,
    /// When it runs next, ms since epoch; none while it is not enabled.
    pub next_run_ms: Option<i64>,
}
