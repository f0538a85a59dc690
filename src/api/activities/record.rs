//! An activity in the OpenAPI document, out of the table of columns that everything else is made of.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::activity::{COLUMNS, Column, ColumnType};

/// An activity as JSON: the 56 columns in wire order; those without a value are left out.
#[derive(Debug)]
pub struct Activity;

impl PartialSchema for Activity {
    fn schema() -> RefOr<Schema> {
        let object = COLUMNS.iter().fold(ObjectBuilder::new(), |object, column| {
            let object = object.property(column.name, RefOr::T(Schema::Object(property(column).build())));
            if column.is_nullable() { object } else { object.required(column.name) }
        });
        let description = "An activity. A column without a value is left out";
        RefOr::T(Schema::Object(object.description(Some(description)).build()))
    }
}

impl ToSchema for Activity {}

fn property(column: &Column) -> ObjectBuilder {
    let (kind, format) = match column.column_type {
        ColumnType::Int64 => (Type::Integer, Some(KnownFormat::Int64)),
        ColumnType::Float64 => (Type::Number, Some(KnownFormat::Double)),
        ColumnType::Boolean => (Type::Boolean, None),
        ColumnType::Utf8 => (Type::String, None),
    };
    let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
    ObjectBuilder::new()
        .schema_type(kind)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(format!("{}{unit}", column.meaning)))
}
