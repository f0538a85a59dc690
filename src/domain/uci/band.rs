//! Words for numbers: the band of a score, the severity of an impact.

use std::fmt;
use std::str::FromStr;

/// How a score is called. Source of the bounds: wire contract of the index, section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// 0 to 350.
    Poor,
    /// 351 to 650.
    Moderate,
    /// 651 to 1000.
    Good,
}

/// A text that is no band.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rating; known are poor, moderate, good")]
pub struct UnknownBand(pub String);

impl Band {
    /// Every band, worst first.
    pub const ALL: [Self; 3] = [Self::Poor, Self::Moderate, Self::Good];

    /// Band of a score.
    #[must_use]
    pub const fn of_score(score: i64) -> Self {
        match score {
            ..=350 => Self::Poor,
            351..=650 => Self::Moderate,
            _ => Self::Good,
        }
    }

    /// The band as it is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Poor => "poor",
            Self::Moderate => "moderate",
            Self::Good => "good",
        }
    }

    /// How grave it is that a user is in this band.
    #[must_use]
    pub const fn severity(self) -> UciSeverity {
        match self {
            Self::Poor => UciSeverity::Critical,
            Self::Moderate => UciSeverity::Medium,
            Self::Good => UciSeverity::Informational,
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Band {
    type Err = UnknownBand;

    /// Reads a band without regard to case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim();
        Self::ALL
            .into_iter()
            .find(|band| band.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownBand(text.to_owned()))
    }
}

/// How grave an impact or an alert is. Source of the bounds: wire contract of the index, section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UciSeverity {
    /// Up to 50 points.
    Informational,
    /// 51 to 100 points.
    Low,
    /// 101 to 150 points.
    Medium,
    /// 151 to 250 points.
    High,
    /// From 251 points on.
    Critical,
}

impl UciSeverity {
    /// Every severity, mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Severity of an impact that takes this many points.
    #[must_use]
    pub const fn of_points(points: i64) -> Self {
        match points {
            ..=50 => Self::Informational,
            51..=100 => Self::Low,
            101..=150 => Self::Medium,
            151..=250 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The severity as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

impl fmt::Display for UciSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no severity; known are Critical, High, Medium, Low, Informational")]
pub struct UnknownSeverity(pub String);

impl FromStr for UciSeverity {
    type Err = UnknownSeverity;

    /// Reads a severity without regard to case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = text.trim();
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

impl TryFrom<String> for UciSeverity {
    type Error = UnknownSeverity;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_meet_at_their_bounds() {
        let found = [0, 350, 351, 650, 651, 1000].map(|score| Band::of_score(score).as_str());
        assert_eq!(found, ["poor", "poor", "moderate", "moderate", "good", "good"]);
        assert_eq!(" GOOD".parse(), Ok(Band::Good));
        assert_eq!("all".parse::<Band>(), Err(UnknownBand("all".to_owned())));
    }

    #[test]
    fn severities_meet_at_their_bounds() {
        let found = [1, 50, 51, 100, 101, 150, 151, 250, 251, 1000].map(|n| UciSeverity::of_points(n).as_str());
        let expected = ["Informational", "Low", "Medium", "High", "Critical"];
        assert_eq!(found.to_vec(), expected.iter().flat_map(|s| [*s, *s]).collect::<Vec<_>>());
        assert_eq!("critical".parse(), Ok(UciSeverity::Critical));
        assert!("grave".parse::<UciSeverity>().is_err());
    }
}
