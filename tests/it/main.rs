//! The product from outside: the router over a fresh data directory with a clock of the test's own, and
//! the real binary. `<family>/<verb>.rs` tests the route of that name.

// Helpers outside of test functions stop a test the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod activities;
mod anomalies;
mod auth;
mod cli;
mod docs;
mod durability;
mod enrichment;
mod exports;
mod exposure;
mod external;
mod formats;
mod incidents;
mod policy;
mod process;
mod sources;
mod sql;
mod support;
mod system;
mod uci;
mod upkeep;
