//! The table `evidence`: the registry's evidence files as one table, the anomaly's number first.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;

use super::activities::{compute_time, filters_of, stored_projection, with_time, without_time};
use super::time_range::TimeRange;
use crate::domain::activity::evidence_schema;
use crate::domain::tenant::TenantKey;
use crate::lake::layout::tenant_url;
use crate::registry::Registry;
use crate::registry::evidence::{self, StoredFile};

/// Name of the column that tells the anomaly.
pub(super) const ANOMALY_ID: &str = "anomalyId";

/// Columns of the files, texts as views.
fn file_schema() -> SchemaRef {
    let view = |field: &FieldRef| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(evidence_schema().fields().iter().map(view).collect::<Vec<_>>()))
}

fn anomaly_field() -> FieldRef {
    Arc::new(Field::new(ANOMALY_ID, DataType::Int64, false))
}

/// Columns of the table: the anomaly's number, those of the files, `time`.
pub(super) fn evidence_table_schema() -> SchemaRef {
    let fields: Vec<FieldRef> = [anomaly_field()].into_iter().chain(file_schema().fields().iter().cloned()).collect();
    with_time(&Schema::new(fields))
}

/// The table for one tenant. Anomalies whose evidence was not made, or is given up, have no rows.
#[derive(Debug)]
pub(super) struct EvidenceTable {
    registry: Arc<Registry>,
    store: ObjectStoreUrl,
    tenant: TenantKey,
    schema: SchemaRef,
}

impl EvidenceTable {
    pub(super) fn new(registry: Arc<Registry>, tenant: TenantKey) -> Result<Self, DataFusionError> {
        let url = tenant_url(tenant).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Self { registry, store: ObjectStoreUrl::parse(url.as_str())?, tenant, schema: evidence_table_schema() })
    }

    async fn files(&self) -> Result<Vec<StoredFile>, DataFusionError> {
        let read = async {
            let mut connection = self.registry.read().await?;
            evidence::ready_files(&mut connection, self.tenant).await
        };
        read.await.map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

/// The files of anomalies that the filters on `anomalyId` leave.
fn chosen(files: Vec<StoredFile>, filters: &[Expr], state: &dyn Session) -> Result<Vec<StoredFile>, DataFusionError> {
    let on_anomaly = |filter: &&Expr| {
        let columns = filter.column_refs();
        !columns.is_empty() && columns.iter().all(|column| column.name == ANOMALY_ID)
    };
    let Some(condition) = conjunction(filters.iter().filter(on_anomaly).cloned()) else { return Ok(files) };
    let ids = Int64Array::from_iter_values(files.iter().map(|file| file.anomaly_id.get()));
    let schema = Arc::new(Schema::new(vec![anomaly_field()]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(ids)])?;
    // Filters name the table; the batch has no name.
    let condition = datafusion::logical_expr::expr_rewriter::unnormalize_col(condition);
    let condition = state.create_physical_expr(condition, &DFSchema::try_from(schema)?)?;
    let kept = condition.evaluate(&batch)?.into_array(files.len())?;
    let kept = kept.as_boolean().iter();
    Ok(files.into_iter().zip(kept).filter(|(_, kept)| *kept == Some(true)).map(|(file, _)| file).collect())
}

#[async_trait]
impl TableProvider for EvidenceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>, DataFusionError> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let (stored, wanted) = stored_projection(&self.schema, projection)?;
        let files = chosen(self.files().await?, filters, state)?;
        if files.is_empty() {
            let schema = match projection {
                Some(projection) => Arc::new(self.schema.project(projection)?),
                None => self.schema(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let table_schema = TableSchema::builder(file_schema()).with_table_partition_cols(vec![anomaly_field()]).build();
        let mut pushed = without_time(filters);
        pushed.extend(filters_of(TimeRange::of_all(filters), false));
        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let mut source = ParquetSource::new(table_schema.clone()).with_table_parquet_options(options);
        if let Some(predicate) = conjunction(pushed) {
            let predicate = datafusion::logical_expr::expr_rewriter::unnormalize_col(predicate);
            let columns = DFSchema::try_from(Arc::clone(table_schema.table_schema()))?;
            source = source.with_predicate(state.create_physical_expr(predicate, &columns)?);
        }
        let scanned = files.into_iter().map(|file| {
            let size = u64::try_from(file.bytes).unwrap_or(0);
            let values = vec![ScalarValue::Int64(Some(file.anomaly_id.get()))];
            PartitionedFile::new(file.file, size).with_partition_values(values)
        });
        let partitions = state.config().target_partitions();
        let groups = FileGroup::new(scanned.collect()).split_files(partitions);
        // The table has the anomaly's number first, the scan last.
        let columns = table_schema.table_schema().fields().len();
        let projection = stored.iter().map(|index| index.checked_sub(1).unwrap_or(columns - 1)).collect();
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(projection))?
            .with_limit(limit.filter(|_| filters.is_empty()))
            .build();
        compute_time(DataSourceExec::from_data_source(config), &self.schema, &wanted)
    }
}
