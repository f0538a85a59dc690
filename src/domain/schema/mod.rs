//! The tables that SQL sees, as one table of tables: what the providers give, what `docs/schema.md` and the
//! shell describe, and what the OpenAPI document says of an activity all come from here.

mod tables;

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::activity::{Column, ColumnType};

/// Type of a column as SQL shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlType {
    /// 64-bit signed integer.
    BigInt,
    /// IEEE 754 double.
    Double,
    /// `true` or `false`.
    Boolean,
    /// UTF-8 text.
    Text,
    /// Calendar day, UTC.
    Date,
    /// Moment in ms, UTC.
    Timestamp,
}

impl SqlType {
    /// The Arrow type of a scan's answer. Texts are views, as the scans of Parquet files give them.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Boolean => DataType::Boolean,
            Self::Text => DataType::Utf8View,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// Name of the type in SQL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::Text => "TEXT",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<ColumnType> for SqlType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Int64 => Self::BigInt,
            ColumnType::Float64 => Self::Double,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Utf8 => Self::Text,
        }
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaColumn {
    /// Name, case-sensitive.
    pub name: &'static str,
    /// Type.
    pub sql_type: SqlType,
    /// Whether a value may be missing.
    pub nullable: bool,
    /// Unit or form of the value; empty where there is none.
    pub unit: &'static str,
    /// One phrase for people.
    pub meaning: &'static str,
}

impl From<&Column> for SchemaColumn {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name,
            sql_type: column.column_type.into(),
            nullable: column.is_nullable(),
            unit: column.unit,
            meaning: column.meaning,
        }
    }
}

/// A table of a tenant's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaTable {
    /// Name.
    pub name: &'static str,
    /// What a row is, for people.
    pub meaning: &'static str,
    /// Its columns in order.
    pub columns: Vec<SchemaColumn>,
}

impl SchemaTable {
    /// The columns as an Arrow schema.
    #[must_use]
    pub fn arrow_schema(&self) -> SchemaRef {
        let field = |column: &SchemaColumn| Field::new(column.name, column.sql_type.data_type(), column.nullable);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }
}

/// Name of the table of all activities.
pub const ACTIVITIES: &str = "activities";
/// Name of the table of the anomalies' activities.
pub const EVIDENCE: &str = "evidence";
/// Name of the table of anomalies.
pub const ANOMALIES: &str = "anomalies";
/// Name of the table of impacts on scores.
pub const IMPACTS: &str = "impacts";
/// Name of the table of monitored people.
pub const USERS: &str = "users";
/// Name of the table of alerts.
pub const ALERTS: &str = "alerts";

/// The anomaly of a row.
pub const ANOMALY_ID: &str = "anomalyId";
/// `timeStamp` as a moment, computed when it is read.
pub const TIME: &str = "time";

/// Every table of a tenant's catalog, in the order in which they are described.
#[must_use]
pub fn tables() -> &'static [SchemaTable] {
    static TABLES: LazyLock<Vec<SchemaTable>> = LazyLock::new(tables::all);
    &TABLES
}

/// A table by its name.
#[must_use]
pub fn table(name: &str) -> Option<&'static SchemaTable> {
    tables().iter().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::activity::{evidence_schema, lake_schema};

    #[test]
    fn stored_columns_are_described_as_they_are_stored() {
        for (name, stored) in [(ACTIVITIES, lake_schema()), (EVIDENCE, evidence_schema())] {
            let described = table(name).unwrap().arrow_schema();
            for field in stored.fields() {
                let found = described.field_with_name(field.name()).unwrap();
                assert_eq!(found.is_nullable(), field.is_nullable(), "{name}.{}", field.name());
                let wanted = match field.data_type() {
                    DataType::Utf8 => &DataType::Utf8View,
                    other => other,
                };
                assert_eq!(found.data_type(), wanted, "{name}.{}", field.name());
            }
            let more: Vec<_> =
                described.fields().iter().map(|f| f.name()).filter(|n| stored.index_of(n).is_err()).collect();
            let computed: &[&str] = if name == EVIDENCE { &[ANOMALY_ID, TIME] } else { &[TIME] };
            assert_eq!(more, computed, "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_every_column_is_explained() {
        let names: BTreeSet<_> = tables().iter().map(|table| table.name).collect();
        assert_eq!(names.len(), tables().len());
        for table in tables() {
            let columns: BTreeSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            for column in &table.columns {
                assert!(!column.meaning.is_empty(), "{}.{}", table.name, column.name);
                // Both go into a cell of a Markdown table.
                assert!(!column.meaning.contains('|') && !column.unit.contains('|'), "{}", column.name);
            }
        }
    }
}
