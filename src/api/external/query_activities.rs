//! `POST /shnapi/rest/external/api/v1/queryActivities`.
//!
//! Source of the rule: wire contract of the anomaly activities, sections 1 and 2.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::api::activities::record::Activity;
use crate::api::body::Binary;
use crate::api::caller::Caller;
use crate::api::error::{ApiError, ExternalCallerErrors, ExternalErrorBody};
use crate::api::{body, download, negotiate};
use crate::domain::anomaly::AnomalyId;
use crate::domain::availability::Availability;
use crate::domain::principal::Scope;
use crate::formats::wire_csv::WireCsvOptions;
use crate::services::{Services, audit_entry};

/// Which anomaly. Other keys are ignored.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct QueryActivities {
    /// Number of the anomaly: `1111`, `"1111"` or `"ANO-1111"`.
    #[schema(value_type = Value, example = 1111)]
    incident_id: Option<Value>,
}

/// Parameters beyond the contract.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QueryActivitiesParams {
    /// Escapes cells that a spreadsheet would run as a formula; off by default for wire compatibility.
    #[serde(default)]
    escape_formulas: bool,
}

/// Gives the latest 100,000 activities of an anomaly, ascending by time.
///
/// An anomaly that is unknown, older than 15 days, not yet available or without activities answers
/// `200` with zero bytes in every format. `Accept` chooses the format, CSV by default; `Accept-Encoding` gzip or zstd
/// compresses the answer, but Parquet, which is compressed within.
#[utoipa::path(
    post, path = "/shnapi/rest/external/api/v1/queryActivities", operation_id = "query_activities", tag = "external",
    params(QueryActivitiesParams),
    request_body(content = QueryActivities, example = json!({"incident_id": 1111})),
    responses(
        ExternalCallerErrors,
        (
            status = 200, description = "The activities, or zero bytes",
            content(
                (String = "text/csv"),
                (Vec<Activity> = "application/json"),
                (String = "application/x-ndjson"),
                (Binary = "application/vnd.apache.arrow.stream"),
                (Binary = "application/vnd.apache.parquet"),
            ),
            headers(
                ("anomalake-rows" = i64, description = "Rows of the answer"),
                ("Content-Disposition" = String, description = "`attachment; filename=\"anomaly-1111-activities.csv\"`"),
                ("Content-Encoding" = String, description = "`zstd` or `gzip`"),
            ),
        ),
        (status = 400, description = "`incident_id` is missing or no id", body = ExternalErrorBody),
        (status = 401, description = "No valid credentials, or the feature is not enabled for this tenant", body = ExternalErrorBody),
        (status = 403, description = "The scope activities:read is missing", body = ExternalErrorBody),
        (status = 406, description = "No acceptable format or content coding", body = ExternalErrorBody),
        (status = 408, description = "The body did not arrive in time", body = ExternalErrorBody),
        (status = 413, description = "A body over 1 MiB", body = ExternalErrorBody),
        (status = 500, description = "The evidence could not be made", body = ExternalErrorBody),
        (status = 507, description = "The evidence must be made and the server's disk has no room", body = ExternalErrorBody),
    ),
    security(("basic" = []), ("bearer" = [])),
)]
pub async fn query_activities(
    State(services): State<Arc<Services>>,
    caller: Caller,
    params: Result<Query<QueryActivitiesParams>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::ActivitiesRead)?;
    if caller.tenant.anomalous_activity_since_ms.is_none() {
        let message = "Feature is not enabled for this tenant";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "feature_off", message));
    }
    let Query(params) = params.map_err(|e| crate::api::query_error(&e))?;
    let headers = request.headers().clone();
    let form = negotiate::export_form(&headers, WireCsvOptions { escape_formulas: params.escape_formulas })?;
    let body: QueryActivities = body::json(request).await?;
    let id = incident_id(body.incident_id.as_ref())?;
    let found = match id {
        Some(id) => services.anomaly(&caller.tenant, id).await?,
        None => None,
    };
    let mut entry = audit_entry(
        &caller.actor,
        services.clock.now_ms(),
        Some(caller.tenant.key),
        "activities.query",
        id.map(|id| id.to_string()).unwrap_or_default(),
    );
    let available = found
        .map(|(anomaly, _)| anomaly)
        .filter(|anomaly| services.availability(&caller.tenant, anomaly) == Availability::Available);
    let Some(anomaly) = available else {
        entry.rows = Some(0);
        services.audit(entry).await?;
        return Ok(download::nothing(form, id));
    };
    let export = services.export_evidence(&caller.tenant, &anomaly, form).await?;
    entry.rows = export.rows.and_then(|rows| i64::try_from(rows).ok());
    services.audit(entry).await?;
    Ok(download::respond(export, id, &headers))
}

/// The anomaly that a body names; none for 0, which no anomaly has.
fn incident_id(value: Option<&Value>) -> Result<Option<AnomalyId>, ApiError> {
    let bad = |message: &str| ApiError::bad_request("bad_value", "incident_id", message);
    let wanted = "incident_id must be a whole number from 0 to 9007199254740991, as 1111, \"1111\" or \"ANO-1111\"";
    match value {
        None | Some(Value::Null) => Err(bad("incident_id is missing; send {\"incident_id\": 1111}")),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(0) => Ok(None),
            Some(n) => AnomalyId::try_from(n).map(Some).map_err(|_| bad(wanted)),
            None => Err(bad(wanted)),
        },
        Some(Value::String(text)) if text == "0" || text == "ANO-0" => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| bad(wanted)),
        Some(_) => Err(bad(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_of_an_id_is_read() {
        for value in [json!(1111), json!("1111"), json!("ANO-1111"), json!("a10000000000000000000457")] {
            assert_eq!(incident_id(Some(&value)).unwrap().map(AnomalyId::get), Some(1111), "{value}");
        }
        assert!(incident_id(Some(&json!(0))).unwrap().is_none());
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        for value in [
            json!(null),
            json!(-1),
            json!(1.5),
            json!(9_007_199_254_740_992_i64),
            json!("9007199254740992"),
            json!(1e300),
            json!(true),
            json!([1]),
            json!({"a": 1}),
            json!(""),
            json!("x"),
            json!("-1"),
            json!("ANO-"),
        ] {
            let error = incident_id(Some(&value)).unwrap_err();
            assert_eq!(
                (error.status, error.target.as_deref()),
                (StatusCode::BAD_REQUEST, Some("incident_id")),
                "{value}"
            );
        }
        assert!(incident_id(None).is_err());
    }
}
