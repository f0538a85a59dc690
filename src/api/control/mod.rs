//! Administration, on the control socket only.

pub mod audit;
pub mod backup;
pub mod check;
pub mod erase;
pub mod lake;
pub mod networks;
pub mod sources;
pub mod tenants;
pub mod tokens;
pub mod users;
pub mod watched;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{delete, get, post};

use super::caller::Operator;
use crate::services::Services;

/// Routes of administration.
pub fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/control/tenants", post(tenants::create_tenant).get(tenants::list_tenants))
        .route(
            "/control/tenants/{id}",
            get(tenants::get_tenant).patch(tenants::set_tenant).delete(tenants::drop_tenant),
        )
        .route("/control/tenants/{id}/networks", get(networks::list_networks).post(networks::add_networks))
        .route("/control/tenants/{id}/networks/remove", post(networks::remove_networks))
        .route("/control/users", post(users::create_user).get(users::list_users))
        .route("/control/users/{email}/grant", post(users::grant))
        .route("/control/users/{email}/revoke", post(users::revoke))
        .route("/control/users/{email}/passwd", post(users::passwd))
        .route("/control/users/{email}/enable", post(users::enable))
        .route("/control/users/{email}/disable", post(users::disable))
        .route("/control/tenants/{id}/tokens", post(tokens::create_token).get(tokens::list_tokens))
        .route("/control/tenants/{id}/tokens/{token}", delete(tokens::revoke_token))
        .route("/control/sources", post(sources::keep_source))
        .route("/control/tenants/{id}/lake", get(lake::lake_status))
        .route("/control/tenants/{id}/lake/{command}", post(lake::lake_upkeep))
        .route("/control/tenants/{id}/audit", get(audit::list_audit))
        .route("/control/check", get(check::check_lake))
        .route("/control/backup", post(backup::create_backup))
        .route("/control/tenants/{id}/user-data/erase", post(erase::erase_user))
}

/// Marks a request as the operator's.
pub async fn as_operator(mut request: Request) -> Request {
    request.extensions_mut().insert(Operator);
    request
}
