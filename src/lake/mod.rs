//! Activities as Delta tables of Parquet, one table per tenant, and the evidence files beside them.
//!
//! Everything below the lake's folder is reached through [`durable_store::DurableStore`], which makes
//! an acknowledged write survive a power cut. One writer task per table commits
//! ([`writer`]); readers use the snapshot that it publishes.

mod batch_rows;
pub mod check;
pub mod checksums;
pub mod data_files;
pub mod delta;
pub mod durable_store;
pub mod erase;
#[cfg(test)]
mod erase_tests;
pub mod error;
pub mod evidence_files;
pub mod feed;
pub mod file_ranges;
pub mod file_use;
mod group_reader;
pub mod layout;
mod read_store;
pub mod rewrite;
#[cfg(test)]
mod rewrite_tests;
#[cfg(test)]
mod room_tests;
pub mod seen;
pub mod syncer;
pub mod table;
pub mod tables;
pub mod upkeep;
pub mod watch;
pub mod writer;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod writer_tests;
