//! Tenants: the id callers know, and the incarnation that keeps a re-created tenant from reviving old data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A tenant's number as callers know it, 1 ≤ n < 2^53 so that every JSON reader keeps it exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct TenantId(i64);

/// A text or number that is no tenant id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is a whole number from 1 to 9007199254740991, not `{0}`")]
pub struct InvalidTenantId(String);

impl TenantId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(n: i64) -> Result<Self, Self::Error> {
        if (1..1 << 53).contains(&n) { Ok(Self(n)) } else { Err(InvalidTenantId(n.to_string())) }
    }
}

impl From<TenantId> for i64 {
    fn from(id: TenantId) -> Self {
        id.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<i64>().ok().and_then(|n| Self::try_from(n).ok()).ok_or_else(|| InvalidTenantId(text.to_owned()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a tenant: dropping and re-creating an id gives a new incarnation and so a new folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TenantKey {
    /// The tenant's number.
    pub id: TenantId,
    /// Counts the lives of this number, from 1.
    pub incarnation: i64,
}

impl TenantKey {
    /// Folder of the tenant below the lake: `tenant=<id>-<incarnation>`.
    #[must_use]
    pub fn folder(self) -> String {
        format!("tenant={}-{}", self.id, self.incarnation)
    }
}

impl fmt::Display for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.incarnation)
    }
}
