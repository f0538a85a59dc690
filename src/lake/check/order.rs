//! Whether a file that says by what it is sorted is sorted so.

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::row::{OwnedRow, RowConverter, SortField};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// Compares each row with the one before it. A file declares its order for each row group; one that declares
/// different orders for two of them declares none for the file.
#[derive(Debug, Default)]
pub(super) struct Order {
    columns: Vec<usize>,
    converter: Option<RowConverter>,
    last: Option<OwnedRow>,
    row: u64,
    broken: Option<String>,
}

impl Order {
    /// The order that the footer declares; nothing is checked where there is none.
    pub(super) fn declared(footer: &ArrowReaderMetadata) -> Self {
        let groups = footer.metadata().row_groups();
        let Some(declared) = groups.first().and_then(|group| group.sorting_columns()) else { return Self::default() };
        if groups.iter().any(|group| group.sorting_columns() != Some(declared)) {
            return Self::default();
        }
        let schema: &Schema = footer.schema();
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for column in declared {
            // The table's columns are flat, so a leaf's number is its column's.
            let Some(at) = usize::try_from(column.column_idx).ok().filter(|at| *at < schema.fields().len()) else {
                return Self {
                    broken: Some("it is sorted by a column that it does not have".to_owned()),
                    ..Self::default()
                };
            };
            columns.push(at);
            let options = SortOptions { descending: column.descending, nulls_first: column.nulls_first };
            fields.push(SortField::new_with_options(schema.field(at).data_type().clone(), options));
        }
        match RowConverter::new(fields) {
            Ok(converter) => Self { columns, converter: Some(converter), ..Self::default() },
            Err(error) => Self { broken: Some(format!("its order cannot be compared: {error}")), ..Self::default() },
        }
    }

    /// Looks at the next rows of the file.
    ///
    /// # Errors
    /// When the values cannot be compared.
    pub(super) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let Some(converter) = self.converter.as_ref().filter(|_| self.broken.is_none() && batch.num_rows() > 0) else {
            return Ok(());
        };
        let columns: Vec<_> = self.columns.iter().map(|at| std::sync::Arc::clone(batch.column(*at))).collect();
        let rows = converter.convert_columns(&columns)?;
        for (at, row) in rows.iter().enumerate() {
            let before = if at > 0 { Some(rows.row(at - 1)) } else { self.last.as_ref().map(OwnedRow::row) };
            if before.is_some_and(|before| before > row) {
                self.broken =
                    Some(format!("it says that it is sorted, and row {} is not in order", self.row + at as u64));
                break;
            }
        }
        self.row += batch.num_rows() as u64;
        self.last = Some(rows.row(batch.num_rows() - 1).owned());
        Ok(())
    }

    /// Where the order breaks.
    pub(super) fn broken(self) -> Option<String> {
        self.broken
    }
}
