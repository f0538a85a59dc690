//! Pure types and arithmetic of the product: no I/O, no clock of its own, no HTTP.
//!
//! Every rule that more than one layer must agree on lives here once, so that production code,
//! property tests and checks run the same function.

pub mod activity;
pub mod address;
pub mod anomaly;
pub mod api_rate;
pub mod availability;
pub mod clock;
pub mod country;
pub mod csv_cell;
pub mod day;
pub mod hex;
pub mod incident;
pub mod incident_group;
pub mod incident_time;
pub mod java_double;
pub mod location;
pub mod modified_clock;
pub mod principal;
pub mod size_text;
pub mod tenant;
pub mod time_text;
pub mod token_kind;
pub mod trust;
pub mod uci;
pub mod user_count;
pub mod user_key;
pub mod user_sketch;
