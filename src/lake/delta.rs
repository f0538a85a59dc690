//! Creating and opening a tenant's Delta table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryFromArrow;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;

use super::error::LakeError;
use super::layout::{ACTIVITIES, activities_url};
use crate::domain::activity::{DAY, STATISTICS_COLUMNS, lake_schema};
use crate::domain::tenant::TenantKey;

/// Application id of the one `txn` action that each commit of an ingest group carries.
pub const INGEST_APP: &str = "ingest";

/// Commits between two checkpoints; thousands of commits without one take tens of seconds to open.
pub const CHECKPOINT_INTERVAL: u64 = 50;

/// Store rooted in the tenant's folder.
pub fn tenant_store(lake: &Arc<dyn ObjectStore>, tenant: TenantKey) -> Arc<dyn ObjectStore> {
    Arc::new(PrefixStore::new(Arc::clone(lake), tenant.folder()))
}

fn log_store(tenant_store: &Arc<dyn ObjectStore>, tenant: TenantKey) -> Result<LogStoreRef, LakeError> {
    let prefixed: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(tenant_store), ACTIVITIES));
    let url = activities_url(tenant)?;
    Ok(default_logstore(prefixed, Arc::clone(tenant_store), &url, &StorageConfig::default()))
}

/// Commit settings of every commit of ours: no retry, because one writer commits; no hooks, because
/// a failing hook would be reported as a failed commit though the version is durable.
#[must_use]
pub fn commit_properties() -> CommitProperties {
    CommitProperties::default().with_max_retries(0).with_create_checkpoint(false).with_cleanup_expired_logs(Some(false))
}

fn table_properties() -> HashMap<String, Option<String>> {
    [
        ("delta.dataSkippingStatsColumns", STATISTICS_COLUMNS.join(",")),
        ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_string()),
        // Longer than the longest query deadline, one hour.
        ("delta.logRetentionDuration", "interval 2 hours".to_owned()),
        ("delta.deletedFileRetentionDuration", "interval 2 hours".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Some(value)))
    .collect()
}

/// Opens the tenant's activities table, creating it when there is none.
///
/// Success means that version 0 is durable. A crash while creating leaves either no table or a whole one.
///
/// # Errors
/// [`LakeError::Delta`] when the log cannot be read or version 0 cannot be written.
pub async fn open_or_create(tenant_store: &Arc<dyn ObjectStore>, tenant: TenantKey) -> Result<DeltaTable, LakeError> {
    let log_store = log_store(tenant_store, tenant)?;
    if log_store.is_delta_table_location().await? {
        let mut table = DeltaTable::new(log_store);
        table.load().await?;
        return Ok(table);
    }
    let schema = StructType::try_from_arrow(lake_schema().as_ref() as &Schema).map_err(DeltaTableError::from)?;
    let table = deltalake::operations::create::CreateBuilder::new()
        .with_log_store(log_store)
        .with_table_name(ACTIVITIES)
        .with_columns(schema.fields().cloned())
        .with_partition_columns([DAY])
        .with_configuration(table_properties())
        .with_save_mode(SaveMode::ErrorIfExists)
        .with_commit_properties(commit_properties())
        .await?;
    Ok(table)
}
