//! Tenants.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::domain::time_text::format_time;
use crate::registry::settings::{Overrides, Quota, SettingsChange, UciOverrides};
use crate::registry::tenants::{Tenant, TenantState};
use crate::services::Services;
use crate::services::auth::Actor;

/// A tenant as the command line shows it; spans in ms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantModel {
    /// Number.
    pub id: i64,
    /// Name.
    pub name: String,
    /// `active` or `dropping`.
    pub state: String,
    /// When it was created, RFC 3339.
    pub created_at: String,
    /// Since when the anomalous-activity feature is on, RFC 3339; absent while off.
    pub anomalous_activity_since: Option<String>,
    /// Limit that applies, in ms.
    pub availability_delay_ms: i64,
    /// Limit that applies, in ms.
    pub recency_ms: i64,
    /// Limit that applies.
    pub max_activities: i64,
    /// Limit that applies, in ms.
    pub activity_retention_ms: i64,
    /// Most bytes of stored activities and evidence; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<i64>,
}

fn model(services: &Services, tenant: Tenant) -> TenantModel {
    let limits = services.limits(&tenant);
    TenantModel {
        id: tenant.key.id.get(),
        name: tenant.name,
        state: match tenant.state {
            TenantState::Active => "active",
            TenantState::Dropping => "dropping",
        }
        .to_owned(),
        created_at: format_time(tenant.created_at_ms),
        anomalous_activity_since: tenant.anomalous_activity_since_ms.map(format_time),
        availability_delay_ms: limits.availability_delay_ms,
        recency_ms: limits.recency_ms,
        max_activities: limits.max_activities,
        activity_retention_ms: limits.activity_retention_ms,
        quota_bytes: tenant.quota_bytes,
    }
}

/// A tenant to create.
#[derive(Debug, Serialize, Deserialize)]
pub struct CreateTenant {
    /// Number.
    pub id: TenantId,
    /// Name for people.
    pub name: String,
}

/// Settings to change; what is absent stays.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTenant {
    /// The anomalous-activity feature.
    pub anomalous_activity: Option<bool>,
    /// In ms.
    pub availability_delay_ms: Option<i64>,
    /// In ms.
    pub recency_ms: Option<i64>,
    /// Most activities of an anomaly.
    pub max_activities: Option<i64>,
    /// In ms.
    pub activity_retention_ms: Option<i64>,
    /// In bytes; `null` takes the quota away.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<Quota>,
}

/// Tells `null` from a field that is absent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Quota>, D::Error> {
    Quota::deserialize(deserializer).map(Some)
}

/// Creates a tenant.
pub async fn create_tenant(State(services): State<Arc<Services>>, request: Request) -> Result<Response, ApiError> {
    let new: CreateTenant = body::json(request).await?;
    let tenant = services.create_tenant(&Actor::command_line(), new.id, new.name).await?;
    body::answer(StatusCode::CREATED, &model(&services, tenant))
}

/// Lists tenants by id.
pub async fn list_tenants(State(services): State<Arc<Services>>) -> Result<Response, ApiError> {
    let tenants = services.list_tenants().await?;
    body::answer(StatusCode::OK, &tenants.into_iter().map(|t| model(&services, t)).collect::<Vec<_>>())
}

/// Shows a tenant.
pub async fn get_tenant(State(services): State<Arc<Services>>, Path(id): Path<TenantId>) -> Result<Response, ApiError> {
    let tenant = services.tenant(id).await?;
    body::answer(StatusCode::OK, &model(&services, tenant))
}

/// Changes settings.
pub async fn set_tenant(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    request: Request,
) -> Result<Response, ApiError> {
    let set: SetTenant = body::json(request).await?;
    let change = SettingsChange {
        anomalous_activity: set.anomalous_activity,
        overrides: Overrides {
            availability_delay_ms: set.availability_delay_ms,
            recency_ms: set.recency_ms,
            max_activities: set.max_activities,
            activity_retention_ms: set.activity_retention_ms,
        },
        quota: set.quota_bytes,
        uci: UciOverrides::default(),
    };
    let tenant = services.change_tenant(&Actor::command_line(), id, change).await?;
    body::answer(StatusCode::OK, &model(&services, tenant))
}

/// Drops a tenant with all its data.
pub async fn drop_tenant(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
) -> Result<StatusCode, ApiError> {
    services.drop_tenant(&Actor::command_line(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
