//! Alerts and the cursors of those who follow them.

use crate::domain::anomaly::AnomalyId;
use crate::domain::uci::alert::{AlertId, AlertName};
use crate::domain::uci::band::UciSeverity;

/// An alert; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its place in the order of all alerts.
    pub id: AlertId,
    /// What it tells.
    pub name: AlertName,
    /// When it was made, ms since epoch; never falls along the order.
    pub made_at_ms: i64,
    /// The anomaly that caused it; none when time alone did.
    pub anomaly_id: Option<AnomalyId>,
    /// The user in the spelling first seen.
    pub user: String,
    /// The form of `user` that matching uses.
    pub user_key: String,
    /// Activity of the anomaly; empty without one.
    pub activity: String,
    /// How grave it is.
    pub severity: UciSeverity,
    /// Points that the impact took off or, for the other names, by which the score changed.
    pub points: i64,
    /// The score after the change.
    pub score: i64,
    /// Source of the anomaly; empty without one.
    pub source: String,
    /// Reason of the anomaly; without one, what happened.
    pub reason: String,
}
