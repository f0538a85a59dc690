//! Slices of batches in the plain types of a schema, for formats that state their types.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::EncodeError;

/// Most rows of a slice.
const MAX_ROWS: usize = 4_096;

/// What a cell costs beside its text, in bytes: a number and an offset take eight at most.
const CELL_BYTES: usize = 8;

/// Brings batches into a schema's types. Queries give texts as views; the answer states plain strings, which
/// every reader knows.
#[derive(Debug)]
pub(super) struct Conform {
    schema: SchemaRef,
    format: &'static str,
}

impl Conform {
    pub(super) fn new(schema: SchemaRef, format: &'static str) -> Self {
        Self { schema, format }
    }

    /// Rows from `start` on, at least one, of about `bytes` bytes at most.
    ///
    /// # Errors
    /// [`EncodeError::UnexpectedBatch`] when number, names or types of the columns differ;
    /// [`EncodeError::Writer`] when a column that may not be null is.
    pub(super) fn slice(&self, batch: &RecordBatch, start: usize, bytes: usize) -> Result<RecordBatch, EncodeError> {
        if batch.num_columns() != self.schema.fields().len() {
            return Err(EncodeError::UnexpectedBatch {
                expected: format!("{} columns", self.schema.fields().len()),
                found: format!("{} columns", batch.num_columns()),
            });
        }
        let mut rows = (batch.num_rows() - start).min(MAX_ROWS);
        while rows > 1 {
            let cost = cost(batch, start, rows);
            if cost <= bytes {
                break;
            }
            // Rows differ in size, so the proportional part may still be too much: then again, but at most half.
            rows = (rows * bytes / cost).clamp(1, rows / 2);
        }
        let columns = self.schema.fields().iter().zip(batch.schema_ref().fields()).zip(batch.columns());
        let columns = columns.map(|((wanted, found), column)| {
            if wanted.name() != found.name() || !same_kind(wanted.data_type(), found.data_type()) {
                return Err(EncodeError::UnexpectedBatch {
                    expected: format!("column `{}` of type {}", wanted.name(), wanted.data_type()),
                    found: format!("column `{}` of type {}", found.name(), found.data_type()),
                });
            }
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&column.slice(start, rows), wanted.data_type(), &strict)
                .map_err(|error| EncodeError::writer(self.format, error))
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        RecordBatch::try_new(SchemaRef::clone(&self.schema), columns)
            .map_err(|error| EncodeError::writer(self.format, error))
    }
}

fn same_kind(wanted: &DataType, found: &DataType) -> bool {
    wanted == found || (wanted.is_string() && found.is_string()) || *wanted == portable_type(found)
}

/// A schema in types that every reader knows; every column may be null.
pub(super) fn portable(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| Field::new(field.name(), portable_type(field.data_type()), true));
    std::sync::Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn portable_type(data_type: &DataType) -> DataType {
    let of = |field: &FieldRef| {
        let data_type = portable_type(field.data_type());
        FieldRef::new(field.as_ref().clone().with_data_type(data_type))
    };
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => portable_type(value),
        DataType::List(field) => DataType::List(of(field)),
        DataType::LargeList(field) => DataType::LargeList(of(field)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(of).collect()),
        other => other.clone(),
    }
}

/// Bytes that rows take, about.
fn cost(batch: &RecordBatch, start: usize, rows: usize) -> usize {
    let texts = batch.columns().iter().map(|column| text_bytes(column, start, rows));
    texts.sum::<usize>() + batch.num_columns() * rows * CELL_BYTES
}

fn text_bytes(column: &ArrayRef, start: usize, rows: usize) -> usize {
    if let Some(views) = column.as_string_view_opt() {
        views.lengths().skip(start).take(rows).map(|length| length as usize).sum()
    } else if let Some(texts) = column.as_string_opt::<i32>() {
        (texts.value_offsets()[start + rows] - texts.value_offsets()[start]).unsigned_abs() as usize
    } else if let Some(texts) = column.as_string_opt::<i64>() {
        usize::try_from(texts.value_offsets()[start + rows] - texts.value_offsets()[start]).unwrap_or_default()
    } else {
        0
    }
}
