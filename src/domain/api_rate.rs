//! How many requests a second the rate-limited routes take from one token.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// A rate limit. Source of the rule: wire contract of the index, section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiRate {
    /// This many requests a second, and as many at once.
    PerSecond(NonZeroU32),
    /// No limit.
    Off,
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate; write requests a second as a number from 1 to 1000000, or off")]
pub struct InvalidRate(pub String);

const HIGHEST: u32 = 1_000_000;

impl ApiRate {
    /// The rate of so many requests a second; 0 is [`ApiRate::Off`].
    #[must_use]
    pub const fn of_number(per_second: u32) -> Self {
        match NonZeroU32::new(per_second) {
            Some(number) => Self::PerSecond(number),
            None => Self::Off,
        }
    }

    /// Requests a second; 0 for [`ApiRate::Off`].
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::PerSecond(number) => number.get(),
            Self::Off => 0,
        }
    }
}

impl Default for ApiRate {
    /// 4 requests a second.
    fn default() -> Self {
        Self::of_number(4)
    }
}

impl FromStr for ApiRate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Self::Off);
        }
        let number = text.trim().parse().ok().filter(|number| (1..=HIGHEST).contains(number));
        number.map(Self::of_number).ok_or_else(|| InvalidRate(text.to_owned()))
    }
}

impl fmt::Display for ApiRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerSecond(number) => number.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl Serialize for ApiRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ApiRate {
    /// Reads a number or a text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_back_and_nonsense_is_refused() {
        for text in ["1", "4", "1000000", "off"] {
            assert_eq!(text.parse::<ApiRate>().unwrap().to_string(), text);
        }
        assert_eq!("OFF ".parse(), Ok(ApiRate::Off));
        for text in ["", "0", "-1", "1000001", "fast", "4/s"] {
            assert_eq!(text.parse::<ApiRate>(), Err(InvalidRate(text.to_owned())));
        }
        assert_eq!(serde_json::from_str::<ApiRate>("7").unwrap(), ApiRate::of_number(7));
        assert_eq!(serde_json::from_str::<ApiRate>("\"off\"").unwrap(), ApiRate::Off);
        assert!(serde_json::from_str::<ApiRate>("0").is_err());
    }
}
