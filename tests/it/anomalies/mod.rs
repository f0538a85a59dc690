mod condition;
mod create_anomaly;
mod get_anomaly;
mod get_anomaly_activities;
mod list_anomalies;
mod modify_anomaly;
