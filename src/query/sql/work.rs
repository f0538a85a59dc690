//! Functions that take much longer than reading their arguments, with a bound in front.
//!
//! A batch is one step that neither a deadline nor a client's leaving interrupts, and an expression of constants is
//! computed while planning. So what one row may take is bounded, and between portions of rows the statement asks
//! whether it is still wanted.

use std::ops::Range;

use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::limited::{CELL_BYTES, Columns, text};
use super::pattern::{MAX_PATTERN_BYTES, steps};

/// Most steps for one row: seconds at worst.
pub(super) const MAX_STEPS: u64 = 1 << 33;

/// Steps after which a statement asks whether it is still wanted.
const PORTION_STEPS: u64 = 1 << 29;

/// How the steps of a function come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Each byte of the first argument against each of the second.
    Pairs,
    /// Each element of the first list against each of the second.
    Elements,
    /// Each character of the first argument against the pattern.
    Matched,
    /// The same again from each match on: a match is told only after reading to the end.
    Rematched,
}

/// Steps of each row, at most; those of one row where all arguments are constants.
pub(super) fn steps_of(work: Work, args: &ScalarFunctionArgs, columns: &Columns) -> Vec<u64> {
    let (first, second) = (columns.sizes(0), columns.sizes(1));
    let pairs = |size: fn(u64) -> u64| {
        let other = |row: usize| second.get(row).copied().unwrap_or(0);
        first.iter().enumerate().map(|(row, own)| size(*own).saturating_mul(size(other(row)))).collect()
    };
    let each = |size: &dyn Fn(u64) -> u64| first.iter().map(|own| size(text(*own))).collect();
    match work {
        Work::Pairs => pairs(text),
        // An element weighs a cell at least, and comparing two takes about as many steps.
        Work::Elements => pairs(|size| size / CELL_BYTES.isqrt()),
        Work::Matched => each(&|own| own.saturating_mul(of_pattern(args))),
        Work::Rematched => each(&|own| own.saturating_mul(own).saturating_mul(of_pattern(args))),
    }
}

fn of_pattern(args: &ScalarFunctionArgs) -> u64 {
    match args.args.get(1) {
        Some(ColumnarValue::Scalar(pattern)) => pattern.try_as_str().flatten().map_or(1, steps),
        _ => 2 * MAX_PATTERN_BYTES as u64,
    }
}

/// Ranges of rows that take a portion of steps each.
pub(super) fn portions(steps: &[u64]) -> Vec<Range<usize>> {
    let (mut portions, mut begin, mut sum) = (Vec::new(), 0, 0_u64);
    for (row, more) in steps.iter().enumerate() {
        if row > begin && sum.saturating_add(*more) > PORTION_STEPS {
            portions.push(begin..row);
            (begin, sum) = (row, 0);
        }
        sum = sum.saturating_add(*more);
    }
    portions.push(begin..steps.len());
    portions
}

/// The arguments of these rows.
pub(super) fn rows_of(args: &ScalarFunctionArgs, rows: &Range<usize>) -> ScalarFunctionArgs {
    let portion = |arg: &ColumnarValue| match arg {
        ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(rows.start, rows.len())),
        constant @ ColumnarValue::Scalar(_) => constant.clone(),
    };
    ScalarFunctionArgs { args: args.args.iter().map(portion).collect(), number_rows: rows.len(), ..args.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_hold_all_rows_and_as_many_as_may_be() {
        let half = PORTION_STEPS / 2;
        let ends = |steps: &[u64]| portions(steps).into_iter().map(|rows| (rows.start, rows.end)).collect::<Vec<_>>();
        assert_eq!(ends(&[]), [(0, 0)]);
        assert_eq!(ends(&[1, 2, 3]), [(0, 3)]);
        assert_eq!(ends(&[half, half, 1, u64::MAX, 1, half]), [(0, 2), (2, 3), (3, 4), (4, 6)]);
    }
}
