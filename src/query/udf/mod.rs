//! Functions of the field that the engine lacks.

mod ip;
mod user_count;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// Scalar functions: `ip_in(address, network)`.
#[must_use]
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    vec![ip::ip_in()]
}

/// Aggregates: `merge_user_count(userCount)`, `count_users(userCount)`.
#[must_use]
pub fn aggregate() -> Vec<Arc<AggregateUDF>> {
    vec![user_count::merge_user_count(), user_count::count_users()]
}
