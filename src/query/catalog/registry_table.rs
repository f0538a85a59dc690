//! A table of the registry: rows of one tenant, read in pages while they are needed.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringBuilder, StringViewArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::scalar::ScalarValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::activities::time_type;
use super::describe::{ColumnKind, RegistryColumn};
use crate::domain::tenant::TenantKey;
use crate::registry::Registry;

/// Rows read at a time.
const PAGE_ROWS: i64 = 1_000;

/// What a table of the registry is made of. The texts are parts of a statement and are ours.
#[derive(Debug)]
pub(super) struct Definition {
    /// Name of the table.
    pub(super) name: &'static str,
    /// What it holds, for people.
    pub(super) meaning: &'static str,
    /// `FROM …`: tables and their joins. The first is called `r` and has `tenant_id` and `incarnation`.
    pub(super) from: &'static str,
    /// By what pages follow each other.
    pub(super) key: Key,
    /// Whether an expression depends on the moment: `?5` is now and `?6` the window of the tenant's index, both in ms.
    pub(super) momentary: bool,
    /// The columns.
    pub(super) columns: &'static [RegistryColumn],
}

/// Unique within the tenant and indexed with it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    /// A whole number.
    Number(&'static str),
    /// Two whole numbers.
    Numbers(&'static str, &'static str),
    /// A text that is never empty.
    Text(&'static str),
}

impl Key {
    fn columns(self) -> Vec<&'static str> {
        match self {
            Self::Number(column) | Self::Text(column) => vec![column],
            Self::Numbers(first, second) => vec![first, second],
        }
    }

    /// The place before every row.
    fn beginning(self) -> Vec<Value> {
        match self {
            Self::Number(_) => vec![Value::Integer(i64::MIN)],
            Self::Numbers(..) => vec![Value::Integer(i64::MIN); 2],
            Self::Text(_) => vec![Value::Text(String::new())],
        }
    }

    /// The place of a row, whose first columns are those of the key.
    fn of(self, row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
        Ok(match self {
            Self::Number(_) => vec![Value::Integer(row.try_get(0)?)],
            Self::Numbers(..) => vec![Value::Integer(row.try_get(0)?), Value::Integer(row.try_get(1)?)],
            Self::Text(_) => vec![Value::Text(row.try_get(0)?)],
        })
    }
}

/// The moment of a statement.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now, ms since epoch.
    pub now_ms: i64,
    /// How long an impact counts, in ms.
    pub uci_window_ms: i64,
}

impl Definition {
    pub(super) fn schema(&self) -> SchemaRef {
        let field = |column: &RegistryColumn| Field::new(column.name, data_type(column.kind), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Integer => DataType::Int64,
        ColumnKind::Double => DataType::Float64,
        ColumnKind::Boolean => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8View,
        ColumnKind::Time => time_type(),
        ColumnKind::Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    }
}

/// The table for one tenant.
pub(super) struct RegistryTable {
    definition: &'static Definition,
    registry: Arc<Registry>,
    tenant: TenantKey,
    moment: Moment,
    schema: SchemaRef,
}

impl fmt::Debug for RegistryTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryTable").field("name", &self.definition.name).finish_non_exhaustive()
    }
}

impl RegistryTable {
    pub(super) fn new(
        definition: &'static Definition,
        registry: Arc<Registry>,
        tenant: TenantKey,
        moment: Moment,
    ) -> Self {
        Self { definition, registry, tenant, moment, schema: definition.schema() }
    }

    /// A comparison that the registry makes itself: by an index, or one page would be a walk through all rows.
    fn wanted(&self, filter: &Expr) -> Option<Wanted> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
        let (Expr::Column(column), Expr::Literal(value, _)) = (left.as_ref(), right.as_ref()) else { return None };
        let place = self.definition.columns.iter().position(|known| known.name == column.name && known.indexed)?;
        let value = match value {
            ScalarValue::Int64(Some(number)) => Value::Integer(*number),
            other => Value::Text(other.try_as_str().flatten()?.to_owned()),
        };
        Some(Wanted { place, value })
    }
}

#[derive(Debug, Clone)]
enum Value {
    Integer(i64),
    Text(String),
}

#[derive(Debug, Clone)]
struct Wanted {
    place: usize,
    value: Value,
}

#[async_trait]
impl TableProvider for RegistryTable {
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
        let each = filters.iter().map(|filter| match self.wanted(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        });
        Ok(each.collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let pages = Pages {
            definition: self.definition,
            registry: Arc::clone(&self.registry),
            tenant: self.tenant,
            moment: self.moment,
            schema: Arc::clone(&self.schema),
            filters: filters.iter().filter_map(|filter| self.wanted(filter)).collect(),
            limit: limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        if limit.is_none()
            && let Some(all) = pages.all_if_few().await.map_err(|error| DataFusionError::External(Box::new(error)))?
        {
            let schema = Arc::clone(&self.schema);
            return Ok(MemorySourceConfig::try_new_exec(&[vec![all?]], schema, projection.cloned())?);
        }
        let plan =
            StreamingTableExec::try_new(Arc::clone(&self.schema), vec![Arc::new(pages)], projection, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// One scan.
#[derive(Clone)]
struct Pages {
    definition: &'static Definition,
    registry: Arc<Registry>,
    tenant: TenantKey,
    moment: Moment,
    schema: SchemaRef,
    filters: Vec<Wanted>,
    limit: Option<i64>,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("table", &self.definition.name)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        // The state is the last key read; none after the last page.
        let pages = futures::stream::try_unfold(
            (self.clone(), Some(self.definition.key.beginning())),
            |(scan, after)| async move {
                let Some(after) = after else { return Ok(None) };
                let rows = scan.page(after).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
                let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < scan.page_rows();
                let next = rows.last().filter(|_| !is_last).map(|row| scan.definition.key.of(row)).transpose();
                let next = next.map_err(|error| DataFusionError::External(Box::new(error)))?;
                let batch = scan.batch(&rows).map_err(|error| DataFusionError::External(Box::new(error)))??;
                Ok(Some((batch, (scan, next))))
            },
        );
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pages))
    }
}

impl Pages {
    /// All rows, where they are a page: the planner then knows that they are few, and a join with activities asks each
    /// file for these rows only instead of distributing all activities.
    async fn all_if_few(&self) -> Result<Option<Result<RecordBatch, DataFusionError>>, crate::registry::RegistryError> {
        let rows = self.page(self.definition.key.beginning()).await?;
        if i64::try_from(rows.len()).unwrap_or(i64::MAX) >= self.page_rows() {
            return Ok(None);
        }
        Ok(Some(self.batch(&rows)?))
    }

    fn page_rows(&self) -> i64 {
        self.limit.map_or(PAGE_ROWS, |limit| limit.clamp(1, PAGE_ROWS))
    }

    async fn page(&self, after: Vec<Value>) -> Result<Vec<SqliteRow>, crate::registry::RegistryError> {
        let mut values = vec![Value::Integer(self.tenant.id.get()), Value::Integer(self.tenant.incarnation)];
        values.extend(after);
        // The key may have one part or two; what comes behind it has fixed places.
        values.resize(4, Value::Integer(0));
        if self.definition.momentary {
            values.extend([Value::Integer(self.moment.now_ms), Value::Integer(self.moment.uci_window_ms)]);
        }
        values.extend(self.filters.iter().map(|wanted| wanted.value.clone()));
        values.push(Value::Integer(self.page_rows()));
        let mut query = sqlx::query(AssertSqlSafe(self.statement()));
        for value in values {
            query = match value {
                Value::Integer(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        let mut connection = self.registry.scan().await?;
        Ok(query.fetch_all(&mut *connection).await?)
    }

    /// The statement of a page: its values are the tenant, the place after which it begins, the moment where that
    /// matters, those of the filters, and how many rows.
    fn statement(&self) -> String {
        let Definition { from, key, columns, momentary, .. } = self.definition;
        let key = key.columns();
        let selected: Vec<&str> = key.iter().copied().chain(columns.iter().map(|column| column.expression)).collect();
        let (compared, places) =
            if key.len() == 1 { (key[0].to_owned(), "?3") } else { (format!("({})", key.join(", ")), "(?3, ?4)") };
        let mut filters = String::new();
        let mut value = if *momentary { 6 } else { 4 };
        for wanted in &self.filters {
            value += 1;
            // Writing to a string does not fail.
            let _ = write!(filters, " AND {} = ?{value}", columns[wanted.place].expression);
        }
        format!(
            "SELECT {} FROM {from} WHERE r.tenant_id = ?1 AND r.incarnation = ?2 AND {compared} > {places}{filters}
             ORDER BY {} LIMIT ?{}",
            selected.join(", "),
            key.join(", "),
            value + 1
        )
    }

    fn batch(&self, rows: &[SqliteRow]) -> Result<Result<RecordBatch, DataFusionError>, sqlx::Error> {
        // The key comes first.
        let key = self.definition.key.columns().len();
        let columns = self.definition.columns.iter().enumerate();
        let columns = columns.map(|(place, column)| read_column(rows, place + key, column.kind));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(Into::into))
    }
}

fn read_column(rows: &[SqliteRow], place: usize, kind: ColumnKind) -> Result<ArrayRef, sqlx::Error> {
    fn all<'r, T>(rows: &'r [SqliteRow], place: usize) -> Result<Vec<Option<T>>, sqlx::Error>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        rows.iter().map(|row| row.try_get(place)).collect()
    }
    Ok(match kind {
        ColumnKind::Integer => Arc::new(Int64Array::from(all::<i64>(rows, place)?)),
        ColumnKind::Double => Arc::new(Float64Array::from(all::<f64>(rows, place)?)),
        ColumnKind::Boolean => Arc::new(BooleanArray::from(all::<bool>(rows, place)?)),
        ColumnKind::Text => Arc::new(StringViewArray::from(all::<&str>(rows, place)?)),
        ColumnKind::Time => Arc::new(TimestampMillisecondArray::from(all::<i64>(rows, place)?).with_timezone("UTC")),
        ColumnKind::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for list in all::<&str>(rows, place)? {
                match list.map(serde_json::from_str::<Vec<String>>).transpose() {
                    Ok(list) => lists.append_option(list.map(|list| list.into_iter().map(Some))),
                    Err(error) => {
                        return Err(sqlx::Error::ColumnDecode { index: place.to_string(), source: Box::new(error) });
                    }
                }
            }
            Arc::new(lists.finish())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::tables;
    use super::*;

    #[tokio::test]
    async fn what_the_registry_compares_it_seeks() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::open(&dir.path().join("registry.sqlite")).await.unwrap());
        let tenant = TenantKey { id: crate::domain::tenant::TenantId::try_from(7).unwrap(), incarnation: 1 };
        for definition in tables::ALL {
            let indexed = definition.columns.iter().enumerate().filter(|(_, column)| column.indexed);
            for (place, column) in indexed {
                let pages = Pages {
                    definition,
                    registry: Arc::clone(&registry),
                    tenant,
                    moment: Moment { now_ms: 0, uci_window_ms: 1 },
                    schema: definition.schema(),
                    filters: vec![Wanted { place, value: Value::Text("x".to_owned()) }],
                    limit: None,
                };
                assert!(pages.page(definition.key.beginning()).await.unwrap().is_empty());
                let explained = format!("EXPLAIN QUERY PLAN {}", pages.statement());
                let mut connection = registry.scan().await.unwrap();
                let steps = sqlx::query(AssertSqlSafe(explained)).fetch_all(&mut *connection).await.unwrap();
                let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
                let name = column.expression.trim_start_matches("r.");
                let sought = steps.iter().any(|step| step.contains(&format!("{name}=?")) || step.contains("rowid=?"));
                assert!(sought, "{}.{}: {steps:?}", definition.name, column.name);
            }
        }
        // The readers stay free for who must be known.
        let (_first, _second) = (registry.scan().await.unwrap(), registry.scan().await.unwrap());
        assert!(registry.read().await.is_ok());
    }
}
