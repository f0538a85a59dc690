//! Room to store things: a tenant's quota, and the disk that all share.

use std::io;
use std::path::PathBuf;

use prometheus_client::metrics::gauge::Gauge;

use super::Services;
use super::ingest::IngestError;
use crate::domain::size_text::format_size;
use crate::domain::tenant::TenantKey;
use crate::lake::table::ActivityTable;
use crate::registry::{RegistryError, evidence, tenants};

/// There is no room; nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// The tenant uses what it may: the operator raises the quota, or data is deleted.
    #[error("the tenant may store {}, and this would make it {}", format_size(*.quota_bytes), format_size(*.wanted_bytes))]
    Quota {
        /// The tenant's quota.
        quota_bytes: u64,
        /// Bytes of activities and evidence with what was to be stored; when asked before the upload, without.
        wanted_bytes: u64,
    },
    /// The server keeps the rest of its disk for what must go on: the operator makes room.
    #[error("the server's disk is almost full")]
    Disk {
        /// Free bytes.
        free_bytes: u64,
        /// Free bytes below which this is not stored.
        min_bytes: u64,
    },
    /// The disk could not be asked.
    #[error("the server's disk could not be asked for its free space")]
    Unknown(#[source] io::Error),
}

/// Storage that a tenant may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub(super) bytes: u64,
    /// Bytes of its evidence files; the rest is left for activities.
    evidence_bytes: u64,
}

impl Quota {
    /// Largest size of the activities' live files.
    pub(super) fn max_live_bytes(self) -> u64 {
        self.bytes.saturating_sub(self.evidence_bytes)
    }

    /// The refusal of a write that would make the activities this large.
    pub(super) fn refusal(self, live_bytes: u64) -> NoRoom {
        NoRoom::Quota { quota_bytes: self.bytes, wanted_bytes: live_bytes.saturating_add(self.evidence_bytes) }
    }
}

/// The disk of the data directory, to be asked from anywhere.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    min_bytes: u64,
    gauge: Gauge,
}

impl Disk {
    /// Free bytes; also shown as a gauge. Cost: one call of the operating system, some microseconds on
    /// a local disk.
    pub(super) fn free(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        // What processes without privileges may use.
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.gauge.set(i64::try_from(free).unwrap_or(i64::MAX));
        Ok(free)
    }

    /// Refuses to store anything while less is free than the setting `min-free-disk`.
    pub(super) fn check(&self) -> Result<(), NoRoom> {
        self.check_for(0)
    }

    /// As [`Disk::check`], for so many bytes: afterwards as much as that setting says is still free.
    pub(super) fn check_for(&self, bytes: u64) -> Result<(), NoRoom> {
        let (free_bytes, min_bytes) = (self.free().map_err(NoRoom::Unknown)?, self.min_bytes.saturating_add(bytes));
        if free_bytes < min_bytes { Err(NoRoom::Disk { free_bytes, min_bytes }) } else { Ok(()) }
    }
}

impl Services {
    /// The disk of the data directory.
    pub(super) fn disk(&self) -> Disk {
        Disk {
            folder: self.tmp.clone(),
            min_bytes: self.settings.min_free_disk,
            gauge: self.metrics.disk_free_bytes.clone(),
        }
    }

    /// Whether the disk has room for something new, by the setting `min-free-disk`.
    ///
    /// # Errors
    /// [`NoRoom::Disk`], [`NoRoom::Unknown`].
    pub fn check_disk(&self) -> Result<(), NoRoom> {
        self.disk().check()
    }

    /// The tenant's quota as it is now; none without one. The registry is asked each time, so that a
    /// quota that changes during a long upload counts at its end.
    pub(super) async fn quota(&self, tenant: TenantKey) -> Result<Option<Quota>, RegistryError> {
        let mut conn = self.registry.read().await?;
        let found = tenants::get(&mut conn, tenant.id).await?.filter(|found| found.key == tenant);
        let Some(quota_bytes) = found.and_then(|found| found.quota_bytes) else { return Ok(None) };
        let evidence_bytes = evidence::used_bytes(&mut conn, tenant).await?;
        let bytes = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Some(Quota { bytes: bytes(quota_bytes), evidence_bytes: bytes(evidence_bytes) }))
    }

    /// Whether an ingest may begin: the disk has room, and the tenant has some of its quota left.
    pub(super) async fn check_room(&self, table: &ActivityTable) -> Result<(), IngestError> {
        self.check_disk()?;
        let live_bytes = table.live_bytes();
        match self.quota(table.tenant()).await? {
            Some(quota) if live_bytes >= quota.max_live_bytes() => Err(quota.refusal(live_bytes).into()),
            _ => Ok(()),
        }
    }
}
