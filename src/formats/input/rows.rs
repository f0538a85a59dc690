//! Rows of a text format on their way into batches.

use super::columns::Columns;
use super::error::DecodeError;
use super::intake::{Intake, check_time_stamp};
use super::report::Fault;
use super::{MAX_BATCH_BYTES, MAX_BATCH_ROWS, Sink};

/// What a row costs beside its text, in bytes: fixed-width cells, offsets and what is derived.
const ROW_BYTES: usize = 640;

/// The batch being built.
#[derive(Debug)]
pub(super) struct Rows {
    /// Where a record writes its cells.
    pub(super) columns: Columns,
    bytes: usize,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self { columns: Columns::new(), bytes: 0 }
    }

    /// Ends the record at hand, which took `bytes` bytes of text: keeps its row and says true, or takes the row back
    /// and refuses the record. A batch that is full goes to the sink.
    pub(super) fn end_record<S: Sink>(
        &mut self,
        line: u64,
        bytes: usize,
        read: Result<(), Fault>,
        intake: &mut Intake<'_>,
        sink: &mut S,
    ) -> Result<bool, DecodeError> {
        if let Err(fault) = read.and_then(|()| check_time_stamp(self.columns.time_stamp())) {
            self.columns.undo_row();
            intake.refuse(line, fault)?;
            return Ok(false);
        }
        self.columns.accept_row();
        self.bytes += bytes + ROW_BYTES;
        if self.bytes >= MAX_BATCH_BYTES || self.columns.rows() >= MAX_BATCH_ROWS {
            self.hand_over(intake, sink)?;
        }
        Ok(true)
    }

    /// Hands over what there is.
    pub(super) fn hand_over<S: Sink>(&mut self, intake: &mut Intake<'_>, sink: &mut S) -> Result<(), DecodeError> {
        self.bytes = 0;
        if self.columns.rows() == 0 {
            return Ok(());
        }
        intake.hand_over(self.columns.finish().map_err(DecodeError::Batch)?, sink)
    }
}
