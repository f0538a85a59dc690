//! An incident as JSON.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5. It names the keys; where it does
//! not say what they hold for an anomaly of ours, the doc comments here do.

use serde::Serialize;

use crate::domain::incident::Severity;
use crate::domain::incident_group::IncidentGroup;
use crate::domain::time_text::format_time;
use crate::registry::incidents::Incident;

/// An incident. Every key is always there; what an anomaly does not have is null.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentModel {
    /// `ANO-n`.
    #[schema(example = "ANO-42")]
    pub incident_id: String,
    /// Group, from the anomaly's category.
    #[schema(example = "Alert.Data.DataDownload")]
    pub incident_group: &'static str,
    /// Number of the group.
    #[schema(example = 303)]
    pub incident_group_id: u16,
    /// What the user did; empty when the anomaly does not say.
    pub activity_names: Vec<String>,
    /// The user, as the source spells it.
    pub actor_id: Option<String>,
    /// Always `USER`.
    #[schema(example = "USER")]
    pub actor_id_type: &'static str,
    /// The anomaly's score; 0 without one.
    #[schema(example = 160.0)]
    pub incident_risk_score: f64,
    /// `low` up to 100 points, `medium` up to 150, else `high`.
    #[schema(example = "high")]
    pub incident_risk_severity: &'static str,
    /// 0, 1 or 2.
    #[schema(example = 2)]
    pub incident_risk_severity_id: u8,
    /// More about the anomaly.
    pub information: Information,
    /// Connected instance of the service.
    pub instance_id: Option<i64>,
    /// Name of that instance.
    pub instance_name: Option<String>,
    /// What the product did about it by itself: nothing so far, so this is empty.
    pub responses: Vec<String>,
    /// Cloud services that it concerns.
    pub service_names: Vec<String>,
    /// `new`, `opened`, `false positive`, `resolved`, `suppressed` or `archived`.
    #[schema(example = "new")]
    pub status: &'static str,
    /// When the anomaly counts as created.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    pub time_created: String,
    /// When it was last changed in any way.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    pub time_modified: String,
    /// When its status, score, category, user, window or condition last changed.
    #[schema(example = "2026-11-22T10:00:00.000Z")]
    pub significantly_updated_at: String,
}

/// More about an anomaly.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Information {
    /// Category, as given.
    pub anomaly_category: Option<String>,
    /// Why it was reported; else what the user did.
    pub anomaly_cause: Option<String>,
    /// Anomalies in the incident: one.
    pub anomaly_count: u32,
    /// The measured value that was out of the ordinary.
    pub anomaly_value: Option<f64>,
    /// Activities in its evidence; null until there is evidence.
    pub activity_count: Option<i64>,
    /// Whether the category is one of threats.
    pub is_part_of_threat: bool,
    /// What reported it.
    pub source: Option<String>,
    /// Why it was reported.
    pub reason: Option<String>,
}

/// Keys of [`Information`].
pub const INFORMATION_KEYS: [&str; 8] = [
    "anomalyCategory",
    "anomalyCause",
    "anomalyCount",
    "anomalyValue",
    "activityCount",
    "isPartOfThreat",
    "source",
    "reason",
];

impl From<Incident> for IncidentModel {
    fn from(incident: Incident) -> Self {
        let Incident { anomaly, activity_count } = incident;
        let group = IncidentGroup::of_category_key(anomaly.category_key.as_deref());
        let severity = Severity::of_score(anomaly.score);
        Self {
            incident_id: anomaly.id.to_incident(),
            incident_group: group.name,
            incident_group_id: group.id,
            actor_id: anomaly.user,
            actor_id_type: "USER",
            incident_risk_score: anomaly.score.unwrap_or(0.0),
            incident_risk_severity: severity.as_str(),
            incident_risk_severity_id: severity.id(),
            information: Information {
                anomaly_category: anomaly.category,
                anomaly_cause: anomaly.reason.clone().or_else(|| anomaly.activity.clone()),
                anomaly_count: 1,
                anomaly_value: anomaly.value,
                activity_count,
                is_part_of_threat: group.threat,
                source: anomaly.source,
                reason: anomaly.reason,
            },
            activity_names: anomaly.activity.into_iter().collect(),
            instance_id: anomaly.instance_id,
            instance_name: anomaly.instance_name,
            responses: Vec::new(),
            service_names: anomaly.service_names,
            status: anomaly.status.as_str(),
            time_created: format_time(anomaly.created_at_ms),
            time_modified: format_time(anomaly.modified_at_ms),
            significantly_updated_at: format_time(anomaly.significant_at_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_keys_are_those_that_are_sent() {
        let information = Information {
            anomaly_category: None,
            anomaly_cause: None,
            anomaly_count: 1,
            anomaly_value: None,
            activity_count: None,
            is_part_of_threat: false,
            source: None,
            reason: None,
        };
        let sent = serde_json::to_value(&information).unwrap();
        let mut sent: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
        let mut listed = INFORMATION_KEYS;
        sent.sort_unstable();
        listed.sort_unstable();
        assert_eq!(sent, listed);
    }
}
