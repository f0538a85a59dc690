//! Keeps panics of the Parquet and Arrow readers to the input at hand.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::DecodeError;

/// What a panic said.
#[derive(Debug, thiserror::Error)]
#[error("the reader gave up: {0}")]
struct Panicked(String);

/// Runs a call of a reader of `what`. On some damaged inputs the readers assert instead of returning an error:
/// parquet 59.3 on about one in 200 files with flipped bytes, in five places. What they leave behind is dropped with
/// the input, so nothing half-changed is used again.
pub(super) fn contain<T>(what: &'static str, call: impl FnOnce() -> T) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| DecodeError::Corrupt { what, source: Box::new(Panicked(words(&*panic))) })
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason given").to_owned()
}
