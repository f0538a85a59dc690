//! `information_schema`: the tenant's tables and columns.
//!
//! The engine's own tells its settings too, the folder for temporary files among them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;

use super::{CATALOG, INFORMATION_SCHEMA, SCHEMA, describe};

const NAMES: [&str; 4] = ["tables", "columns", "schemata", "views"];

#[derive(Debug)]
pub(super) struct InformationSchema;

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn same(value: &str, rows: usize) -> ArrayRef {
    texts(std::iter::repeat_n(value, rows))
}

fn tables() -> Result<RecordBatch, arrow::error::ArrowError> {
    let tables = describe();
    let rows = tables.len();
    RecordBatch::try_from_iter([
        ("table_catalog", same(CATALOG, rows)),
        ("table_schema", same(SCHEMA, rows)),
        ("table_name", texts(tables.iter().map(|table| table.name))),
        ("table_type", same("BASE TABLE", rows)),
        ("table_comment", texts(tables.iter().map(|table| table.meaning))),
    ])
}

fn columns() -> Result<RecordBatch, arrow::error::ArrowError> {
    let tables = describe();
    let all: Vec<_> = tables
        .iter()
        .flat_map(|table| {
            table.columns.iter().enumerate().map(|(place, column)| (table.name, place as u64 + 1, column))
        })
        .collect();
    let rows = all.len();
    RecordBatch::try_from_iter([
        ("table_catalog", same(CATALOG, rows)),
        ("table_schema", same(SCHEMA, rows)),
        ("table_name", texts(all.iter().map(|(table, ..)| *table))),
        ("column_name", texts(all.iter().map(|(.., column)| column.name.as_str()))),
        (
            "ordinal_position",
            Arc::new(UInt64Array::from_iter_values(all.iter().map(|(_, place, _)| *place))) as ArrayRef,
        ),
        ("is_nullable", texts(all.iter().map(|(.., column)| if column.nullable { "YES" } else { "NO" }))),
        ("data_type", texts(all.iter().map(|(.., column)| column.sql_type))),
        ("column_comment", texts(all.iter().map(|(.., column)| column.meaning))),
        ("column_unit", texts(all.iter().map(|(.., column)| column.unit))),
    ])
}

fn schemata() -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_from_iter([
        ("catalog_name", same(CATALOG, 2)),
        ("schema_name", texts([SCHEMA, INFORMATION_SCHEMA])),
    ])
}

fn views() -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns = ["table_catalog", "table_schema", "table_name", "definition"];
    RecordBatch::try_from_iter(columns.map(|column| (column, texts([]))))
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let batch = match name {
            "tables" => tables()?,
            "columns" => columns()?,
            "schemata" => schemata()?,
            "views" => views()?,
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        NAMES.contains(&name)
    }
}
