//! Keeps panics of the Parquet reader to the file at hand: on some damaged files it asserts instead of returning an
//! error. What it leaves behind is dropped with the file, so nothing half-changed is used again.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a call of the reader; its error or panic as text.
pub(super) fn contain<T, E: std::fmt::Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(panic) => {
            let text =
                panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("the reader gave up: {}", text.unwrap_or("no reason given")))
        }
    }
}
