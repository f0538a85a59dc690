//! Activities in.

pub mod ingest_activities;
