//! What the incidents API can be asked for.
//!
//! Source of the rule: wire contract of the anomaly activities, section 5.

use serde::Deserialize;

use crate::api::error::ApiError;
use crate::domain::incident_group::GroupPrefix;
use crate::domain::incident_time::parse_incident_time;
use crate::domain::user_key::user_key;
use crate::registry::incidents::{IncidentFilter, SelectedTime};

/// Most incidents of a page, apart from those that share its last ms.
pub const MAX_LIMIT: usize = 10_000;

/// Incidents of a page when the caller does not say.
pub const DEFAULT_LIMIT: usize = 100;

/// Which incidents. What is absent, null or empty filters nothing; other keys are ignored.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "startTime": "2026-11-22T00:00:00.000Z",
    "actorIds": ["ann@example.com"],
    "incidentCriteria": {"categories": [{"incidentType": "Alert", "category": "Access"}]},
}))]
pub struct Criteria {
    /// First moment of the range; `Z`, an offset, or UTC without a zone.
    start_time: Option<String>,
    /// First moment after the range.
    end_time: Option<String>,
    /// Users, any of them; matched trimmed and without case.
    actor_ids: Option<Vec<String>>,
    /// Services, any of them; case-sensitive.
    service_names: Option<Vec<String>>,
    /// The time that the range and the pages go by: `LAST_MODIFIED_AT` (default) or `CREATED_AT`.
    times_selection: Option<String>,
    /// Kinds of incident.
    #[serde(rename = "incidentCriteria")]
    kinds: Option<IncidentKinds>,
}

/// Kinds of incident.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct IncidentKinds {
    /// Any of these.
    categories: Option<Vec<CategoryCriterion>>,
}

/// A dotted, case-sensitive prefix of `incidentGroup`, whole (`Alert.Access`) or split.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CategoryCriterion {
    /// `Alert`, or a longer prefix.
    #[schema(example = "Alert")]
    incident_type: Option<String>,
    /// What follows, for example `Access`.
    #[schema(example = "Access")]
    category: Option<String>,
}

fn bad(target: &str, message: impl Into<String>) -> ApiError {
    ApiError::bad_request("bad_value", target, message)
}

fn time(target: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let text = text.filter(|text| !text.is_empty());
    text.map(parse_incident_time).transpose().map_err(|e| bad(target, e.to_string()))
}

impl Criteria {
    /// The filter that the criteria stand for.
    ///
    /// # Errors
    /// `400` naming the criterion.
    pub fn resolve(self) -> Result<IncidentFilter, ApiError> {
        let start_ms = time("startTime", self.start_time.as_deref())?;
        let end_ms = time("endTime", self.end_time.as_deref())?;
        if start_ms.zip(end_ms).is_some_and(|(start, end)| start > end) {
            return Err(bad("startTime", "startTime must not lie after endTime"));
        }
        let selected = match self.times_selection.as_deref() {
            None | Some("" | "LAST_MODIFIED_AT") => SelectedTime::Modified,
            Some("CREATED_AT") => SelectedTime::Created,
            Some(other) => {
                let message = format!("timesSelection must be CREATED_AT or LAST_MODIFIED_AT, not `{other}`");
                return Err(bad("timesSelection", message));
            }
        };
        let categories = self.kinds.and_then(|kinds| kinds.categories).unwrap_or_default();
        let groups = categories.into_iter().map(|criterion| {
            let incident_type = criterion.incident_type.filter(|text| !text.is_empty());
            let incident_type = incident_type
                .ok_or_else(|| bad("incidentCriteria.categories", "each category needs an incidentType"))?;
            Ok(GroupPrefix::new(&incident_type, criterion.category.as_deref()))
        });
        Ok(IncidentFilter {
            selected,
            start_ms,
            end_ms,
            user_keys: self.actor_ids.unwrap_or_default().iter().map(|user| user_key(user)).collect(),
            service_names: self.service_names.unwrap_or_default(),
            groups: groups.collect::<Result<_, ApiError>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolve(body: Value) -> Result<IncidentFilter, ApiError> {
        serde_json::from_value::<Criteria>(body).unwrap().resolve()
    }

    #[test]
    fn nothing_filters_nothing() {
        for body in [
            json!({}),
            json!({"startTime": null, "actorIds": [], "serviceNames": null, "incidentCriteria": {}, "other": 1}),
            json!({"startTime": "", "timesSelection": "LAST_MODIFIED_AT", "incidentCriteria": {"categories": []}}),
        ] {
            assert_eq!(resolve(body).unwrap(), IncidentFilter::default());
        }
    }

    #[test]
    fn every_criterion_is_read() {
        let filter = resolve(json!({
            "startTime": "1970-01-01T00:00:01", "endTime": "1970-01-01T01:00:02.000001+01:00",
            "actorIds": [" Ann@Example.com"], "serviceNames": ["Box"], "timesSelection": "CREATED_AT",
            "incidentCriteria": {"categories": [{"incidentType": "Alert", "category": "Data"}, {"incidentType": "Alert.Admin"}]},
        }));
        let expected = IncidentFilter {
            selected: SelectedTime::Created,
            start_ms: Some(1000),
            end_ms: Some(2001),
            user_keys: vec!["ann@example.com".to_owned()],
            service_names: vec!["Box".to_owned()],
            groups: vec![GroupPrefix::new("Alert.Data", None), GroupPrefix::new("Alert.Admin", None)],
        };
        assert_eq!(filter.unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, target) in [
            (json!({"startTime": "yesterday"}), "startTime"),
            (json!({"endTime": "2020-01-01"}), "endTime"),
            (json!({"startTime": "2020-01-02T00:00:00", "endTime": "2020-01-01T00:00:00"}), "startTime"),
            (json!({"timesSelection": "created_at"}), "timesSelection"),
            (json!({"incidentCriteria": {"categories": [{"category": "Data"}]}}), "incidentCriteria.categories"),
        ] {
            assert_eq!(resolve(body).unwrap_err().target.as_deref(), Some(target));
        }
    }
}
