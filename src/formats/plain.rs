//! Batches of any types in the few kinds that the formats of text write: whole numbers, doubles, booleans, texts.
//!
//! A moment or a date becomes its ISO 8601 text, bytes become hexadecimal digits, and a list or a structure becomes its
//! JSON, which the JSON formats write as such.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, RecordBatch, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow_json::writer::{EncoderOptions, make_encoder};

use super::{BatchEncoder, EncodeError};

/// Marks a column of texts that are JSON values.
const JSON_MARK: &str = "anomalake.json";

/// Whether the texts of a column are JSON values.
pub(super) fn is_json(field: &Field) -> bool {
    field.metadata().contains_key(JSON_MARK)
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Same,
    Cast,
    Shown,
    Json,
}

fn form(data_type: &DataType) -> (Form, DataType) {
    match data_type {
        DataType::Int64
        | DataType::Float64
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => (Form::Same, data_type.clone()),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => (Form::Cast, DataType::Int64),
        DataType::Float16 | DataType::Float32 => (Form::Cast, DataType::Float64),
        DataType::Null => (Form::Cast, DataType::Utf8),
        DataType::Dictionary(_, value) => match form(value) {
            (Form::Same, data_type) => (Form::Cast, data_type),
            other => other,
        },
        DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Map(..) => (Form::Json, DataType::Utf8),
        _ => (Form::Shown, DataType::Utf8),
    }
}

/// The plain form of a schema and the way to it.
#[derive(Debug)]
pub(super) struct Plain {
    schema: SchemaRef,
    forms: Vec<Form>,
}

impl Plain {
    pub(super) fn of(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| {
            let (form, data_type) = form(field.data_type());
            let plain = Field::new(field.name(), data_type, true);
            let mark = HashMap::from([(JSON_MARK.to_owned(), String::new())]);
            (if form == Form::Json { plain.with_metadata(mark) } else { plain }, form)
        });
        let (fields, forms): (Vec<Field>, Vec<Form>) = columns.unzip();
        Self { schema: Arc::new(Schema::new(fields)), forms }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn convert(&self, batch: &RecordBatch) -> Result<RecordBatch, EncodeError> {
        let failed = |error: arrow::error::ArrowError| EncodeError::writer("text", error);
        let source = batch.schema();
        let columns = batch.columns().iter().zip(&self.forms).zip(self.schema.fields()).zip(source.fields());
        let columns = columns.map(|(((column, form), plain), source)| match form {
            Form::Same => Ok(Arc::clone(column)),
            Form::Cast => {
                let strict = CastOptions { safe: false, ..CastOptions::default() };
                cast_with_options(column, plain.data_type(), &strict)
            }
            Form::Shown => shown(column),
            Form::Json => json(source, column),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)
    }
}

fn shown(column: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    let options = FormatOptions::new().with_null("");
    let column = match column.data_type() {
        DataType::BinaryView => arrow::compute::cast(column, &DataType::Binary)?,
        _ => Arc::clone(column),
    };
    let formatter = ArrayFormatter::try_new(&column, &options)?;
    let mut texts = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
        } else {
            texts.append_value(formatter.value(row).try_to_string()?);
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn json(field: &FieldRef, column: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut encoder = make_encoder(field, column, &options)?;
    let mut values: Vec<Option<Vec<u8>>> = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        if encoder.is_null(row) {
            values.push(None);
        } else {
            let mut value = Vec::new();
            encoder.encode(row, &mut value);
            values.push(Some(value));
        }
    }
    let bytes = values.iter().map(|value| value.as_deref()).collect::<BinaryViewArray>();
    arrow::compute::cast(&bytes, &DataType::Utf8)
}

/// An encoder of plain batches, for batches of any types.
#[derive(Debug)]
pub(super) struct PlainEncoder<E> {
    plain: Plain,
    inner: E,
    /// The batch at hand: it comes again and again until all its rows are taken.
    converted: Option<(RecordBatch, RecordBatch)>,
}

impl<E: BatchEncoder> PlainEncoder<E> {
    pub(super) fn new(plain: Plain, inner: E) -> Self {
        Self { plain, inner, converted: None }
    }

    fn converted(&mut self, batch: &RecordBatch) -> Result<RecordBatch, EncodeError> {
        if let Some((source, plain)) = &self.converted
            && source.num_rows() == batch.num_rows()
            && source.columns().iter().zip(batch.columns()).all(|(a, b)| Arc::ptr_eq(a, b))
        {
            return Ok(plain.clone());
        }
        let plain = self.plain.convert(batch)?;
        self.converted = Some((batch.clone(), plain.clone()));
        Ok(plain)
    }
}

impl<E: BatchEncoder> BatchEncoder for PlainEncoder<E> {
    fn content_type(&self) -> &'static str {
        self.inner.content_type()
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.inner.begin(out)
    }

    fn encode(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<usize, EncodeError> {
        let plain = self.converted(batch)?;
        self.inner.encode(&plain, start, out, limit)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.converted = None;
        self.inner.finish(out)
    }
}
