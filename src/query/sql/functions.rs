//! The functions that a statement may call.
//!
//! Allow-lists: what a later version of the engine adds is not callable until it is looked at here.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::limited::{Bound, Limited, Made};
use super::work::Work;
use crate::query::functions::where_functions;
use crate::query::limits::values::Values;
use crate::query::udf;

/// Scalar functions beside those of an anomaly's `where`, whose results are about as large as their arguments at
/// most. Left out on purpose: `arrow_cast` and its like (a type of fixed size allocates that size for each row),
/// `levenshtein` and `array_distance` (quadratic in one step), `range`, `generate_series` and `array_resize` (lists out
/// of a number), and what tells of the server or of files (`version`, `input_file_name`, `file_row_index`).
const SCALAR: &[&str] = &[
    "array_any_value",
    "array_dims",
    "array_distinct",
    "array_element",
    "array_has",
    "array_length",
    "array_max",
    "array_min",
    "array_ndims",
    "array_pop_back",
    "array_pop_front",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_reverse",
    "array_slice",
    "array_sort",
    "arrow_typeof",
    "cardinality",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "cot",
    "current_date",
    "current_time",
    "decode",
    "degrees",
    "digest",
    "empty",
    "exp",
    "factorial",
    "gcd",
    "get_field",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "make_time",
    "now",
    "pi",
    "radians",
    "random",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "to_local_time",
    "to_time",
    "uuid",
];

/// Scalar functions that can make a value much larger than their arguments, or larger with each use; their results
/// are bounded.
const BOUNDED: &[(&str, Made)] = &[
    ("array_append", Made::Sum),
    ("array_concat", Made::Sum),
    ("array_except", Made::Sum),
    ("array_intersect", Made::Sum),
    ("array_prepend", Made::Sum),
    ("array_repeat", Made::Repeated),
    ("array_to_string", Made::JoinedList),
    ("array_union", Made::Sum),
    ("concat", Made::Sum),
    ("concat_ws", Made::JoinedTexts),
    ("encode", Made::Sum),
    ("lpad", Made::Padded),
    ("make_array", Made::Sum),
    ("named_struct", Made::Sum),
    ("overlay", Made::Sum),
    ("regexp_replace", Made::ReplacedMatches),
    ("repeat", Made::Repeated),
    ("replace", Made::Replaced),
    ("rpad", Made::Padded),
    ("string_to_array", Made::Split),
    ("struct", Made::Sum),
    ("to_char", Made::Formatted),
];

/// Scalar functions that can take much longer than reading their arguments; that time is bounded.
const LABORIOUS: &[(&str, Work)] = &[
    ("array_has_all", Work::Elements),
    ("array_has_any", Work::Elements),
    ("btrim", Work::Pairs),
    ("ltrim", Work::Pairs),
    ("regexp_count", Work::Rematched),
    ("regexp_instr", Work::Rematched),
    ("regexp_like", Work::Matched),
    ("regexp_match", Work::Matched),
    ("regexp_replace", Work::Rematched),
    ("rtrim", Work::Pairs),
    ("strpos", Work::Pairs),
];

/// Aggregates.
const AGGREGATE: &[&str] = &[
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "grouping",
    "last_value",
    "max",
    "median",
    "min",
    "percentile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var",
    "var_pop",
];

/// Aggregates that may run over a window: their state is small, and a row costs them the same wherever it stands.
const IN_WINDOW: &[&str] = &[
    "avg",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "first_value",
    "last_value",
    "max",
    "min",
    "nth_value",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// Functions of windows alone.
const WINDOW: &[&str] = &["cume_dist", "dense_rank", "lag", "lead", "ntile", "percent_rank", "rank", "row_number"];

/// Whether a function can make a value much larger than its arguments.
pub(super) fn makes(name: &str) -> bool {
    name == super::limited::TEXT_CONCAT || BOUNDED.iter().any(|(bounded, _)| *bounded == name)
}

/// What is bounded of a function; none where nothing is.
pub(super) fn bound(name: &str) -> Option<Bound> {
    let made = BOUNDED.iter().find(|(bounded, _)| *bounded == name).map(|(_, made)| *made);
    let work = LABORIOUS.iter().find(|(laborious, _)| *laborious == name).map(|(_, work)| *work);
    (made.is_some() || work.is_some()).then_some(Bound { made, work })
}

/// Whether a plan may hold this scalar function.
pub(super) fn is_scalar_allowed(name: &str) -> bool {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| scalar_names().collect());
    NAMES.contains(name)
}

fn scalar_names() -> impl Iterator<Item = String> {
    let ours = udf::scalar().into_iter().map(|function| function.name().to_owned());
    let shared = where_functions().into_iter().map(|function| function.name().to_owned());
    let bounded = BOUNDED.iter().map(|(name, _)| *name).chain(LABORIOUS.iter().map(|(name, _)| *name));
    let listed = SCALAR.iter().copied().chain(bounded).map(str::to_owned);
    ours.chain(shared).chain(listed).chain([super::limited::TEXT_CONCAT.to_owned()])
}

/// Whether a plan may hold this aggregate.
pub(super) fn is_aggregate_allowed(name: &str) -> bool {
    AGGREGATE.contains(&name) || udf::aggregate().iter().any(|function| function.name() == name)
}

/// Whether an aggregate may run over a window.
pub(super) fn is_window_allowed(name: &str) -> bool {
    IN_WINDOW.contains(&name) || WINDOW.contains(&name)
}

/// The scalar functions of a session.
pub(super) fn scalar(values: &Arc<Values>) -> Vec<Arc<ScalarUDF>> {
    let all = datafusion::functions::all_default_functions()
        .into_iter()
        .chain(datafusion::functions_nested::all_default_nested_functions());
    let listed = all.filter(|function| is_scalar_allowed(function.name()));
    let bounded = listed.map(|function| match bound(function.name()) {
        Some(bound) => Arc::new(ScalarUDF::new_from_impl(Limited::new(function, bound, values))),
        None => function,
    });
    bounded.chain(udf::scalar()).collect()
}

/// The aggregates of a session.
pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let all = datafusion::functions_aggregate::all_default_aggregate_functions().into_iter();
    let listed = all.filter(|function| is_aggregate_allowed(function.name()) || is_window_allowed(function.name()));
    listed.chain(udf::aggregate()).collect()
}

/// The window functions of a session.
pub(super) fn window() -> Vec<Arc<WindowUDF>> {
    let all = datafusion::functions_window::all_default_window_functions().into_iter();
    all.filter(|function| is_window_allowed(function.name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::limits::stop::Stop;

    #[test]
    fn every_listed_function_exists() {
        let stop = Stop::at(std::time::Instant::now());
        let scalar = scalar(&Values::new(0, Arc::default(), stop));
        let found: BTreeSet<&str> = scalar.iter().map(|function| function.name()).collect();
        let missing: Vec<_> =
            scalar_names().filter(|n| n != super::super::limited::TEXT_CONCAT && !found.contains(n.as_str())).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let aggregate = aggregate();
        let found: BTreeSet<&str> = aggregate.iter().map(|function| function.name()).collect();
        let missing: Vec<_> = AGGREGATE.iter().filter(|name| !found.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let window = window();
        let found: BTreeSet<&str> =
            window.iter().map(|function| function.name()).chain(aggregate.iter().map(|f| f.name())).collect();
        let missing: Vec<_> = WINDOW.iter().chain(IN_WINDOW).filter(|name| !found.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
