//! The user confidence index: risk in, scores out, alerts.
//!
//! Source of the rules: wire contract of the user confidence index. Everything under `/api/v2` is the wire family of
//! others, with its own form of errors and a limit of requests; the two routes under `/api/v1` are our own.

pub mod alert_model;
pub mod alerts;
pub mod allow_uci_anomaly;
pub mod batch;
pub mod create_impacts;
pub mod create_uci_impact;
pub mod error;
pub mod fields;
pub mod get_uci_anomaly;
pub mod impact;
pub mod model;
pub mod paging;
pub mod reset_rule_form;
pub mod reset_rules;
pub mod reset_uci;
pub mod scores;
pub mod search_uci_anomalies;
pub mod show_user_uci;
pub mod user_anomalies;
pub mod users;

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ApiError;
use crate::domain::anomaly::AnomalyId;
use crate::services::Services;

/// Routes of the family.
pub(super) fn routes() -> OpenApiRouter<Arc<Services>> {
    OpenApiRouter::new()
        .routes(routes!(create_uci_impact::create_uci_impact))
        .routes(routes!(get_uci_anomaly::get_uci_anomaly))
        .routes(routes!(search_uci_anomalies::search_uci_anomalies))
        .routes(routes!(allow_uci_anomaly::allow_uci_anomaly))
        .routes(routes!(reset_uci::reset_uci))
        .routes(routes!(reset_rules::list_reset_rules, reset_rules::create_reset_rule))
        .routes(routes!(reset_rules::get_reset_rule, reset_rules::replace_reset_rule, reset_rules::delete_reset_rule))
        .routes(routes!(scores::get_uci))
        .routes(routes!(scores::get_user_uci))
        .routes(routes!(user_anomalies::list_user_anomalies))
        .routes(routes!(users::list_active_uci))
        .routes(routes!(users::list_uci))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::export_alerts))
        .routes(routes!(alerts::search_alerts))
        .routes(routes!(create_impacts::create_impacts))
        .routes(routes!(show_user_uci::show_user_uci))
}

/// The anomaly that a path names, in any spelling. A text that is no id is an unknown one.
fn anomaly_id(path: Result<Path<String>, PathRejection>) -> Result<AnomalyId, ApiError> {
    let unknown = || ApiError::not_found("there is no such anomaly").with_target("anomalyId");
    let Path(text) = path.map_err(|_| unknown())?;
    text.parse().map_err(|_| unknown())
}
