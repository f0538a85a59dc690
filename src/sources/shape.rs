//! The shape of records: what the decoder reads of them, and what the `SELECT` sees.
//!
//! They differ where keys are read in two spellings, whose values then become one column, and where a
//! list of a record is unnested, which makes its elements rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_not_null, take};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

/// Both sides, and how to get from one to the other.
#[derive(Debug)]
pub(super) struct Shape {
    decoded: SchemaRef,
    merged: SchemaRef,
    seen: SchemaRef,
    /// By column of what is seen, the decoded column of its other spelling.
    twins: Vec<Option<usize>>,
    /// The column that is unnested.
    unnested: Option<usize>,
}

impl Shape {
    /// Of declared fields, the list whose elements become rows, and whether the outermost keys may be
    /// in lower case.
    ///
    /// # Errors
    /// When the list is not declared as one of objects.
    pub(super) fn new(fields: Vec<Field>, unnested: Option<&str>, lower_case_too: bool) -> Result<Self, String> {
        let mut seen = fields.clone();
        let unnested = match unnested {
            None => None,
            Some(key) => {
                let found = seen.iter().position(|field| field.name() == key);
                let element = found.and_then(|place| Some((place, element_of(&seen[place])?)));
                let (place, element) = element.ok_or_else(|| format!("`{key}` is no declared list of objects"))?;
                seen[place] = element;
                Some(place)
            }
        };
        let mut decoded = fields.clone();
        let mut twins = vec![None; fields.len()];
        for (field, twin) in fields.iter().zip(&mut twins).filter(|_| lower_case_too) {
            let name = field.name().to_lowercase();
            if decoded.iter().all(|known| *known.name() != name) {
                *twin = Some(decoded.len());
                decoded.push(field.clone().with_name(name));
            }
        }
        let schema = |fields: Vec<Field>| Arc::new(Schema::new(fields));
        Ok(Self { decoded: schema(decoded), merged: schema(fields), seen: schema(seen), twins, unnested })
    }

    /// What the decoder reads.
    pub(super) fn decoded(&self) -> SchemaRef {
        Arc::clone(&self.decoded)
    }

    /// What the `SELECT` sees.
    pub(super) fn seen(&self) -> &SchemaRef {
        &self.seen
    }

    /// Whether a record may be several rows.
    pub(super) fn unnests(&self) -> bool {
        self.unnested.is_some()
    }

    /// One column for each declared field, whichever way its key was spelled. Where a record has both,
    /// the declared spelling counts.
    ///
    /// # Errors
    /// Never for what the decoder gives.
    pub(super) fn merge(&self, decoded: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.twins.iter().all(Option::is_none) {
            return Ok(decoded);
        }
        let merged = |(column, twin): (&ArrayRef, &Option<usize>)| {
            let Some(twin) = twin.map(|twin| decoded.column(twin)) else { return Ok(Arc::clone(column)) };
            if twin.null_count() == twin.len() {
                return Ok(Arc::clone(column));
            }
            if column.null_count() == column.len() {
                return Ok(Arc::clone(twin));
            }
            zip(&is_not_null(column)?, column, twin)
        };
        let columns = decoded.columns().iter().zip(&self.twins).map(merged).collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new(Arc::clone(&self.merged), columns)
    }

    /// How many rows each record of a merged batch has: one for each element of the list, one for a
    /// record without any.
    pub(super) fn row_counts(&self, merged: &RecordBatch) -> Vec<usize> {
        let Some(list) = self.list(merged) else { return vec![1; merged.num_rows()] };
        (0..list.len()).map(|record| elements(list, record).len().max(1)).collect()
    }

    /// Rows of a merged batch, each given by its record and the number of its element from 1.
    ///
    /// # Errors
    /// Never for what the decoder gives.
    pub(super) fn unnest(&self, merged: &RecordBatch, rows: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let index = |index: usize| u32::try_from(index).map_err(|error| ArrowError::ExternalError(Box::new(error)));
        let of_records = rows.iter().map(|(record, _)| index(*record)).collect::<Result<Vec<_>, _>>()?;
        let of_records = UInt32Array::from(of_records);
        let element = |(record, item): &(usize, usize)| {
            let mut elements = self.list(merged).map_or(0..0, |list| elements(list, *record));
            elements.nth(item - 1).map(index).transpose()
        };
        let of_elements = rows.iter().map(element).collect::<Result<UInt32Array, _>>()?;
        let column = |(place, column): (usize, &ArrayRef)| match (self.unnested == Some(place), column.as_list_opt()) {
            (true, Some(list)) => take(ListArray::values(list), &of_elements, None),
            _ => take(column, &of_records, None),
        };
        let columns = merged.columns().iter().enumerate().map(column).collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new(Arc::clone(&self.seen), columns)
    }

    fn list<'b>(&self, merged: &'b RecordBatch) -> Option<&'b ListArray> {
        merged.column(self.unnested?).as_list_opt()
    }
}

/// The objects of a list field, under the name of the field.
fn element_of(field: &Field) -> Option<Field> {
    match field.data_type() {
        DataType::List(element) if matches!(element.data_type(), DataType::Struct(_)) => {
            Some(Field::new(field.name(), element.data_type().clone(), true))
        }
        _ => None,
    }
}

/// Where the elements of a record's list stand.
fn elements(list: &ListArray, record: usize) -> Range<usize> {
    if list.is_null(record) {
        return 0..0;
    }
    let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
    let offsets = list.value_offsets();
    place(offsets[record])..place(offsets[record + 1])
}
