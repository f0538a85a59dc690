//! Kinds of credentials in the OpenAPI document.

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use super::credential::{ACCESS_TOKEN, API_TOKEN, IAM_TOKEN, PASSWORD, REFRESH_TOKEN, USERNAME};

/// What a route that takes a bearer token takes: every kind of credential that opens anything.
const OPENING: [&str; 5] = ["basic", "bearer", "access_token", "iam_token", "api_token"];

/// Everything that a header may carry, by its name in the document.
fn schemes() -> [(&'static str, SecurityScheme); 8] {
    let http = |scheme, text| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(text)).build());
    let header = |name, text| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)));
    let password = "E-mail address and password; `bps-tenant-id` picks one of several tenants";
    [
        ("basic", http(HttpAuthScheme::Basic, password)),
        (
            "bearer",
            http(HttpAuthScheme::Bearer, "An access token, an IAM token or a token of `anomalake token create`"),
        ),
        ("access_token", header(ACCESS_TOKEN, "A token of `create_access_token`")),
        ("iam_token", header(IAM_TOKEN, "A token of `create_iam_token`")),
        ("api_token", header(API_TOKEN, "A token of `anomalake token create`")),
        ("refresh_token", header(REFRESH_TOKEN, "A refresh token of `create_access_token`")),
        ("username", header(USERNAME, "E-mail address")),
        ("password", header(PASSWORD, "Password")),
    ]
}

/// Describes every kind of credential, and lets each route that takes a bearer token take every kind: a
/// route states that it needs one, and what counts as one is said here alone.
pub(super) fn describe(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    let bearer = requirement("bearer");
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        if operation.security.as_ref().is_some_and(|accepted| accepted.contains(&bearer)) {
            operation.security = Some(OPENING.map(requirement).to_vec());
        }
    }
}

fn requirement(name: &str) -> SecurityRequirement {
    SecurityRequirement::new::<_, [&str; 0], _>(name, [])
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn routes_take_every_kind_but_where_a_grant_names_its_own() {
        let document = serde_json::to_value(crate::api::document()).unwrap();
        let accepted = |path: &str| document["paths"][path]["post"]["security"].clone();
        let all = json!([{"basic": []}, {"bearer": []}, {"access_token": []}, {"iam_token": []}, {"api_token": []}]);
        assert_eq!(accepted("/shnapi/rest/external/api/v1/queryActivities"), all);
        assert_eq!(accepted("/api/v1/activities"), all);
        assert_eq!(accepted("/shnapi/rest/external/api/v1/token"), json!([{"basic": []}]));
        let grants = json!([{"iam_token": []}, {"password": [], "username": []}, {"refresh_token": []}]);
        assert_eq!(accepted("/neo/neo-auth-service/oauth/token"), grants);
        let named = [&all, &grants].into_iter().flat_map(|list| list.as_array().unwrap());
        for name in named.flat_map(|requirement| requirement.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"][name].is_object(), "{name}");
        }
    }
}
