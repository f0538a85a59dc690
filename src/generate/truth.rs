//! The truth file: what was asked for, what was made, and what was planted into it.

use serde::{Deserialize, Serialize};

/// What is known about the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TruthFile {
    /// What was asked for.
    pub plan: PlanFacts,
    /// All rows.
    pub rows: u64,
    /// Rows that repeat the `activityId` of another one.
    pub repeats: u64,
    /// Rows delivered hours after they happened.
    pub late_by_hours: u64,
    /// Rows delivered more than a day after they happened.
    pub late_by_days: u64,
    /// What was planted.
    pub anomalies: Vec<PlantedAnomaly>,
}

/// What was asked for; the same facts give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanFacts {
    /// Accounts.
    pub users: usize,
    /// Days.
    pub days: i64,
    /// Seed.
    pub seed: u64,
    /// First moment after the data, RFC 3339.
    pub end: String,
}

/// Something planted: an account, a time, and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlantedAnomaly {
    /// `planted` (evidence of a given size), `sudden-volume`, `slow-exfiltration`, `user-swap`; of the demo `insider`,
    /// `two-countries`.
    pub kind: String,
    /// The account.
    pub user: String,
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after it, RFC 3339.
    pub to: String,
    /// Condition on the account's activities in that time, as SQL; none when all of them belong to it.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Rows, repeats among them.
    pub rows: u64,
    /// Rows with an `activityId` of their own.
    pub activities: u64,
}
