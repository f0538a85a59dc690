//! The User Confidence Index: how far a user may be trusted, from 0 to 1000.
//!
//! Source of the rules: wire contract of the index, section 2. A score is never stored as a truth of its
//! own: it follows from a user's impacts and resets, so that every missing point is explained by one of them.

pub mod alert;
pub mod alert_filter;
pub mod band;
pub mod schedule;
pub mod score;
