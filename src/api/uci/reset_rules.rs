//! `/api/v2/incidents/uci/resetrules`: resets that recur.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::{UciBodyErrors, UciCallerErrors, UciErrorBody};
use super::fields::Fields;
use super::reset_rule_form::ResetRuleForm;
use crate::api::body;
use crate::api::error::ApiError;
use crate::api::rate::RatedCaller;
use crate::domain::principal::Scope;
use crate::domain::time_text::format_time;
use crate::registry::uci::rules::ResetRule;
use crate::services::Services;
use crate::services::uci::ResetRuleRequest;

/// Most users and patterns of one rule.
const MAX_USERS: usize = 1_000;

/// A rule to store, as it is sent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResetRuleModel {
    /// Name for people.
    pub name: String,
    /// Users, exactly or as glob patterns.
    pub users: Vec<String>,
    /// `daily`, `weekly` or `monthly`.
    pub schedule: String,
    /// Time of day, `HH:MM`, UTC.
    pub at: String,
    /// Day of a weekly schedule, in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekday: Option<String>,
    /// Day of a monthly schedule, 1 to 28.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_of_month: Option<i64>,
    /// Whether it runs.
    pub enabled: bool,
}

impl ResetRuleModel {
    fn of(fields: &Fields) -> Result<ResetRuleRequest, ApiError> {
        Ok(ResetRuleRequest {
            name: fields.needed_text("name")?,
            users: fields.users("users", MAX_USERS)?,
            schedule: fields.needed_text("schedule")?,
            at: fields.needed_text("at")?,
            weekday: fields.text("weekday")?,
            day_of_month: fields.integer("dayOfMonth", 1..=28)?,
            enabled: fields.flag("enabled")?.unwrap_or(true),
        })
    }
}

/// A stored rule.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredResetRule {
    /// Its number.
    pub id: i64,
    /// Name for people.
    pub name: String,
    /// Users, exactly or as glob patterns.
    pub users: Vec<String>,
    /// `daily`, `weekly` or `monthly`.
    #[schema(example = "weekly")]
    pub schedule: String,
    /// Time of day, `HH:MM`, UTC.
    #[schema(example = "06:30")]
    pub at: String,
    /// Day of a weekly schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "monday")]
    pub weekday: Option<String>,
    /// Day of a monthly schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub day_of_month: Option<u32>,
    /// Whether it runs.
    pub enabled: bool,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// When it was last changed, RFC 3339.
    pub modified_at: String,
    /// When it last ran, RFC 3339; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_run: Option<String>,
    /// When it runs next, RFC 3339; absent while it is not enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_run: Option<String>,
}

impl From<ResetRule> for StoredResetRule {
    fn from(rule: ResetRule) -> Self {
        Self {
            id: rule.id,
            name: rule.rule.name,
            users: rule.rule.users,
            schedule: rule.rule.schedule.word().to_owned(),
            at: rule.rule.schedule.at(),
            weekday: rule.rule.schedule.weekday().map(str::to_owned),
            day_of_month: rule.rule.schedule.day_of_month(),
            enabled: rule.rule.enabled,
            created_at: format_time(rule.created_at_ms),
            modified_at: format_time(rule.modified_at_ms),
            last_run: rule.last_run_ms.map(format_time),
            next_run: rule.next_run_ms.map(format_time),
        }
    }
}

/// Rules by number.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResetRules {
    /// How many there are.
    pub total_count: usize,
    /// All of them.
    pub results: Vec<StoredResetRule>,
}

/// A rule that is gone.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeletedResetRule {
    /// Always `success`.
    #[schema(example = "success")]
    pub status: String,
    /// Its number.
    pub id: i64,
}

/// The number in a path. What is no number is no rule.
fn rule_id(path: Result<Path<String>, PathRejection>) -> Result<i64, ApiError> {
    let unknown = || ApiError::not_found("there is no such reset rule").with_target("id");
    let Path(text) = path.map_err(|_| unknown())?;
    text.parse().map_err(|_| unknown())
}

/// Lists the tenant's reset rules.
#[utoipa::path(
    get, path = "/api/v2/incidents/uci/resetrules", operation_id = "list_reset_rules", tag = "uci",
    responses(
        UciCallerErrors,
        (status = 200, description = "All rules", body = ResetRules),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn list_reset_rules(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let rules = services.reset_rules(&caller.tenant).await?;
    let results: Vec<_> = rules.into_iter().map(StoredResetRule::from).collect();
    body::answer(StatusCode::OK, &ResetRules { total_count: results.len(), results })
}

/// Adds a reset rule, which first runs at its next time. `201` means that it is durable.
///
/// Each run sets the scores of the users that it matches to 1000 and leaves an audit anomaly for each. After downtime
/// a rule that is due runs once.
#[utoipa::path(
    post, path = "/api/v2/incidents/uci/resetrules", operation_id = "create_reset_rule", tag = "uci",
    request_body = ResetRuleForm,
    responses(
        UciBodyErrors,
        (status = 201, description = "Stored and durable", body = StoredResetRule),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn create_reset_rule(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let rule = ResetRuleModel::of(&Fields::read(request).await?)?;
    let rule = services.create_reset_rule(&caller.actor, &caller.tenant, rule).await?;
    body::answer(StatusCode::CREATED, &StoredResetRule::from(rule))
}

/// Shows a reset rule.
#[utoipa::path(
    get, path = "/api/v2/incidents/uci/resetrules/{id}", operation_id = "get_reset_rule", tag = "uci",
    params(("id" = i64, Path, description = "Number of the rule", example = 1)),
    responses(
        UciCallerErrors,
        (status = 200, description = "The rule", body = StoredResetRule),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
        (status = 404, description = "No such rule in this tenant", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn get_reset_rule(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let rule = services.reset_rule(&caller.tenant, rule_id(id)?).await?;
    body::answer(StatusCode::OK, &StoredResetRule::from(rule))
}

/// Replaces a reset rule, which next runs at its next time from now. `200` means that it is durable.
#[utoipa::path(
    put, path = "/api/v2/incidents/uci/resetrules/{id}", operation_id = "replace_reset_rule", tag = "uci",
    params(("id" = i64, Path, description = "Number of the rule", example = 1)),
    request_body = ResetRuleForm,
    responses(
        UciBodyErrors,
        (status = 200, description = "The rule as it is now", body = StoredResetRule),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
        (status = 404, description = "No such rule in this tenant", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn replace_reset_rule(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let id = rule_id(id)?;
    let fields = Fields::read(request).await?;
    let rule = services.replace_reset_rule(&caller.actor, &caller.tenant, id, ResetRuleModel::of(&fields)?).await?;
    body::answer(StatusCode::OK, &StoredResetRule::from(rule))
}

/// Removes a reset rule. `200` means that it never runs again.
#[utoipa::path(
    delete, path = "/api/v2/incidents/uci/resetrules/{id}", operation_id = "delete_reset_rule", tag = "uci",
    params(("id" = i64, Path, description = "Number of the rule", example = 1)),
    responses(
        UciCallerErrors,
        (status = 200, description = "It is gone", body = DeletedResetRule),
        (status = 403, description = "The scope uci:write is missing", body = UciErrorBody),
        (status = 404, description = "No such rule in this tenant", body = UciErrorBody),
    ),
    security(("bearer" = []), ("basic" = [])),
)]
pub async fn delete_reset_rule(
    State(services): State<Arc<Services>>,
    caller: RatedCaller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ApiError> {
    caller.require(Scope::UciWrite)?;
    let id = rule_id(id)?;
    services.delete_reset_rule(&caller.actor, &caller.tenant, id).await?;
    body::answer(StatusCode::OK, &DeletedResetRule { status: "success".to_owned(), id })
}
