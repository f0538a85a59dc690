//! Who may do what: roles of users, scopes of tokens.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One permission. `x:write` includes `x:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Export activities of an anomaly.
    ActivitiesRead,
    /// Load activities.
    ActivitiesWrite,
    /// Read anomalies and incidents.
    AnomaliesRead,
    /// Create and change anomalies and incidents.
    AnomaliesWrite,
    /// Read scores and impacts.
    UciRead,
    /// Push, allow and reset impacts.
    UciWrite,
    /// Read alerts.
    AlertsRead,
    /// Run SQL over every table of the tenant's catalog.
    SqlRead,
    /// Administer the tenant.
    Admin,
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{0}`; known are {known}", known = Scope::ALL.map(Scope::as_str).join(", "))]
pub struct UnknownScope(String);

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 9] = [
        Self::ActivitiesRead,
        Self::ActivitiesWrite,
        Self::AnomaliesRead,
        Self::AnomaliesWrite,
        Self::UciRead,
        Self::UciWrite,
        Self::AlertsRead,
        Self::SqlRead,
        Self::Admin,
    ];

    /// The scope's name, for example `activities:read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActivitiesRead => "activities:read",
            Self::ActivitiesWrite => "activities:write",
            Self::AnomaliesRead => "anomalies:read",
            Self::AnomaliesWrite => "anomalies:write",
            Self::UciRead => "uci:read",
            Self::UciWrite => "uci:write",
            Self::AlertsRead => "alerts:read",
            Self::SqlRead => "sql:read",
            Self::Admin => "admin",
        }
    }

    /// Whether holding `self` allows what `wanted` names.
    #[must_use]
    pub fn includes(self, wanted: Self) -> bool {
        self == wanted
            || matches!(
                (self, wanted),
                (Self::ActivitiesWrite, Self::ActivitiesRead)
                    | (Self::AnomaliesWrite, Self::AnomaliesRead)
                    | (Self::UciWrite, Self::UciRead)
            )
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// A set of scopes; its text form is a comma list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Whether any held scope allows what `wanted` names.
    #[must_use]
    pub fn allow(&self, wanted: Scope) -> bool {
        self.0.iter().any(|held| held.includes(wanted))
    }

    /// Whether no scope is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(Scope::from_str)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// What a user may do in one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Every `:read` scope.
    Reader,
    /// Every `:read` and `:write` scope.
    Manager,
    /// Everything.
    Admin,
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown role `{0}`; known are reader, manager, admin")]
pub struct UnknownRole(String);

impl Role {
    /// The role's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }

    /// Scopes that the role grants.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        Scope::ALL
            .into_iter()
            .filter(|scope| match scope {
                Scope::Admin => self == Self::Admin,
                Scope::ActivitiesWrite | Scope::AnomaliesWrite | Scope::UciWrite => self != Self::Reader,
                Scope::ActivitiesRead | Scope::AnomaliesRead | Scope::UciRead | Scope::AlertsRead | Scope::SqlRead => {
                    true
                }
            })
            .collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Reader, Self::Manager, Self::Admin]
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_includes_read_and_roles_nest() {
        assert!("activities:write".parse::<Scopes>().unwrap().allow(Scope::ActivitiesRead));
        assert!(!"activities:read".parse::<Scopes>().unwrap().allow(Scope::ActivitiesWrite));
        assert!(!"admin".parse::<Scopes>().unwrap().allow(Scope::ActivitiesRead));
        for scope in Scope::ALL {
            assert!(Role::Admin.scopes().allow(scope));
            assert_eq!(Role::Manager.scopes().allow(scope), scope != Scope::Admin);
            assert_eq!(Role::Reader.scopes().allow(scope), scope.as_str().ends_with(":read"));
        }
    }

    #[test]
    fn scope_lists_read_back() {
        let scopes: Scopes = "sql:read, activities:read".parse().unwrap();
        assert_eq!(scopes.to_string().parse(), Ok(scopes));
        assert!("activities:reed".parse::<Scopes>().unwrap_err().to_string().contains("activities:read,"));
    }
}
