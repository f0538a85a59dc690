//! The real binary: start, stop, and kill -9.

mod kill_drop;
mod kill_evidence;
mod kill_ingest;
mod serve;
mod upkeep;
