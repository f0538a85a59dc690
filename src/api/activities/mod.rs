//! Activities in, and how one is described.

pub mod ingest_activities;
pub mod record;
