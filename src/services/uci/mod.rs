//! The User Confidence Index: risk in, scores out, every point explained.
//!
//! Source of the rules: wire contract of the index. The arithmetic is in `domain/uci`; here is what a
//! caller can ask for, and what is durable when it is answered.

mod alerts;
mod allow;
mod error;
mod impacts;
mod listings;
mod reset;
mod retain;
mod rules;
mod scores;
mod search;
#[cfg(test)]
mod tests;

pub use alerts::{AlertPage, ExportOperation, ExportPage, MAX_EXPORT_PAGE};
pub use error::UciError;
pub use impacts::{ImpactRequest, MAX_AHEAD_MS, RecordedImpact};
pub use listings::{ActiveRequest, BandCounts, UserActivityRequest, UserScore, UsersByBand, UsersRequest};
pub use reset::MAX_RESET_USERS;
pub use retain::{Erased, Retained};
pub use rules::ResetRuleRequest;
pub use scores::{CountingImpact, DEFAULT_DAYS, MAX_DAYS, MAX_USERS, UserConfidences, UserExplained};
pub use search::{MAX_PAGE, Page, SearchFilters, SearchRequest};
