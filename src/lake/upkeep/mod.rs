//! Keeping a table fast and its folder small, without an operator: which files to rewrite ([`plan`]),
//! rewriting them ([`compact`], [`merge`]), dropping old days ([`retain`]), the log ([`log`]), and deleting
//! what nobody needs ([`vacuum`]).
//!
//! Nothing here blocks an append for longer than one log entry, and nothing but [`retain`] changes an answer.
//!
//! # Write amplification
//!
//! Bytes written for a day, ingest included, over bytes ingested, stay at or below 4:
//!
//! - 1 for the ingest itself;
//! - small files are merged by tiers of size (256 KiB, 4 MiB, 64 MiB), at least 8 and at most 16 of one tier
//!   at a time, so a byte climbs a tier with nearly every rewrite. Files below 256 KiB may always be merged: they
//!   consist of overhead for the most part, and 16 of them become one of little more than their rows. Larger
//!   ones are merged only while that leaves room for the sort;
//! - the sort of the whole day writes it once more: 1. A day that gains rows afterwards is sorted again only when
//!   they are an eighth of it and the total stays at or below 4.
//!
//! The sums are exact: every rewritten file carries, as tags of its log entry, the bytes ingested for its rows
//! and the bytes written for them so far ([`live`]).

pub mod compact;
pub mod live;
pub mod log;
pub mod merge;
pub mod plan;
#[cfg(test)]
mod plan_tests;
pub mod retain;
pub mod status;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod vacuum;
