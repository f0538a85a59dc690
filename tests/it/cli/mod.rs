//! The commands of the real executable, without a server and beside one. `<command>.rs` tests the command of
//! that name.

mod anomaly;
mod demo;
mod export;
mod exports;
mod ingest;
mod lake;
mod sql;
mod tenant;
mod token;
mod usage;
mod user;
