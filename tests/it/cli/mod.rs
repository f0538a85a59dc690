//! The commands of the real executable, without a server and beside one. `<command>.rs` tests the command of
//! that name.

mod anomaly;
mod backup;
mod check;
mod demo;
mod export;
mod exports;
mod generate;
mod ingest;
mod lake;
mod networks;
mod source;
mod sql;
mod tenant;
mod token;
mod uci;
mod upkeep;
mod usage;
mod user;
mod user_data;
mod watch;
