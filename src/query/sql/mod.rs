//! A statement of a caller: bounded, parsed, planned and guarded before a row is read.
//!
//! 1. [`text`]: the tokens are counted, so that neither parser nor planner meets what could overflow its stack or
//!    hold it for minutes.
//! 2. `statement`: parsed, and refused unless it is a query, `EXPLAIN`, `DESCRIBE` or `SHOW TABLES`.
//! 3. `session`: planned over a fresh catalog with this tenant's tables only, a store that can only read this
//!    tenant's data files, and listed functions.
//! 4. `complexity` and `guard`: refused when the plan grows too large written out; functions that can blow up
//!    get bounds.
//! 5. [`limits`](super::limits): run under memory, disk and width limits.

mod complexity;
pub mod error;
pub mod failure;
mod functions;
mod guard;
mod limited;
mod names;
mod pattern;
mod place;
mod scrub;
pub mod session;
mod statement;
pub mod store;
mod structures;
pub mod text;
mod work;

pub use place::Place;
