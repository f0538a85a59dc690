//! Why a statement that was fine did not come to its end.

use std::io::ErrorKind;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;

use super::scrub;
use super::statement::first_line;
use super::store::OpenedFiles;
use crate::query::limits::{Limit, LimitsMet};

/// Failure of a statement while it ran.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It ran into a limit.
    #[error("the statement ran into a limit: {0:?}")]
    Limit(Limit),
    /// A value of the data does not suit it: a division by zero, a text that is no number.
    #[error("the statement failed: {0}")]
    Statement(String),
    /// A file of evidence was made anew while the old one was read; a second try finds the new one.
    #[error("a file of evidence was replaced while it was read")]
    Replaced(#[source] DataFusionError),
    /// The lake, the disk or the engine failed.
    #[error("the statement could not be carried out")]
    Engine(#[source] DataFusionError),
}

impl Failure {
    /// What an error of the engine means.
    #[must_use]
    pub fn of(error: DataFusionError, met: &LimitsMet, opened: &OpenedFiles) -> Self {
        let limit = met.last();
        if let (Some(limit @ (Limit::Value | Limit::Work)), DataFusionError::Execution(_)) = (limit, error.find_root())
        {
            return Self::Limit(limit);
        }
        if is_storage(&error, |kind| kind == ErrorKind::StorageFull) {
            return Self::Limit(Limit::Disk);
        }
        if is_exhausted(&error) {
            return Self::Limit(limit.unwrap_or(Limit::Memory));
        }
        if opened.evidence_is_gone() {
            return Self::Replaced(error);
        }
        if is_of_statement(&error) {
            return Self::Statement(scrub::message(&first_line(&error)));
        }
        Self::Engine(error)
    }
}

fn is_exhausted(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
        || is_storage(error, |kind| kind == ErrorKind::QuotaExceeded)
}

/// Whether an I/O error of this kind lies below.
fn is_storage(error: &DataFusionError, is_meant: fn(ErrorKind) -> bool) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| is_meant(io.kind())) {
            return true;
        }
        if let Some(ArrowError::IoError(_, io)) = cause.downcast_ref() {
            return is_meant(io.kind());
        }
        next = cause.source();
    }
    false
}

/// Whether the values that the statement works on are at fault, and not what keeps them.
fn is_of_statement(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(arrow, _) => matches!(
            arrow.as_ref(),
            ArrowError::CastError(_)
                | ArrowError::ParseError(_)
                | ArrowError::ComputeError(_)
                | ArrowError::DivideByZero
                | ArrowError::ArithmeticOverflow(_)
                | ArrowError::InvalidArgumentError(_)
        ),
        DataFusionError::Execution(_) | DataFusionError::Plan(_) | DataFusionError::NotImplemented(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: DataFusionError, limit: Option<Limit>) -> Failure {
        let met = LimitsMet::default();
        if let Some(limit) = limit {
            met.note(limit);
        }
        Failure::of(error, &met, &OpenedFiles::default())
    }

    #[test]
    fn limits_statements_and_storage_are_told_apart() {
        let exhausted = || DataFusionError::ResourcesExhausted("x".to_owned()).context("y");
        assert!(matches!(of(exhausted(), Some(Limit::TenantMemory)), Failure::Limit(Limit::TenantMemory)));
        let full = || DataFusionError::from(std::io::Error::from(ErrorKind::QuotaExceeded));
        assert!(matches!(of(full(), Some(Limit::TempDisk)), Failure::Limit(Limit::TempDisk)));
        let arrow = |error| DataFusionError::ArrowError(Box::new(error), None);
        assert!(matches!(of(arrow(ArrowError::DivideByZero), None), Failure::Statement(_)));
        let spill = ArrowError::IoError("x".to_owned(), ErrorKind::QuotaExceeded.into());
        assert!(matches!(of(arrow(spill), Some(Limit::TempDisk)), Failure::Limit(Limit::TempDisk)));
        // A refusal that was answered by spilling is no failure.
        assert!(matches!(of(arrow(ArrowError::DivideByZero), Some(Limit::Memory)), Failure::Statement(_)));
        let damaged = parquet::errors::ParquetError::General("x".to_owned());
        assert!(matches!(of(DataFusionError::ParquetError(Box::new(damaged)), None), Failure::Engine(_)));
        assert!(matches!(of(full(), None), Failure::Limit(_)));
        let disk = ArrowError::IoError("x".to_owned(), ErrorKind::StorageFull.into());
        assert!(matches!(of(arrow(disk), Some(Limit::Memory)), Failure::Limit(Limit::Disk)));
        let broken = ArrowError::IoError("x".to_owned(), ErrorKind::BrokenPipe.into());
        assert!(matches!(of(arrow(broken), Some(Limit::Memory)), Failure::Engine(_)));
    }
}
