//! An anomaly as JSON.

use serde::{Deserialize, Serialize};

use crate::api::error::ApiError;
use crate::domain::time_text::{format_time, parse_time};
use crate::registry::anomalies::Anomaly;
use crate::registry::anomaly_changes::StatusStep;
use crate::registry::evidence::{Evidence, EvidenceState};
use crate::registry::tenants::Tenant;
use crate::services::Services;

/// A point in time as a caller writes it.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum TimeValue {
    /// Milliseconds since epoch.
    Ms(i64),
    /// RFC 3339, `now`, or an offset from now such as `-24h`.
    Text(String),
}

impl TimeValue {
    /// Milliseconds since epoch.
    ///
    /// # Errors
    /// `400` naming the field.
    pub fn resolve(&self, field: &str, now_ms: i64) -> Result<i64, ApiError> {
        match self {
            Self::Ms(ms) => Ok(*ms),
            Self::Text(text) => {
                parse_time(text, now_ms).map_err(|e| ApiError::bad_request("bad_value", field, e.to_string()))
            }
        }
    }
}

/// State of an anomaly's evidence.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceModel {
    /// `pending`, `ready` or `failed`.
    #[schema(example = "ready")]
    pub state: String,
    /// Activities in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Size of the file in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// When it was made, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// Version of the activities table that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lake_version: Option<i64>,
    /// Why the last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An anomaly.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnomalyModel {
    /// Number.
    #[schema(example = 42)]
    pub id: i64,
    /// Spelling of the incidents API.
    #[schema(example = "ANO-42")]
    pub incident_id: String,
    /// Spelling of the UCI API.
    #[schema(example = "a1000000000000000000002a")]
    pub anomaly_id: String,
    /// The user, as the source spells it; any user when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// First moment of the window, RFC 3339.
    pub from: String,
    /// First moment after the window, RFC 3339.
    pub to: String,
    /// Condition over the activity columns.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Risk score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Why it was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the user did, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// The measured value that was out of the ordinary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Cloud services that it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_names: Vec<String>,
    /// Connected instance of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<i64>,
    /// Name of that instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// `new`, `opened`, `false positive`, `resolved`, `suppressed` or `archived`.
    #[schema(example = "new")]
    pub status: String,
    /// Changes of the status, oldest first; only where one anomaly is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<StatusStepModel>>,
    /// When it counts as created, RFC 3339; delay and recency count from here.
    pub created_at: String,
    /// When it was last changed, RFC 3339.
    pub modified_at: String,
    /// Whether queryActivities gives its activities now, or why not.
    pub availability: String,
    /// Its evidence file.
    pub evidence: EvidenceModel,
}

impl AnomalyModel {
    /// The anomaly as its tenant sees it now.
    #[must_use]
    pub fn new(services: &Services, tenant: &Tenant, anomaly: Anomaly, evidence: Option<&Evidence>) -> Self {
        Self {
            id: anomaly.id.get(),
            incident_id: anomaly.id.to_incident(),
            anomaly_id: anomaly.id.to_hex(),
            availability: services.availability(tenant, &anomaly).reason(),
            from: format_time(anomaly.from_ms),
            to: format_time(anomaly.to_ms),
            created_at: format_time(anomaly.created_at_ms),
            modified_at: format_time(anomaly.modified_at_ms),
            status: anomaly.status.to_string(),
            history: None,
            user: anomaly.user,
            condition: anomaly.where_sql,
            score: anomaly.score,
            category: anomaly.category,
            source: anomaly.source,
            reason: anomaly.reason,
            activity: anomaly.activity,
            value: anomaly.value,
            service_names: anomaly.service_names,
            instance_id: anomaly.instance_id,
            instance_name: anomaly.instance_name,
            evidence: evidence_model(evidence),
        }
    }

    /// Adds the changes of the status.
    #[must_use]
    pub fn with_history(self, history: Vec<StatusStep>) -> Self {
        Self { history: Some(history.into_iter().map(StatusStepModel::from).collect()), ..self }
    }
}

/// A change of an anomaly's status.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatusStepModel {
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    #[schema(example = "ann@example.com")]
    pub by: String,
    /// What it was before.
    #[schema(example = "new")]
    pub from: String,
    /// What it was then.
    #[schema(example = "resolved")]
    pub to: String,
}

impl From<StatusStep> for StatusStepModel {
    fn from(step: StatusStep) -> Self {
        Self { at: format_time(step.at_ms), by: step.principal, from: step.from.to_string(), to: step.to.to_string() }
    }
}

fn evidence_model(evidence: Option<&Evidence>) -> EvidenceModel {
    let file = evidence.and_then(|e| e.file.as_ref());
    EvidenceModel {
        state: match evidence.map(Evidence::state) {
            None | Some(EvidenceState::Pending) => "pending",
            Some(EvidenceState::Ready) => "ready",
            Some(EvidenceState::Failed) => "failed",
        }
        .to_owned(),
        rows: file.map(|f| f.rows),
        bytes: file.map(|f| f.bytes),
        made_at: file.map(|f| format_time(f.made_at_ms)),
        lake_version: file.map(|f| f.lake_version),
        error: evidence.and_then(|e| e.last_error.clone()),
    }
}
