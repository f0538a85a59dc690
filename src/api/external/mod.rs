//! The wire contract of the anomalous activity API, under `/shnapi`.

pub mod query_activities;
