//! Anomaly ids and their spellings.
//!
//! n comes from one sequence per server, 1 ≤ n < 2^53. Spellings: `n`, `ANO-n`, and for the UCI API
//! `a1` followed by 22 lower-case hex digits of n (24 characters, always with a letter).

use std::fmt;
use std::str::FromStr;

/// Number of an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnomalyId(i64);

/// A text or number that is no anomaly id; routes answer as for an unknown id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an anomaly id is a number from 1 to 9007199254740991, written as `42`, `ANO-42` or `a1` and 22 hex digits")]
pub struct InvalidAnomalyId;

const HEX_PREFIX: &str = "a1";
const HEX_DIGITS: usize = 22;

impl AnomalyId {
    /// The first one.
    pub const MIN: Self = Self(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Spelling of the UCI API: 24 hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        format!("{HEX_PREFIX}{:022x}", self.0)
    }

    /// Spelling of the incidents API: `ANO-n`.
    #[must_use]
    pub fn to_incident(self) -> String {
        format!("ANO-{}", self.0)
    }
}

impl TryFrom<i64> for AnomalyId {
    type Error = InvalidAnomalyId;

    fn try_from(n: i64) -> Result<Self, Self::Error> {
        if (1..1 << 53).contains(&n) { Ok(Self(n)) } else { Err(InvalidAnomalyId) }
    }
}

fn digits(text: &str, radix: u32) -> Option<i64> {
    let is_digit = |b: u8| match radix {
        16 => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        _ => b.is_ascii_digit(),
    };
    // `from_str_radix` would also take a sign.
    if text.is_empty() || !text.bytes().all(is_digit) {
        return None;
    }
    i64::from_str_radix(text, radix).ok()
}

impl FromStr for AnomalyId {
    type Err = InvalidAnomalyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let n = match text.strip_prefix(HEX_PREFIX) {
            Some(hex) if hex.len() == HEX_DIGITS => digits(hex, 16),
            Some(_) => None,
            None => digits(text.strip_prefix("ANO-").unwrap_or(text), 10),
        };
        n.and_then(|n| Self::try_from(n).ok()).ok_or(InvalidAnomalyId)
    }
}

impl fmt::Display for AnomalyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_spellings_read_back() {
        for n in [1, 42, 1111, (1 << 53) - 1] {
            let id = AnomalyId::try_from(n).unwrap();
            assert_eq!(id.to_hex().len(), 24);
            for text in [id.to_string(), id.to_incident(), id.to_hex()] {
                assert_eq!(text.parse(), Ok(id), "{text}");
            }
        }
    }

    #[test]
    fn anything_else_is_no_id() {
        let too_long = format!("a1{:023x}", 1);
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "9007199254740992",
            "ANO-",
            "ANO--1",
            "ano-1",
            "1.0",
            " 1",
            "a1",
            "A1000000000000000000000001",
            &too_long,
        ] {
            assert_eq!(text.parse::<AnomalyId>(), Err(InvalidAnomalyId), "{text}");
        }
    }
}
