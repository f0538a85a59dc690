//! Anomalies of the index: impacts and resets.

use crate::domain::anomaly::AnomalyId;
use crate::domain::uci::alert::AlertId;
use crate::domain::uci::band::UciSeverity;

/// What an anomaly of the index records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UciActivity {
    /// Points taken off by a third party.
    Impact,
    /// Points given back.
    Reset,
}

impl UciActivity {
    /// Every activity.
    pub const ALL: [Self; 2] = [Self::Impact, Self::Reset];

    /// The activity as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Impact => "ActivityForUciImpactAPI",
            Self::Reset => "UciReset",
        }
    }
}

/// That an impact was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// When, ms since epoch.
    pub at_ms: i64,
    /// Why; none when nothing was said.
    pub reason: Option<String>,
}

/// An anomaly of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UciAnomaly {
    /// Its number, in the order in which anomalies were accepted.
    pub id: AnomalyId,
    /// What it records.
    pub activity: UciActivity,
    /// The user in the spelling first seen.
    pub user: String,
    /// The form of `user` that matching uses.
    pub user_key: String,
    /// When it happened, ms since epoch.
    pub time_ms: i64,
    /// Points taken off; 0 for a reset.
    pub score: i64,
    /// Who reported it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// When it was accepted, ms since epoch; never falls along the ids of a tenant.
    pub created_at_ms: i64,
    /// Set once it was allowed.
    pub allowed: Option<Allowed>,
    /// Its own alert, named External UCI impact or UCI reset.
    pub alert: AlertId,
}

impl UciAnomaly {
    /// Id of the event behind it: `e1` and 22 lower-case hex digits of its number.
    #[must_use]
    pub fn event_id(&self) -> String {
        format!("e1{:022x}", self.id.get())
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(&self) -> UciSeverity {
        UciSeverity::of_points(self.score)
    }
}
