//! Leaving out records that are repeats, before anything is derived for them.

use std::error::Error;
use std::fmt::Debug;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::filter;

use super::columns::{ID_SLOT, WireBatch};
use super::error::DecodeError;

/// Knows which ids were seen.
pub trait KnownIds: Debug + Send + Sync {
    /// By row, whether its record is new: its id is not known, nor that of a row before. A row whose id is null or
    /// empty brings none and is always new.
    ///
    /// # Errors
    /// When it cannot be told; nothing of the input may be stored then.
    fn are_new(&self, ids: &StringArray) -> Result<BooleanArray, Box<dyn Error + Send + Sync>>;
}

/// The rows that are new, and how many are not.
pub(super) fn without_repeats(batch: WireBatch, known: &dyn KnownIds) -> Result<(WireBatch, u64), DecodeError> {
    let Some(ids) = &batch.columns[ID_SLOT] else { return Ok((batch, 0)) };
    let new = known.are_new(ids.as_string::<i32>()).map_err(DecodeError::Repeats)?;
    let rows = new.true_count();
    if rows == batch.rows {
        return Ok((batch, 0));
    }
    let kept = |column: Option<ArrayRef>| column.map(|column| filter(&column, &new)).transpose();
    let columns = batch.columns.into_iter().map(kept).collect::<Result<_, _>>().map_err(DecodeError::Batch)?;
    Ok((WireBatch { rows, columns }, (batch.rows - rows) as u64))
}
