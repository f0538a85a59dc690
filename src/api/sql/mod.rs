//! Statements over a tenant's tables.

pub mod run_sql;
