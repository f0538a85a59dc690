//! Anomalies of the index as JSON.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::registry::uci::records::UciAnomaly;

/// An anomaly: an impact, or a reset.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "anomalyId": "a1000000000000000000002a", "user": "blah@sm.com", "time": 1_677_618_382_070_i64, "score": 20,
    "activity": "ActivityForUciImpactAPI", "eventId": "e1000000000000000000002a",
    "anomalyCreatedTime": "2023-02-28T21:06:24Z", "source": "OKTA", "reason": "login failed in OKTA",
    "markAsAllowed": false,
}))]
pub struct UciAnomalyModel {
    /// Its id, 24 hex digits.
    pub anomaly_id: String,
    /// The user in the spelling first seen.
    pub user: String,
    /// When it happened, ms since epoch.
    pub time: i64,
    /// Points taken off; 0 for a reset.
    pub score: i64,
    /// `ActivityForUciImpactAPI`, or `UciReset`.
    pub activity: String,
    /// Id of the event behind it.
    pub event_id: String,
    /// When it was accepted, RFC 3339 in whole seconds.
    pub anomaly_created_time: String,
    /// Who reported it.
    pub source: String,
    /// Why.
    pub reason: String,
    /// Whether its points were given back.
    pub mark_as_allowed: bool,
    /// Why they were, where somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason_for_allowed: Option<String>,
}

impl UciAnomalyModel {
    /// Names of its properties, in the order in which they are sent.
    pub const PROPERTIES: [&'static str; 12] = [
        "anomalyId",
        "user",
        "time",
        "score",
        "activity",
        "eventId",
        "anomalyCreatedTime",
        "source",
        "reason",
        "markAsAllowed",
        "reasonForAllowed",
        "additionalProps",
    ];
}

impl From<UciAnomaly> for UciAnomalyModel {
    fn from(anomaly: UciAnomaly) -> Self {
        Self {
            anomaly_id: anomaly.id.to_hex(),
            event_id: anomaly.event_id(),
            user: anomaly.user,
            time: anomaly.time_ms,
            score: anomaly.score,
            activity: anomaly.activity.as_str().to_owned(),
            anomaly_created_time: whole_seconds(anomaly.created_at_ms),
            source: anomaly.source,
            reason: anomaly.reason,
            mark_as_allowed: anomaly.allowed.is_some(),
            reason_for_allowed: anomaly.allowed.and_then(|allowed| allowed.reason),
        }
    }
}

/// RFC 3339 in whole seconds, as this family writes it; the number itself where the calendar ends.
#[must_use]
pub fn whole_seconds(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Secs, true),
        None => ms.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::anomaly::AnomalyId;
    use crate::domain::uci::alert::AlertId;
    use crate::registry::uci::records::{Allowed, UciActivity};

    #[test]
    fn every_property_can_be_asked_for() {
        let anomaly = UciAnomaly {
            id: AnomalyId::try_from(42).unwrap(),
            activity: UciActivity::Impact,
            user: "Blah@sm.com".to_owned(),
            user_key: "blah@sm.com".to_owned(),
            time_ms: 1_677_618_382_070,
            score: 20,
            source: "OKTA".to_owned(),
            reason: "login failed in OKTA".to_owned(),
            created_at_ms: 1_677_618_384_999,
            allowed: Some(Allowed { at_ms: 0, reason: Some("a test".to_owned()) }),
            alert: AlertId::new(1),
        };
        let sent = serde_json::to_value(UciAnomalyModel::from(anomaly)).unwrap();
        assert_eq!(sent["anomalyCreatedTime"], "2023-02-28T21:06:24Z");
        assert_eq!(sent["anomalyId"], "a1000000000000000000002a");
        let sent: Vec<_> = sent.as_object().unwrap().keys().cloned().collect();
        assert!(sent.iter().all(|name| UciAnomalyModel::PROPERTIES.contains(&name.as_str())), "{sent:?}");
        assert_eq!(sent.len() + 1, UciAnomalyModel::PROPERTIES.len(), "all but additionalProps");
    }
}
