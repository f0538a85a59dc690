//! Tables of the User Confidence Index. Source of the rules: wire contract of the index.
//!
//! [`changes`] holds what may happen to a score, each with everything that belongs to it; the other files
//! are one per table.

pub mod alerts;
mod before;
pub mod changes;
pub mod cursors;
pub mod keys;
#[cfg(test)]
mod plan_tests;
pub mod records;
pub mod retain;
pub mod rules;
pub mod search;
pub mod users;
