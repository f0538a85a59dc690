//! The real binary: start, stop, and kill -9.

mod kill_evidence;
mod kill_ingest;
mod kill_watch;
mod serve;
