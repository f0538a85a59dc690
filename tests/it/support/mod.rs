//! What the tests stand on.

pub(crate) mod api;
pub(crate) mod contract;
pub(crate) mod mmdb;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod seeded;
pub(crate) mod server;
pub(crate) mod wait;

pub(crate) use api::{Answer, Api};
pub(crate) use server::{NOW_MS, TestServer, TestTenant};

/// One hour in ms.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// One day in ms.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// The feed's delay until an anomaly's activities are available, in ms.
pub(crate) const DELAY_MS: i64 = 12 * HOUR_MS;
