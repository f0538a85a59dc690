//! Words of the incidents API for an anomaly: the state of its handling and how grave it is.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.

use std::fmt;
use std::str::FromStr;

/// How far people have come with an incident. Every change from one to another is allowed, back to
/// `new` too: the contract knows no order among them, and each step stays in the incident's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncidentStatus {
    /// Nobody has looked at it.
    New,
    /// Somebody works on it.
    Opened,
    /// There was nothing to it.
    FalsePositive,
    /// Dealt with.
    Resolved,
    /// Known and not to be shown.
    Suppressed,
    /// Put away.
    Archived,
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status `{0}`; known are {known}", known = IncidentStatus::ALL.map(IncidentStatus::as_str).join(", "))]
pub struct UnknownStatus(String);

/// The one form of a status or a change request's name that comparisons use: trimmed, lower case, with
/// spaces for underscores.
#[must_use]
pub fn workflow_word(text: &str) -> String {
    text.trim().to_lowercase().replace('_', " ")
}

impl IncidentStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Opened, Self::FalsePositive, Self::Resolved, Self::Suppressed, Self::Archived];

    /// The status as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Opened => "opened",
            Self::FalsePositive => "false positive",
            Self::Resolved => "resolved",
            Self::Suppressed => "suppressed",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for IncidentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for IncidentStatus {
    type Err = UnknownStatus;

    /// Reads a status without regard to case; an underscore counts as a space.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = workflow_word(text);
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

impl TryFrom<String> for IncidentStatus {
    type Error = UnknownStatus;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// How grave an incident is, from the score of its anomaly.
///
/// The contract names three degrees and no bounds. A score counts points of the user confidence
/// index, so the bounds are those of an impact's severity there, with everything from 151 points on high
/// and everything up to 100 low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Up to 100 points, and without a score.
    Low,
    /// Above 100 and up to 150 points.
    Medium,
    /// Above 150 points.
    High,
}

impl Severity {
    /// Severity of a score.
    #[must_use]
    pub fn of_score(score: Option<f64>) -> Self {
        match score {
            Some(score) if score > 150.0 => Self::High,
            Some(score) if score > 100.0 => Self::Medium,
            _ => Self::Low,
        }
    }

    /// The severity as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The severity's number: 0, 1 or 2.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_in_every_spelling() {
        for status in IncidentStatus::ALL {
            let upper = status.as_str().to_uppercase().replace(' ', "_");
            for text in [status.to_string(), upper, format!(" {status} ")] {
                assert_eq!(text.parse(), Ok(status), "{text}");
            }
        }
        assert_eq!("False_Positive".parse(), Ok(IncidentStatus::FalsePositive));
        for text in ["", "open", "falsepositive", "false-positive", "new opened"] {
            let refused = text.parse::<IncidentStatus>().unwrap_err().to_string();
            assert!(refused.contains("false positive, resolved"), "{refused}");
        }
    }

    #[test]
    fn severity_rises_with_the_score() {
        let of = |score| Severity::of_score(Some(score)).as_str();
        assert_eq!([of(-1.0), of(0.0), of(100.0), of(100.5)], ["low", "low", "low", "medium"]);
        assert_eq!([of(150.0), of(150.5), of(1000.0)], ["medium", "high", "high"]);
        assert_eq!(Severity::of_score(None).id(), 0);
        assert_eq!([Severity::Medium.id(), Severity::High.id()], [1, 2]);
    }
}
