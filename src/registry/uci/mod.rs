//! Tables of the User Confidence Index.

pub mod alerts;
pub mod records;
pub mod rules;
