//! Alerts about users: what is told when a score changes.
//!
//! Source of the rules: wire contract of the index, section 1.

use std::fmt;
use std::str::FromStr;

use super::band::Band;
use crate::domain::day::DAY_MS;

/// How long an alert is kept, in ms from when it was made: 90 days.
pub const ALERT_LIFETIME_MS: i64 = 90 * DAY_MS;

/// What an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertName {
    /// An impact was accepted.
    ExternalImpact,
    /// The user's score is in another band.
    BandChange,
    /// The user's points were given back.
    Reset,
    /// The user's score has fallen below the tenant's threshold.
    Threshold,
}

/// A text that is no alert's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown alert name `{0}`")]
pub struct UnknownAlertName(String);

impl AlertName {
    /// Every name.
    pub const ALL: [Self; 4] = [Self::ExternalImpact, Self::BandChange, Self::Reset, Self::Threshold];

    /// The name as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExternalImpact => "External UCI impact",
            Self::BandChange => "UCI band change",
            Self::Reset => "UCI reset",
            Self::Threshold => "UCI threshold alert",
        }
    }
}

impl fmt::Display for AlertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AlertName {
    type Err = UnknownAlertName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| UnknownAlertName(text.to_owned()))
    }
}

impl TryFrom<String> for AlertName {
    type Error = UnknownAlertName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Place of an alert in the order in which alerts were made, over the whole server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(i64);

const HEX_PREFIX: &str = "a2";

impl AlertId {
    /// The alert at this place.
    #[must_use]
    pub const fn new(sequence: i64) -> Self {
        Self(sequence)
    }

    /// The place.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The spelling that is sent: `a2` and 22 lower-case hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{HEX_PREFIX}{:022x}", self.0)
    }

    /// Reads the spelling that is sent; none for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HEX_PREFIX)?;
        let sequence = i64::from_str_radix(digits, 16).ok()?;
        let id = Self(sequence);
        // One spelling only: neither signs nor upper case.
        (id.to_hex() == text).then_some(id)
    }
}

impl From<i64> for AlertId {
    fn from(sequence: i64) -> Self {
        Self(sequence)
    }
}

/// What a change of a score from `before` to `after` is worth telling, besides its cause.
///
/// A fall below the threshold is told once: as long as the score stays below, nothing falls again.
pub fn alerts_of_change(before: i64, after: i64, threshold: i64) -> impl Iterator<Item = AlertName> {
    let band = (Band::of_score(before) != Band::of_score(after)).then_some(AlertName::BandChange);
    let fall = (before >= threshold && after < threshold).then_some(AlertName::Threshold);
    band.into_iter().chain(fall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_told_once_and_a_band_whenever_it_changes() {
        let told = |before, after| alerts_of_change(before, after, 651).collect::<Vec<_>>();
        assert_eq!(told(1000, 651), []);
        assert_eq!(told(651, 650), [AlertName::BandChange, AlertName::Threshold]);
        assert_eq!(told(650, 400), []);
        assert_eq!(told(400, 350), [AlertName::BandChange]);
        assert_eq!(told(350, 1000), [AlertName::BandChange]);
        assert_eq!(alerts_of_change(900, 799, 800).collect::<Vec<_>>(), [AlertName::Threshold]);
        assert_eq!(alerts_of_change(5, 0, 0).count(), 0, "threshold 0 is never told");
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = AlertId::new(255);
        assert_eq!(id.to_hex(), "a200000000000000000000ff"[..].to_owned());
        assert_eq!(AlertId::from_hex(&id.to_hex()), Some(id));
        for text in ["", "255", "a2ff", "a200000000000000000000FF", "a2+000000000000000000000f"] {
            assert_eq!(AlertId::from_hex(text), None, "{text}");
        }
    }
}
