//! Every table and column that a statement can name, for people: the source of `docs/schema.md`, of the shell's
//! completion and of `information_schema`.

use arrow::datatypes::{DataType, SchemaRef};

use super::activities::{TIME, with_time};
use super::evidence::{ANOMALY_ID, evidence_table_schema};
use super::registry_table::Definition;
use super::tables;
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, DAY, INGESTED_AT, RAW, SOURCE, USER_KEY, lake_schema};

/// Kind of a column of the registry's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole number of 64 bits.
    Integer,
    /// Double.
    Double,
    /// True or false.
    Boolean,
    /// Text.
    Text,
    /// A moment, stored in ms since epoch.
    Time,
    /// A list of texts, stored as a JSON array.
    Texts,
}

/// A column of a registry's table.
#[derive(Debug, Clone, Copy)]
pub(super) struct RegistryColumn {
    /// Name in SQL.
    pub(super) name: &'static str,
    /// Kind of its values.
    pub(super) kind: ColumnKind,
    /// Whether it may be null.
    pub(super) nullable: bool,
    /// What the registry's own statement selects.
    pub(super) expression: &'static str,
    /// Whether the registry finds rows by its value.
    pub(super) indexed: bool,
    /// One phrase for people.
    pub(super) meaning: &'static str,
    /// Unit or form of the value; empty where there is none.
    pub(super) unit: &'static str,
}

/// A table that a statement can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub meaning: &'static str,
    /// Its columns in order.
    pub columns: Vec<ColumnDescription>,
}

/// A column of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDescription {
    /// Its name, case-sensitive.
    pub name: String,
    /// Its type in SQL.
    pub sql_type: &'static str,
    /// Whether it may be null.
    pub nullable: bool,
    /// One phrase for people.
    pub meaning: &'static str,
    /// Unit or form of the value; empty where there is none.
    pub unit: &'static str,
}

/// All tables, in the order in which they are explained.
#[must_use]
pub fn describe() -> Vec<TableDescription> {
    let lake = [
        (ACTIVITIES, "one activity of a user, as it was stored", with_time(&lake_schema())),
        (EVIDENCE, "one activity of an anomaly's evidence, as last made", evidence_table_schema()),
    ];
    let lake =
        lake.into_iter().map(|(name, meaning, schema)| TableDescription { name, meaning, columns: of_lake(&schema) });
    lake.chain(tables::ALL.iter().map(|definition| of_registry(definition))).collect()
}

/// Name of the table of activities.
pub const ACTIVITIES: &str = "activities";
/// Name of the table of evidence.
pub const EVIDENCE: &str = "evidence";

fn of_lake(schema: &SchemaRef) -> Vec<ColumnDescription> {
    let column = |field: &arrow::datatypes::FieldRef| {
        let (meaning, unit) = meaning_of(field.name());
        let sql_type = sql_type(field.data_type());
        ColumnDescription { name: field.name().clone(), sql_type, nullable: field.is_nullable(), meaning, unit }
    };
    schema.fields().iter().map(column).collect()
}

fn of_registry(definition: &Definition) -> TableDescription {
    let schema = definition.schema();
    let columns = definition.columns.iter().zip(schema.fields()).map(|(column, field)| ColumnDescription {
        name: column.name.to_owned(),
        sql_type: sql_type(field.data_type()),
        nullable: column.nullable,
        meaning: column.meaning,
        unit: column.unit,
    });
    TableDescription { name: definition.name, meaning: definition.meaning, columns: columns.collect() }
}

fn meaning_of(name: &str) -> (&'static str, &'static str) {
    if let Some(column) = COLUMNS.iter().find(|column| column.name == name) {
        return (column.meaning, column.unit);
    }
    match name {
        ACTIVITY_ID => ("the record's own id, or one given on ingest", ""),
        USER_KEY => ("`user` trimmed and lower-cased; match users by it", ""),
        SOURCE => ("source mapping that made the row", "`activities` for native input"),
        INGESTED_AT => ("when the row was accepted", "ms since epoch, UTC"),
        RAW => ("the original record, where its source keeps it", ""),
        DAY => ("date of `timeStamp`", "UTC"),
        TIME => ("`timeStamp` as a timestamp", "UTC"),
        ANOMALY_ID => ("the anomaly whose evidence the row belongs to", ""),
        _ => ("", ""),
    }
}

/// Name of a type as a statement writes it.
#[must_use]
pub fn sql_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Int64 => "BIGINT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Date32 => "DATE",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::List(_) => "VARCHAR[]",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everything_is_explained_and_named_once() {
        for table in describe() {
            let mut names = HashSet::new();
            assert!(!table.meaning.is_empty() && !table.columns.is_empty(), "{}", table.name);
            for column in table.columns {
                assert!(!column.meaning.is_empty(), "{}.{} has no meaning", table.name, column.name);
                assert_ne!(column.sql_type, "OTHER", "{}.{}", table.name, column.name);
                assert!(names.insert(column.name.clone()), "{}.{} twice", table.name, column.name);
            }
        }
    }

    #[test]
    fn no_column_holds_a_credential() {
        let told = |text: &str| {
            let text = text.to_lowercase();
            ["hash", "password", "secret", "token", "salt", "credential", "argon"]
                .iter()
                .any(|word| text.contains(word))
        };
        for table in describe() {
            for column in table.columns {
                assert!(!told(&column.name), "{}.{}", table.name, column.name);
            }
        }
        for table in tables::ALL {
            for text in table.columns.iter().map(|column| column.expression).chain([table.from]) {
                assert!(!told(text), "{}: {text}", table.name);
                // The accounts that sign in are in `users`, their roles in `user_roles`.
                let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                assert!(words.clone().all(|word| !["users", "user_roles", "sessions"].contains(&word)), "{text}");
            }
        }
    }
}
