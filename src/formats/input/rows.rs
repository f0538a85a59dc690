//! Rows of a text format on their way into batches.

use super::columns::{Columns, WireBatch};
use super::error::DecodeError;
use super::intake::{Intake, check_time_stamp};
use super::report::Fault;
use super::{MAX_BATCH_BYTES, MAX_BATCH_ROWS, Sink};

/// What a row costs beside its text, in bytes: fixed-width cells, offsets and what is derived.
const ROW_BYTES: usize = 640;

/// Takes what becomes of records.
pub(super) trait Taker {
    /// Takes rows.
    fn take(&mut self, rows: WireBatch) -> Result<(), DecodeError>;

    /// Refuses a record. Fails when no more are to be read.
    fn refuse(&mut self, line: u64, fault: Fault) -> Result<(), DecodeError>;
}

/// Takes it in at once.
#[derive(Debug)]
pub(super) struct AtOnce<'a, 'o, S> {
    pub(super) intake: &'a mut Intake<'o>,
    pub(super) sink: &'a mut S,
}

impl<S: Sink> Taker for AtOnce<'_, '_, S> {
    fn take(&mut self, rows: WireBatch) -> Result<(), DecodeError> {
        self.intake.hand_over(rows, self.sink)
    }

    fn refuse(&mut self, line: u64, fault: Fault) -> Result<(), DecodeError> {
        self.intake.refuse(line, fault)
    }
}

/// The batch being built.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where a record writes its cells.
    pub(super) columns: Columns,
    bytes: usize,
}

impl Rows {
    /// Ends the record at hand, which took `bytes` bytes of text: keeps its row and says true, or takes the row back
    /// and refuses the record. A batch that is full is taken.
    pub(super) fn end_record(
        &mut self,
        line: u64,
        bytes: usize,
        read: Result<(), Fault>,
        taker: &mut impl Taker,
    ) -> Result<bool, DecodeError> {
        if let Err(fault) = read.and_then(|()| check_time_stamp(self.columns.time_stamp())) {
            self.columns.undo_row();
            taker.refuse(line, fault)?;
            return Ok(false);
        }
        self.columns.accept_row();
        self.bytes += bytes + ROW_BYTES;
        if self.bytes >= MAX_BATCH_BYTES || self.columns.rows() >= MAX_BATCH_ROWS {
            self.hand_over(taker)?;
        }
        Ok(true)
    }

    /// Hands over what there is.
    pub(super) fn hand_over(&mut self, taker: &mut impl Taker) -> Result<(), DecodeError> {
        self.bytes = 0;
        if self.columns.rows() == 0 {
            return Ok(());
        }
        taker.take(self.columns.finish().map_err(DecodeError::Batch)?)
    }
}
