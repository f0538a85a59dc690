//! The real binary: start, stop, and kill -9.

mod crash;
mod kill_drop;
mod kill_evidence;
mod serve;
mod upkeep;
