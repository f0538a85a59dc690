//! The networks that a tenant judges.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::api::body;
use crate::api::error::ApiError;
use crate::domain::tenant::TenantId;
use crate::domain::trust::SourceNetwork;
use crate::services::Services;
use crate::services::auth::Actor;

/// A network and what the tenant says of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkModel {
    /// Addresses or a system.
    pub network: SourceNetwork,
    /// Whether activities from there are trusted.
    pub trusted: bool,
    /// Who says so.
    pub entity: String,
    /// Why.
    pub reason: String,
}

/// Networks to judge.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddNetworks {
    /// Which.
    pub networks: Vec<SourceNetwork>,
    /// Whether activities from there are trusted.
    pub trusted: bool,
    /// Who says so; the tenant when absent.
    pub entity: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What became of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct AddedNetworks {
    /// Networks that were not there before.
    pub added: u64,
    /// Networks that were, and are judged anew.
    pub replaced: u64,
}

/// Networks to forget.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveNetworks {
    /// Which.
    pub networks: Vec<SourceNetwork>,
}

/// What became of them.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemovedNetworks {
    /// Those that were there.
    pub removed: Vec<SourceNetwork>,
    /// Those that were not.
    pub missing: Vec<SourceNetwork>,
}

/// Lists the networks.
pub async fn list_networks(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
) -> Result<Response, ApiError> {
    let networks = services.networks(id).await?;
    let model = |(network, trust): (SourceNetwork, crate::domain::trust::Trust)| NetworkModel {
        network,
        trusted: trust.trusted,
        entity: trust.entity,
        reason: trust.reason,
    };
    body::answer(StatusCode::OK, &networks.into_iter().map(model).collect::<Vec<_>>())
}

/// Judges networks.
pub async fn add_networks(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    request: Request,
) -> Result<Response, ApiError> {
    let AddNetworks { networks, trusted, entity, reason } = body::json(request).await?;
    let actor = Actor::command_line();
    let changed = services.judge_networks(&actor, id, networks, trusted, (entity, reason)).await?;
    body::answer(StatusCode::OK, &AddedNetworks { added: changed.added, replaced: changed.replaced })
}

/// Forgets networks.
pub async fn remove_networks(
    State(services): State<Arc<Services>>,
    Path(id): Path<TenantId>,
    request: Request,
) -> Result<Response, ApiError> {
    let RemoveNetworks { networks } = body::json(request).await?;
    let done = services.forget_networks(&Actor::command_line(), id, networks).await?;
    body::answer(StatusCode::OK, &RemovedNetworks { removed: done.removed, missing: done.missing })
}
