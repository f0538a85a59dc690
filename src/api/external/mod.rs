//! The wire contract of the anomalous activity and incidents APIs, under `/shnapi`.

pub mod criteria;
pub mod envelope;
pub mod incident;
pub mod list_groups;
pub mod modify_incidents;
pub mod query_activities;
pub mod query_incident_groups;
pub mod query_incident_information_keys;
pub mod query_incidents;
