//! anomalake: a self-hosted lake for the user activities of cloud services and the anomalies in them.
//!
//! Activities in, anomalies explained, evidence out. `docs/architecture.md` draws the house; arrows
//! point one way: `api`, `cli` → `services` → `lake`, `registry`, `query`, `formats` → `domain`.

pub mod api;
pub mod cli;
pub mod domain;
pub mod enrich;
pub mod formats;
pub mod generate;
pub mod jobs;
pub mod lake;
pub mod query;
pub mod registry;
pub mod services;
pub mod sources;
