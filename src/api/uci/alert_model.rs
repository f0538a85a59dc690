//! An alert as JSON.

use serde::{Deserialize, Serialize};

use crate::domain::anomaly::AnomalyId;
use crate::domain::uci::alert_filter::ALERT_TYPE;
use crate::registry::uci::alerts::Alert;

/// An alert.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(example = json!({
    "_id": "a2000000000000000000002a", "alert_id": "a2000000000000000000002a", "alert": "yes", "alert_type": "uba",
    "type": "anomaly", "record_type": "alert", "action": "anomaly_detection", "acked": "false",
    "timestamp": 1_795_305_600, "alert_name": "External UCI impact", "activity": "ActivityForUciImpactAPI",
    "event_type": "uba_analytics", "severity": "Informational", "score": "50", "user": "name@netskope.com",
    "userkey": "name@netskope.com", "ur_normalized": "name@netskope.com", "user_confidence_index": 950,
    "policy": "External UCI impact", "source": "Dropbox", "reason": "login failed too many times",
    "anomaly_id": "a1000000000000000000002a",
}))]
pub struct AlertModel {
    /// Its id, 24 hex digits that grow along the order of alerts.
    #[serde(rename = "_id")]
    pub id: String,
    /// The same.
    pub alert_id: String,
    /// Always `yes`.
    pub alert: String,
    /// Always `uba`.
    pub alert_type: String,
    /// Always `anomaly`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Always `alert`.
    pub record_type: String,
    /// Always `anomaly_detection`.
    pub action: String,
    /// Always `false`.
    pub acked: String,
    /// When it was made, seconds since epoch.
    pub timestamp: i64,
    /// `External UCI impact`, `UCI band change`, `UCI reset` or `UCI threshold alert`.
    pub alert_name: String,
    /// Activity of the anomaly; empty when time alone changed the score.
    pub activity: String,
    /// Always `uba_analytics`.
    pub event_type: String,
    /// `Critical`, `High`, `Medium`, `Low` or `Informational`.
    pub severity: String,
    /// Points that the impact took off, or by which the score changed; a text.
    pub score: String,
    /// The user in the spelling first seen.
    pub user: String,
    /// The user trimmed and in lower case.
    pub userkey: String,
    /// The same.
    pub ur_normalized: String,
    /// The score after the change.
    #[schema(minimum = 0, maximum = 1000)]
    pub user_confidence_index: i64,
    /// The alert's name.
    pub policy: String,
    /// Source of the anomaly; empty without one.
    pub source: String,
    /// Reason of the anomaly, or what happened.
    pub reason: String,
    /// The anomaly that caused it; absent when time alone did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub anomaly_id: Option<String>,
}

impl From<Alert> for AlertModel {
    fn from(alert: Alert) -> Self {
        let fixed = str::to_owned;
        Self {
            id: alert.id.to_hex(),
            alert_id: alert.id.to_hex(),
            alert: fixed("yes"),
            alert_type: fixed(ALERT_TYPE),
            kind: fixed("anomaly"),
            record_type: fixed("alert"),
            action: fixed("anomaly_detection"),
            acked: fixed("false"),
            timestamp: alert.made_at_ms.div_euclid(1000),
            alert_name: fixed(alert.name.as_str()),
            activity: alert.activity,
            event_type: fixed("uba_analytics"),
            severity: fixed(alert.severity.as_str()),
            score: alert.points.to_string(),
            user: alert.user,
            userkey: alert.user_key.clone(),
            ur_normalized: alert.user_key,
            user_confidence_index: alert.score,
            policy: fixed(alert.name.as_str()),
            source: alert.source,
            reason: alert.reason,
            anomaly_id: alert.anomaly_id.map(AnomalyId::to_hex),
        }
    }
}
