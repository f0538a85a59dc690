//! Settings of statements, `[sql]` and `[sql.tenants.<id>]`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{SettingsError, machine, size, span};
use crate::domain::tenant::TenantId;

/// What statements may take. A statement over a limit fails and says which.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SqlSettings {
    /// Memory that the operators of one statement may reserve, in bytes; at least 16 MiB. Below 100 MiB a statement runs in
    /// one partition. Default a sixteenth of the machine's memory, at least 256 MiB.
    #[serde(deserialize_with = "size")]
    pub memory: u64,
    /// The same for all statements of a tenant; at least 100 MiB. Each is admitted with 100 MiB of its own, or with
    /// `memory` where that is less. Default an eighth of the machine's memory, at least 512 MiB.
    #[serde(deserialize_with = "size")]
    pub tenant_memory: u64,
    /// The same for all statements of the server; at least 100 MiB. Default a quarter of the machine's memory, at least
    /// 1 GiB.
    #[serde(deserialize_with = "size")]
    pub server_memory: u64,
    /// Temporary files of all statements of a tenant, in bytes. Default 20 GiB.
    #[serde(deserialize_with = "size")]
    pub tenant_temp: u64,
    /// The same of all statements of the server. Default 50 GiB.
    #[serde(deserialize_with = "size")]
    pub server_temp: u64,
    /// Statements of a tenant at the same time; more wait for `queue-timeout`, then are refused. Default 4.
    pub tenant_statements: usize,
    /// Longest time of a statement, from its start to its last row; a request may ask for less. Default 1 h.
    #[serde(deserialize_with = "span")]
    pub timeout: Duration,
    /// Largest answer before compression, in bytes. Default 256 GiB.
    #[serde(deserialize_with = "size")]
    pub max_result: u64,
    /// Limits of single tenants, by id.
    pub tenants: BTreeMap<String, TenantSqlSettings>,
}

/// Limits of one tenant in place of the server's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct TenantSqlSettings {
    /// In place of `sql.memory`.
    #[serde(deserialize_with = "some_size")]
    pub memory: Option<u64>,
    /// In place of `sql.tenant-memory`.
    #[serde(deserialize_with = "some_size")]
    pub tenant_memory: Option<u64>,
    /// In place of `sql.tenant-temp`.
    #[serde(deserialize_with = "some_size")]
    pub tenant_temp: Option<u64>,
    /// In place of `sql.tenant-statements`.
    pub statements: Option<usize>,
    /// In place of `sql.max-result`.
    #[serde(deserialize_with = "some_size")]
    pub max_result: Option<u64>,
}

/// The limits that hold for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlLimits {
    /// Memory of one statement, in bytes.
    pub memory: usize,
    /// Memory of all statements of the tenant, in bytes.
    pub tenant_memory: usize,
    /// Temporary files of all statements of the tenant, in bytes.
    pub tenant_temp: u64,
    /// Statements at the same time.
    pub statements: usize,
    /// Largest answer, in bytes.
    pub max_result: u64,
}

impl Default for SqlSettings {
    fn default() -> Self {
        let server_memory = (machine::memory_bytes().unwrap_or(0) / 4).max(1 << 30);
        Self {
            memory: server_memory / 4,
            tenant_memory: server_memory / 2,
            server_memory,
            tenant_temp: 20 << 30,
            server_temp: 50 << 30,
            tenant_statements: 4,
            timeout: Duration::from_hours(1),
            max_result: 256 << 30,
            tenants: BTreeMap::new(),
        }
    }
}

fn some_size<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    size(deserializer).map(Some)
}

impl SqlSettings {
    /// The limits that hold for a tenant.
    #[must_use]
    pub fn of(&self, tenant: TenantId) -> SqlLimits {
        let own = self.tenants.get(&tenant.to_string()).copied().unwrap_or_default();
        let memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        SqlLimits {
            memory: memory(own.memory.unwrap_or(self.memory)),
            tenant_memory: memory(own.tenant_memory.unwrap_or(self.tenant_memory)),
            tenant_temp: own.tenant_temp.unwrap_or(self.tenant_temp),
            statements: own.statements.unwrap_or(self.tenant_statements),
            max_result: own.max_result.unwrap_or(self.max_result),
        }
    }

    pub(super) fn check(&self) -> Result<(), SettingsError> {
        const MIB: u64 = 1 << 20;
        let range = |ok: bool, name, range| if ok { Ok(()) } else { Err(SettingsError::Range { name, range }) };
        range(self.memory >= 16 * MIB, "sql.memory", "at least 16MiB")?;
        // Less would in effect be a tiny pool, under which grouping can wait for ever in the engine.
        range(self.tenant_memory >= 100 * MIB, "sql.tenant-memory", "at least 100MiB")?;
        range(self.server_memory >= 100 * MIB, "sql.server-memory", "at least 100MiB")?;
        range(self.tenant_statements >= 1, "sql.tenant-statements", "at least 1")?;
        range(self.timeout >= Duration::from_millis(1), "sql.timeout", "at least 1ms")?;
        let fits = |(id, own): (&String, &TenantSqlSettings)| {
            id.parse::<TenantId>().is_ok()
                && own.memory.is_none_or(|bytes| bytes >= 16 * MIB)
                && own.tenant_memory.is_none_or(|bytes| bytes >= 100 * MIB)
                && own.statements.is_none_or(|statements| statements >= 1)
        };
        range(self.tenants.iter().all(fits), "sql.tenants", "tables by tenant id, with values in the ranges of [sql]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_s_own_limits_come_first() {
        let text = "[tenants.5618]\nmemory = \"32MiB\"\nstatements = 9";
        let settings: SqlSettings = toml::from_str(text).unwrap();
        let of = |id: i64| settings.of(TenantId::try_from(id).unwrap());
        assert_eq!((of(5618).memory, of(5618).statements, of(5618).max_result), (32 << 20, 9, 256 << 30));
        assert_eq!((of(7).memory as u64, of(7).statements), (SqlSettings::default().memory, 4));
    }
}
