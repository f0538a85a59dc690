//! What all decoders share: counting bad records, completing batches, the end of an input.

use super::columns::{TIME_SLOT, WireBatch, slot_name};
use super::complete::Completion;
use super::error::{DecodeError, Rejection};
use super::known::{KnownIds, without_repeats};
use super::report::{DecodeReport, Fault, MAX_LISTED_ERRORS};
use super::{DecodeOptions, OnError, Sink};
use crate::domain::day::Day;

/// The state of one input being taken in.
#[derive(Debug)]
pub(crate) struct Intake<'o> {
    on_error: OnError,
    known_ids: Option<&'o dyn KnownIds>,
    completion: Completion<'o>,
    pub(crate) report: DecodeReport,
}

/// `timeStamp` is required and its year has four digits.
pub(crate) fn check_time_stamp(time_stamp: Option<i64>) -> Result<(), Fault> {
    let fault = |reason: String| Err(Fault::of_field(slot_name(TIME_SLOT), reason));
    match time_stamp {
        None => fault("required".to_owned()),
        Some(ms) if Day::of_time_stamp(ms).is_none() => {
            fault(format!("{ms} ms since epoch is outside the years 0001 to 9999"))
        }
        Some(_) => Ok(()),
    }
}

impl<'o> Intake<'o> {
    pub(crate) fn new(options: &'o DecodeOptions) -> Result<Self, DecodeError> {
        Ok(Self {
            on_error: options.on_error,
            known_ids: options.known_ids.as_deref(),
            completion: Completion::new(options)?,
            report: DecodeReport::default(),
        })
    }

    /// Counts a bad record. Fails once a rejected input has as many as will be listed.
    pub(crate) fn refuse(&mut self, line: u64, fault: Fault) -> Result<(), DecodeError> {
        self.report.rejected += 1;
        if self.report.errors.len() < MAX_LISTED_ERRORS {
            self.report.errors.push(fault.at(line));
        }
        if self.on_error == OnError::Reject && self.report.errors.len() >= MAX_LISTED_ERRORS {
            return Err(self.rejection(true));
        }
        Ok(())
    }

    /// Whether the input is lost already and is read on only for its other bad records.
    fn is_lost(&self) -> bool {
        self.on_error == OnError::Reject && self.report.rejected > 0
    }

    fn rejection(&mut self, stopped_early: bool) -> DecodeError {
        let errors = std::mem::take(&mut self.report.errors);
        DecodeError::Rejected(Rejection { errors, rejected: self.report.rejected, stopped_early })
    }

    /// Leaves out repeats, completes the other rows and hands them to the sink, unless the input is lost.
    pub(crate) fn hand_over<S: Sink>(&mut self, mut batch: WireBatch, sink: &mut S) -> Result<(), DecodeError> {
        if batch.rows == 0 || self.is_lost() {
            return Ok(());
        }
        if let Some(known_ids) = self.known_ids {
            let duplicates;
            (batch, duplicates) = without_repeats(batch, known_ids)?;
            self.report.duplicates += duplicates;
            if batch.rows == 0 {
                return Ok(());
            }
        }
        let batch = self.completion.complete(batch, &mut self.report).map_err(DecodeError::Batch)?;
        Ok(sink(batch)?)
    }

    /// The end of the input.
    pub(crate) fn finish(mut self) -> Result<DecodeReport, DecodeError> {
        if self.is_lost() {
            return Err(self.rejection(false));
        }
        if self.report.accepted == 0 && self.report.rejected == 0 && self.report.duplicates == 0 {
            return Err(DecodeError::Empty);
        }
        Ok(self.report)
    }
}
