//! The columns an encoder writes, and their typed views of a batch.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;

use super::EncodeError;

/// Kind of value of a column; the three Arrow types of text are one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Double,
    Boolean,
    Text,
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Int64 => Some(Self::Integer),
            DataType::Float64 => Some(Self::Double),
            DataType::Boolean => Some(Self::Boolean),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            _ => None,
        }
    }
}

/// Names and kinds of the columns of an answer, in order.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    columns: Vec<(String, Kind)>,
}

impl Layout {
    /// The columns of `schema`.
    ///
    /// # Errors
    /// [`EncodeError::UnsupportedType`] for the first column that is no int64, float64, boolean or text.
    pub(super) fn of(schema: &Schema, format: &'static str) -> Result<Self, EncodeError> {
        let column = |field: &arrow::datatypes::FieldRef| match Kind::of(field.data_type()) {
            Some(kind) => Ok((field.name().clone(), kind)),
            None => Err(EncodeError::UnsupportedType {
                column: field.name().clone(),
                data_type: field.data_type().clone(),
                format,
            }),
        };
        Ok(Self { columns: schema.fields().iter().map(column).collect::<Result<_, _>>()? })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Typed columns of a batch, whose columns must be those of the layout by name, order and kind.
    ///
    /// # Errors
    /// [`EncodeError::UnexpectedBatch`] at the first difference.
    pub(super) fn typed<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Column<'a>>, EncodeError> {
        if batch.num_columns() != self.columns.len() {
            return Err(EncodeError::UnexpectedBatch {
                expected: format!("{} columns", self.columns.len()),
                found: format!("{} columns", batch.num_columns()),
            });
        }
        let schema = batch.schema_ref();
        let typed = |((name, kind), (field, array)): (&(String, Kind), (&arrow::datatypes::FieldRef, &'a ArrayRef))| {
            Column::of(array).filter(|column| field.name() == name && column.kind() == *kind).ok_or_else(|| {
                EncodeError::UnexpectedBatch {
                    expected: format!("column `{name}` of kind {kind:?}").to_lowercase(),
                    found: format!("column `{}` of type {}", field.name(), field.data_type()),
                }
            })
        };
        self.columns.iter().zip(schema.fields().iter().zip(batch.columns())).map(typed).collect()
    }
}

/// A column of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column<'a> {
    Integer(&'a Int64Array),
    Double(&'a Float64Array),
    Boolean(&'a BooleanArray),
    View(&'a StringViewArray),
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Option<Self> {
        match array.data_type() {
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Self::Integer),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(Self::Double),
            DataType::Boolean => array.as_boolean_opt().map(Self::Boolean),
            DataType::Utf8View => array.as_string_view_opt().map(Self::View),
            DataType::Utf8 => array.as_string_opt().map(Self::Utf8),
            DataType::LargeUtf8 => array.as_string_opt().map(Self::LargeUtf8),
            _ => None,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Integer(_) => Kind::Integer,
            Self::Double(_) => Kind::Double,
            Self::Boolean(_) => Kind::Boolean,
            Self::View(_) | Self::Utf8(_) | Self::LargeUtf8(_) => Kind::Text,
        }
    }

    pub(super) fn is_null(self, row: usize) -> bool {
        match self {
            Self::Integer(array) => array.is_null(row),
            Self::Double(array) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
            Self::View(array) => array.is_null(row),
            Self::Utf8(array) => array.is_null(row),
            Self::LargeUtf8(array) => array.is_null(row),
        }
    }

    /// Text of a row; `None` for null and for columns of other kinds.
    pub(super) fn text(self, row: usize) -> Option<&'a str> {
        match self {
            Self::View(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Self::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Integer(_) | Self::Double(_) | Self::Boolean(_) => None,
        }
    }
}
