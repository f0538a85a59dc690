//! The real binary: start, stop, and kill -9.

mod crash;
mod kill_drop;
mod kill_evidence;
mod kill_export;
mod kill_repeats;
mod kill_watch;
mod serve;
mod upkeep;
