//! Kinds of tokens. A kind is part of the token's text, so that people, secret scanners and the server
//! tell one from another before anything is looked up.

use std::fmt;
use std::str::FromStr;

/// What a token is for; it is valid in that role only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Stands for a user for minutes; exchanged for an access token, or used by itself.
    Iam,
    /// Stands for a user for a quarter of an hour.
    Access,
    /// Exchanged once for the next access token; opens nothing else.
    Refresh,
    /// Long-lived and of its own, made by an administrator for a program.
    Api,
}

/// A text that is no kind of token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of token `{0}`")]
pub struct UnknownTokenKind(String);

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Iam, Self::Access, Self::Refresh, Self::Api];

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::Api => "api",
        }
    }

    /// Start of every token of this kind.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Iam => "anomalake_iam_",
            Self::Access => "anomalake_access_",
            Self::Refresh => "anomalake_refresh_",
            Self::Api => "anomalake_api_",
        }
    }

    /// The kind that a token's text claims, with what follows the prefix.
    #[must_use]
    pub fn of_text(text: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|kind| text.strip_prefix(kind.prefix()).map(|rest| (kind, rest)))
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenKind {
    type Err = UnknownTokenKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownTokenKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes_read_back_as_their_kind_only() {
        for kind in TokenKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(TokenKind::of_text(&format!("{}rest", kind.prefix())), Some((kind, "rest")));
        }
        assert!("API".parse::<TokenKind>().is_err());
        for text in ["", "anomalake_", "anomalake_other_x", "Anomalake_api_x", " anomalake_api_x"] {
            assert_eq!(TokenKind::of_text(text), None, "{text}");
        }
    }
}
