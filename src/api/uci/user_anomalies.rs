//! Anomalies of many users.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{UciBodyErrors, UciErrorBody};
use super::fields::{Fields, UserName, refuse};
use super::model::whole_seconds;
use super::paging::{MAX_LIMIT, PagingParams};
use super::users::MAX_USERS;
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::domain::uci::alert::AlertName;
use crate::registry::uci::records::{UciActivity, UciAnomaly};
use crate::services::Services;
use crate::services::uci::UserActivityRequest;

/// Days that are ever shown: what is older is not.
const SHOWN_DAYS: i64 = 90;

/// What a listing may be ordered by, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SortBy {
    /// Time, then id.
    Time,
}

/// Ways of an order, for the document.
#[derive(Debug, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SortOrder {
    /// Earliest first.
    Asc,
    /// Latest first.
    Desc,
}

/// Order of the listing.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SortParams {
    /// `time`, the only order.
    #[param(value_type = Option<SortBy>, inline)]
    sortby: Option<String>,
    /// `desc`, the default: latest first; or `asc`.
    #[param(value_type = Option<SortOrder>, inline)]
    sortorder: Option<String>,
}

/// Whose anomalies, and since when; paging and order as in the query, which goes before the body.
#[derive(Debug, utoipa::ToSchema)]
#[schema(example = json!({ "users": ["name@netskope.com"], "timeframe": 7 }))]
pub struct ListUserAnomalies {
    /// Users in any spelling; all when absent.
    #[schema(min_items = 1, max_items = 10000)]
    pub users: Option<Vec<UserName>>,
    /// Days before now; 90, the default, is the most that is shown.
    #[schema(minimum = 1)]
    pub timeframe: Option<i64>,
    /// Results before the page.
    #[schema(minimum = 0)]
    pub offset: Option<i64>,
    /// Most results of the page.
    #[schema(minimum = 1, maximum = 10000)]
    pub limit: Option<i64>,
    /// `time`.
    pub sortby: Option<SortBy>,
    /// `desc` or `asc`.
    pub sortorder: Option<SortOrder>,
}

/// An anomaly in a listing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedAnomaly {
    /// Its id, 24 hex digits.
    anomaly_id: String,
    /// The user in the spelling first seen.
    user: String,
    /// Id of the event behind it.
    event_id: String,
    /// When it happened, ms since epoch.
    time: i64,
    /// Points taken off; 0 for a reset.
    score: i64,
    /// `Critical`, `High`, `Medium`, `Low` or `Informational`.
    #[schema(example = "Informational")]
    severity: &'static str,
    /// `ActivityForUciImpactAPI`, or `UciReset`.
    activity: &'static str,
    /// Id of its alert.
    alert_id: String,
    /// Name of its alert.
    #[schema(example = "External UCI impact")]
    alert_name: &'static str,
    /// Who reported it.
    source: String,
    /// Why.
    reason: String,
    /// When it was accepted, RFC 3339 in whole seconds.
    anomaly_created_time: String,
    /// Whether its points were given back.
    mark_as_allowed: bool,
}

impl From<UciAnomaly> for ListedAnomaly {
    fn from(anomaly: UciAnomaly) -> Self {
        let alert_name = match anomaly.activity {
            UciActivity::Impact => AlertName::ExternalImpact,
            UciActivity::Reset => AlertName::Reset,
        };
        Self {
            anomaly_id: anomaly.id.to_hex(),
            event_id: anomaly.event_id(),
            severity: anomaly.severity().as_str(),
            user: anomaly.user,
            time: anomaly.time_ms,
            score: anomaly.score,
            activity: anomaly.activity.as_str(),
            alert_id: anomaly.alert.to_hex(),
            alert_name: alert_name.as_str(),
            source: anomaly.source,
            reason: anomaly.reason,
            anomaly_created_time: whole_seconds(anomaly.created_at_ms),
            mark_as_allowed: anomaly.allowed.is_some(),
        }
    }
}

/// A page of a listing.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedAnomalies {
    /// Anomalies on all pages.
    #[schema(minimum = 0)]
    total_count: i64,
    /// Those of this page.
    results: Vec<ListedAnomaly>,
}

/// Lists the anomalies of users, by time and then by id.
#[utoipa::path(
    post, path = "/api/v2/incidents/users/getanomalies", operation_id = "list_user_anomalies", tag = "uci",
    params(PagingParams, SortParams),
    request_body = Option<ListUserAnomalies>,
    responses(
        UciBodyErrors,
        (status = 200, description = "A page", body = ListedAnomalies),
        (status = 403, description = "The scope uci:read is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_user_anomalies(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    paging: Result<Query<PagingParams>, QueryRejection>,
    sort: Result<Query<SortParams>, QueryRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciRead)?;
    let Query(paging) = paging.map_err(|e| crate::api::query_error(&e))?;
    let Query(sort) = sort.map_err(|e| crate::api::query_error(&e))?;
    let fields = Fields::read_optional(request).await?;
    let paging = paging.or_in(&fields, MAX_LIMIT)?;
    let sort_by = word(sort.sortby, &fields, "sortby")?.unwrap_or_else(|| "time".to_owned());
    if sort_by != "time" {
        return Err(refuse("sortby", "must be `time`"));
    }
    let descending = match word(sort.sortorder, &fields, "sortorder")?.as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(refuse("sortorder", "must be `asc` or `desc`")),
    };
    let users = if fields.has("users") { Some(fields.users("users", MAX_USERS)?) } else { None };
    let days = fields.integer("timeframe", 1..=i64::MAX)?.unwrap_or(SHOWN_DAYS).min(SHOWN_DAYS);
    let request =
        UserActivityRequest { users, timeframe_days: days, offset: paging.offset, limit: paging.limit, descending };
    let page = services.user_anomalies(&caller.tenant, request).await?;
    body::answer_large(&services, move || {
        let results = page.rows.into_iter().map(ListedAnomaly::from).collect();
        Ok(ListedAnomalies { total_count: page.total, results })
    })
    .await
}

/// A word of the query or, without one there, of the body, in lower case.
fn word(in_query: Option<String>, body: &Fields, name: &str) -> Result<Option<String>, ApiError> {
    let word = match in_query.filter(|word| !word.trim().is_empty()) {
        Some(word) => Some(word),
        None => body.text(name)?,
    };
    Ok(word.map(|word| word.trim().to_ascii_lowercase()))
}
