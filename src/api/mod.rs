//! HTTP: routes by family, one page of policy over all of them.
//!
//! A handler translates: out of headers and body into a plain request of a service, and the value or
//! stream back. Its name is its operation id and its path tells its file.

pub mod activities;
pub mod anomalies;
pub mod body;
pub mod caller;
pub mod control;
pub mod credential;
pub mod download;
pub mod error;
pub mod exports;
pub mod external;
mod map_error;
pub mod negotiate;
pub mod policy;
pub mod rate;
mod security;
pub mod serve;
pub mod sql;
pub mod system;
pub mod uci;
mod unread;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::middleware;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::services::Services;
use error::ApiError;

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "anomalake",
        description = "Activities in, anomalies explained, evidence out.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    // Schemas that only a parameter, or responses which many routes share, name.
    components(schemas(
        uci::error::GatewayErrorBody,
        uci::error::UciErrorBody,
        uci::search_uci_anomalies::UciProperty,
    )),
    tags(
        (name = "external", description = "Wire contract of the anomalous activity API"),
        (name = "incidents", description = "Wire contract of the incidents API: anomalies as others handle them"),
        (name = "activities", description = "Activities in"),
        (name = "anomalies", description = "Anomalies and their activities"),
        (name = "uci", description = "User confidence index: risk in, scores out"),
        (name = "alerts", description = "Alerts about users"),
        (name = "exports", description = "Results made in the background and downloaded later"),
        (name = "sql", description = "Statements over all of a tenant's tables"),
        (name = "system", description = "The server itself"),
    ),
)]
struct Document;

fn routes() -> OpenApiRouter<Arc<Services>> {
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(external::create_iam_token::create_iam_token))
        .routes(routes!(external::create_access_token::create_access_token))
        .routes(routes!(external::query_activities::query_activities))
        .routes(routes!(external::query_incidents::query_incidents))
        .routes(routes!(external::modify_incidents::modify_incidents))
        .routes(routes!(external::query_incident_groups::query_incident_groups))
        .routes(routes!(external::query_incident_information_keys::query_incident_information_keys))
        .routes(routes!(external::list_groups::list_groups))
        .routes(routes!(activities::ingest_activities::ingest_activities))
        .routes(routes!(anomalies::create_anomaly::create_anomaly, anomalies::list_anomalies::list_anomalies))
        .routes(routes!(anomalies::get_anomaly::get_anomaly, anomalies::modify_anomaly::modify_anomaly))
        .routes(routes!(anomalies::get_anomaly_activities::get_anomaly_activities))
        .merge(uci::routes())
        .routes(routes!(exports::create_export::create_export, exports::list_exports::list_exports))
        .routes(routes!(exports::get_export::get_export, exports::delete_export::delete_export))
        .routes(routes!(exports::get_export_content::get_export_content))
        .routes(routes!(sql::run_sql::run_sql))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics));
    security::describe(router.get_openapi_mut());
    router
}

/// The OpenAPI document of the product.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// Every route that callers reach over the network.
pub fn public_router(services: &Arc<Services>) -> Router {
    let (router, document) = routes().split_for_parts();
    let docs = SwaggerUi::new("/docs").url("/openapi.json", document);
    policy::apply(router.with_state(Arc::clone(services)).merge(docs), services)
}

/// The same routes and those of administration, for the control socket: whoever may open the socket
/// owns the data directory.
pub fn control_router(services: &Arc<Services>) -> Router {
    let (router, _) = routes().split_for_parts();
    let router = router.merge(control::routes()).with_state(Arc::clone(services));
    policy::apply(router.layer(middleware::map_request(control::as_operator)), services)
}

/// A query string that does not fit its route.
fn query_error(rejection: &QueryRejection) -> ApiError {
    ApiError::new(axum::http::StatusCode::BAD_REQUEST, "bad_query", rejection.body_text())
}
