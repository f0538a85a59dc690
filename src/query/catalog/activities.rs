//! The table `activities`: the lake's columns, and `time`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

use super::time_range::TimeRange;
use crate::domain::activity::{DAY, TIME_STAMP};
use crate::domain::day::{Day, END_TIME_STAMP_MS, MIN_TIME_STAMP_MS};

/// Name of the computed column: `timeStamp` as a timestamp.
pub const TIME: &str = "time";

/// Type of `time`.
#[must_use]
pub fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn time_field() -> FieldRef {
    Arc::new(Field::new(TIME, time_type(), false))
}

/// The columns of a table with `time` at the end.
pub(super) fn with_time(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().cloned().chain([time_field()]).collect();
    Arc::new(Schema::new(fields))
}

/// A table of the lake with the computed column.
#[derive(Debug)]
pub(super) struct Activities {
    stored: Arc<dyn TableProvider>,
    schema: SchemaRef,
}

impl Activities {
    pub(super) fn over(stored: Arc<dyn TableProvider>) -> Self {
        let schema = with_time(&stored.schema());
        Self { stored, schema }
    }
}

fn column(name: &str) -> Expr {
    // `col` would lower-case an unquoted name.
    col(format!("\"{name}\""))
}

/// Filters on stored columns that a range of moments implies; each alone, because a filter that mixes the partition
/// column with others prunes nothing.
pub(super) fn filters_of(range: TimeRange, partitioned: bool) -> Vec<Expr> {
    let mut filters = Vec::new();
    if range == TimeRange::ALL {
        return filters;
    }
    if partitioned {
        let day = |ms: i64| {
            let day = Day::of_time_stamp(ms.clamp(MIN_TIME_STAMP_MS, END_TIME_STAMP_MS - 1));
            day.map(|day| lit(ScalarValue::Date32(Some(day.days_since_epoch()))))
        };
        filters.extend(day(range.first).map(|first| column(DAY).gt_eq(first)));
        filters.extend(day(range.last).map(|last| column(DAY).lt_eq(last)));
    }
    if range.first > i64::MIN {
        filters.push(column(TIME_STAMP).gt_eq(lit(range.first)));
    }
    if range.last < i64::MAX {
        filters.push(column(TIME_STAMP).lt_eq(lit(range.last)));
    }
    filters
}

/// Filters that name stored columns only.
pub(super) fn without_time(filters: &[Expr]) -> Vec<Expr> {
    let names_time = |filter: &Expr| filter.column_refs().iter().any(|column| column.name == TIME);
    filters.iter().filter(|filter| !names_time(filter)).cloned().collect()
}

/// Which stored columns make up a projection: their places, and which of them is `timeStamp` for `time`.
pub(super) fn stored_projection(
    schema: &Schema,
    projection: Option<&Vec<usize>>,
) -> Result<(Vec<usize>, Vec<usize>), DataFusionError> {
    let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
    let time = schema.fields().len() - 1;
    let time_stamp = schema.index_of(TIME_STAMP)?;
    let mut stored: Vec<usize> = wanted.iter().copied().filter(|index| *index != time).collect();
    if wanted.contains(&time) && !stored.contains(&time_stamp) {
        stored.push(time_stamp);
    }
    Ok((stored, wanted))
}

/// Puts the computed column over a scan of stored columns.
pub(super) fn compute_time(
    scan: Arc<dyn ExecutionPlan>,
    schema: &Schema,
    wanted: &[usize],
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let time = schema.fields().len() - 1;
    if !wanted.contains(&time) {
        return Ok(scan);
    }
    let found = scan.schema();
    let expressions = wanted.iter().map(|index| {
        let stored = |name: &str| Ok::<_, DataFusionError>(Column::new(name, found.index_of(name)?));
        if *index == time {
            let cast: Arc<dyn PhysicalExpr> = Arc::new(CastExpr::new(Arc::new(stored(TIME_STAMP)?), time_type(), None));
            return Ok((cast, TIME.to_owned()));
        }
        let name = schema.field(*index).name();
        Ok((Arc::new(stored(name)?) as Arc<dyn PhysicalExpr>, name.clone()))
    });
    let expressions = expressions.collect::<Result<Vec<_>, DataFusionError>>()?;
    Ok(Arc::new(ProjectionExec::try_new(expressions, scan)?))
}

#[async_trait]
impl TableProvider for Activities {
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
        let mut pushed = without_time(filters);
        pushed.extend(filters_of(TimeRange::of_all(filters), true));
        let scan = self.stored.scan(state, Some(&stored), &pushed, limit.filter(|_| filters.is_empty())).await?;
        compute_time(scan, &self.schema, &wanted)
    }
}
