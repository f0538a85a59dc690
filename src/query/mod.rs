//! DataFusion sessions: one fresh session a request, holding one tenant's tables and nothing else.

pub mod bounds;
pub mod catalog;
pub mod cpu;
pub mod engine;
pub mod filter;
pub mod functions;
pub mod limits;
pub mod newest;
pub mod params;
pub mod predicate;
pub mod sql;
pub mod udf;
