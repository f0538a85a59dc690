//! How wide a row may be where an operator repeats it.
//!
//! Joins, `unnest` and window functions copy a row many times into one batch, outside of every memory pool. A text of
//! the tables is copied as a view of a few bytes; a list or a text that the statement itself made is copied whole.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use datafusion::common::{DataFusionError, resources_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use futures::StreamExt;

use super::tap::Tap;
use super::weight::row_weights;
use super::{Limit, LimitsMet};

/// Most bytes that the copies of a row may take in one batch.
pub const MAX_COPIES_BYTES: u64 = 64 << 20;

/// Refuses rows that are too wide to be repeated.
#[derive(Debug)]
pub(super) struct RowWidth {
    /// Rows of a batch that the operator above makes.
    pub(super) batch_rows: u64,
    /// Columns whose lists `unnest` takes apart; the row is repeated as often as the longest has elements.
    pub(super) unnested: Vec<usize>,
    /// Where a refusal is noted.
    pub(super) met: Arc<LimitsMet>,
}

impl RowWidth {
    pub(super) fn of_unnest(unnest: &UnnestExec, batch_rows: u64, met: Arc<LimitsMet>) -> Self {
        let unnested = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
        Self { batch_rows, unnested, met }
    }
}

/// Elements of the list in each row.
fn lengths(column: &ArrayRef) -> Vec<u64> {
    use arrow::array::AsArray;
    use arrow::datatypes::DataType;
    match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().offsets().lengths().map(|length| length as u64).collect(),
        DataType::LargeList(_) => column.as_list::<i64>().offsets().lengths().map(|length| length as u64).collect(),
        _ => vec![1; column.len()],
    }
}

/// Whether every row may be repeated.
fn fits(batch: &RecordBatch, batch_rows: u64, unnested: &[usize]) -> bool {
    let mut weights = vec![0_u64; batch.num_rows()];
    let mut copies = vec![batch_rows; batch.num_rows()];
    for (index, column) in batch.columns().iter().enumerate() {
        if unnested.contains(&index) {
            for (copies, length) in copies.iter_mut().zip(lengths(column)) {
                *copies = (*copies).max(length);
            }
        } else {
            for (weight, more) in weights.iter_mut().zip(row_weights(column, false)) {
                *weight = weight.saturating_add(more);
            }
        }
    }
    weights.iter().zip(copies).all(|(weight, copies)| weight.saturating_mul(copies) <= MAX_COPIES_BYTES)
}

impl Tap for RowWidth {
    fn name(&self) -> &'static str {
        "RowWidthExec"
    }

    fn tap(
        &self,
        input: &Arc<dyn ExecutionPlan>,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let stream = input.execute(partition, context)?;
        let (batch_rows, unnested, met) = (self.batch_rows, self.unnested.clone(), Arc::clone(&self.met));
        let checked = stream.map(move |batch| {
            let batch = batch?;
            if fits(&batch, batch_rows, &unnested) {
                return Ok(batch);
            }
            met.note(Limit::Value);
            Err(resources_datafusion_err!("a row is too wide to be repeated"))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(input.schema(), checked)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn lists_and_made_texts_are_bounded_and_texts_of_tables_are_not() {
        let long = "x".repeat(1 << 20);
        let of = |column: ArrayRef| RecordBatch::try_from_iter([("c", column)]).unwrap();
        assert!(fits(&of(Arc::new(StringViewArray::from(vec![long.as_str()]))), 2_048, &[]));
        assert!(!fits(&of(Arc::new(StringArray::from(vec![long.as_str()]))), 2_048, &[]));
        let list = |n: usize| -> ArrayRef {
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1); n])]))
        };
        assert!(fits(&of(list(1_000)), 2_048, &[]));
        assert!(!fits(&of(list(3_000)), 2_048, &[]));
        // A long list may be taken apart, but not beside another one.
        assert!(fits(&of(list(100_000)), 2_048, &[0]));
        let both = RecordBatch::try_from_iter([("a", list(100_000)), ("b", list(1_000))]).unwrap();
        assert!(!fits(&both, 2_048, &[0]));
    }
}
