//! What a statement may take, and how the engine is held to it.

pub mod budget;
mod constants;
pub mod memory;
mod meter;
pub mod rule;
pub mod stop;
mod tap;
pub mod temp;
pub mod values;
pub mod weight;
pub mod width;

use std::sync::atomic::{AtomicU8, Ordering};

/// The limit that a statement ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Memory of one statement.
    Memory,
    /// Memory of all statements of the tenant.
    TenantMemory,
    /// Memory of all statements of the server.
    ServerMemory,
    /// Temporary files of all statements of the tenant.
    TempDisk,
    /// Temporary files of all statements of the server.
    ServerTemp,
    /// Room on the server's disk.
    Disk,
    /// Size of one value or row that a statement makes.
    Value,
    /// Time of one function for one row.
    Work,
}

impl Limit {
    const ALL: [Self; 8] = [
        Self::Memory,
        Self::TenantMemory,
        Self::ServerMemory,
        Self::TempDisk,
        Self::ServerTemp,
        Self::Disk,
        Self::Value,
        Self::Work,
    ];

    /// Name of the setting that raises it; none where it is fixed.
    #[must_use]
    pub const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Memory => Some("sql.memory"),
            Self::TenantMemory => Some("sql.tenant-memory"),
            Self::ServerMemory => Some("sql.server-memory"),
            Self::TempDisk => Some("sql.tenant-temp"),
            Self::ServerTemp => Some("sql.server-temp"),
            Self::Disk | Self::Value | Self::Work => None,
        }
    }
}

/// Remembers the limit that was met last: the engine passes on texts only, and some of its operators answer a
/// refusal by spilling, so that a refusal alone is no failure.
#[derive(Debug, Default)]
pub struct LimitsMet(AtomicU8);

impl LimitsMet {
    /// Notes a refusal.
    pub fn note(&self, limit: Limit) {
        let place = Limit::ALL.iter().position(|known| *known == limit).unwrap_or_default();
        self.0.store(u8::try_from(place + 1).unwrap_or_default(), Ordering::Release);
    }

    /// The limit met last.
    #[must_use]
    pub fn last(&self) -> Option<Limit> {
        let place = usize::from(self.0.load(Ordering::Acquire)).checked_sub(1)?;
        Limit::ALL.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_met_last_is_remembered() {
        let met = LimitsMet::default();
        assert_eq!(met.last(), None);
        for limit in Limit::ALL {
            met.note(limit);
            assert_eq!(met.last(), Some(limit));
        }
    }
}
