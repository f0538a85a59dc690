//! The functions that a caller's expressions may use.
//!
//! An allow-list: what a later version of the engine adds is not callable until it is looked at here.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use datafusion::logical_expr::ScalarUDF;

/// Functions for an anomaly's `where`: immutable, reading nothing but their arguments, unable to make a
/// value much larger than its arguments, and about as quick as reading them. Left out on purpose: `arrow_cast`
/// (a cast to a fixed size allocates that size for each row), `levenshtein` (quadratic in one step that no
/// deadline reaches), `regexp_count` and `regexp_instr` (the same, with patterns that read on after a match), and
/// everything that joins or repeats texts.
const IN_WHERE: &[&str] = &[
    "abs",
    "ascii",
    "bit_length",
    "btrim",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "date_bin",
    "date_part",
    "date_trunc",
    "ends_with",
    "find_in_set",
    "floor",
    "from_unixtime",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "least",
    "left",
    "lower",
    "ltrim",
    "make_date",
    "md5",
    "nanvl",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "power",
    "regexp_like",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_date",
    "to_hex",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
];

/// The functions of an anomaly's `where`.
pub fn where_functions() -> Vec<Arc<ScalarUDF>> {
    datafusion::functions::all_default_functions().into_iter().filter(|f| is_where_function(f.name())).collect()
}

/// Whether a function of this name may stand in an anomaly's `where`.
#[must_use]
pub fn is_where_function(name: &str) -> bool {
    static NAMES: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| IN_WHERE.iter().copied().collect());
    NAMES.contains(name)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::Volatility;

    use super::*;

    #[test]
    fn every_listed_function_exists_and_is_immutable() {
        let found = where_functions();
        let names: BTreeSet<&str> = found.iter().map(|f| f.name()).collect();
        let missing: Vec<_> = IN_WHERE.iter().filter(|name| !names.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let changing: Vec<_> =
            found.iter().filter(|f| f.signature().volatility != Volatility::Immutable).map(|f| f.name()).collect();
        assert!(changing.is_empty(), "{changing:?}");
    }
}
