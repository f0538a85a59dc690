//! What a source's `SELECT` may call: the functions of a `where`, access to lists, and those here.

mod joined;
mod texts;
mod value_of;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use self::joined::Joiner;
use self::texts::Reader;
use crate::query::functions::{is_where_function, where_functions};

pub(super) use self::texts::IP_ADDRESS;

/// Functions of the engine beside those of a `where`. None gives more than its arguments hold.
const OF_THE_ENGINE: &[&str] = &["get_field", "array_element", "array_length"];

/// Whether a source may call a function of this name.
pub(super) fn is_source_function(name: &str) -> bool {
    is_where_function(name) || OF_THE_ENGINE.contains(&name) || own().any(|own| own == name)
}

/// Whether a function joins texts. Nested, such functions would multiply what a row weighs, outside of
/// every memory limit; so a column may call one of them once.
pub(super) fn joins_texts(name: &str) -> bool {
    Joiner::ALL.iter().any(|joiner| joiner.name() == name)
}

fn own() -> impl Iterator<Item = &'static str> {
    let readers = Reader::ALL.iter().map(|reader| reader.name());
    readers.chain(Joiner::ALL.iter().map(|joiner| joiner.name())).chain([value_of::NAME])
}

/// All functions of a source.
pub(super) fn source_functions() -> Vec<Arc<ScalarUDF>> {
    let nested = datafusion::functions_nested::all_default_nested_functions();
    let core = datafusion::functions::core::functions();
    let of_the_engine = nested.into_iter().chain(core).filter(|function| OF_THE_ENGINE.contains(&function.name()));
    let readers = Reader::ALL.map(Reader::function);
    let joiners = Joiner::ALL.map(Joiner::function);
    let own = readers.into_iter().chain(joiners).chain([value_of::function()]).map(Arc::new);
    where_functions().into_iter().chain(of_the_engine).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::logical_expr::Volatility;

    use super::*;

    #[test]
    fn every_function_is_found_and_immutable() {
        let functions = source_functions();
        let names: BTreeSet<&str> = functions.iter().map(|function| function.name()).collect();
        for name in OF_THE_ENGINE.iter().copied().chain(own()) {
            assert!(names.contains(name), "{name}");
        }
        for function in &functions {
            assert!(is_source_function(function.name()), "{}", function.name());
            assert_eq!(function.signature().volatility, Volatility::Immutable, "{}", function.name());
        }
    }
}
