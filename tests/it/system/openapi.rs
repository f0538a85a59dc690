//! `GET /openapi.json`: the whole contract, and a golden copy of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::TestServer;
use crate::support::contract::DOCUMENT;
use crate::support::server::walk;

const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];

fn operations() -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

#[tokio::test]
async fn the_served_document_is_the_golden_one() {
    let server = TestServer::start().await;
    let answer = server.anyone().get("/openapi.json").await.expect(200);
    assert_eq!(answer.json(), *DOCUMENT);
    insta::assert_json_snapshot!("openapi", answer.json(), { ".info.version" => "[version]" });
}

#[test]
fn it_is_openapi_3_1_and_every_operation_is_described() {
    assert!(DOCUMENT["openapi"].as_str().unwrap().starts_with("3.1."));
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} stands twice");
        assert!(operation["summary"].is_string(), "{id} has no summary");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{id} never succeeds");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            assert!(response["content"]["application/json"]["schema"].is_object(), "{id} {status} has no body");
        }
        let open = operation["tags"][0] == "system";
        assert_eq!(operation["security"].is_array(), !open, "{id}");
    }
    check_references(&DOCUMENT);
}

/// Every `$ref` names a schema that is there.
fn check_references(value: &Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                assert!(DOCUMENT.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            object.values().for_each(check_references);
        }
        Value::Array(items) => items.iter().for_each(check_references),
        _ => {}
    }
}

/// The rule of the house: `src/api/<family>/<operation>.rs` holds the operation of that name.
#[test]
fn every_handler_in_the_sources_is_in_the_document() {
    let mut files: Vec<PathBuf> = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut files);
    let mut handlers = BTreeSet::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let source = std::fs::read_to_string(file).unwrap();
        for attribute in source.split("#[utoipa::path(").skip(1) {
            let quoted = |after: &str| attribute.split(after).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let id = quoted("operation_id = \"").to_owned();
            assert!(attribute.contains(&format!("pub async fn {id}(")), "{id} is no handler of that name");
            handlers.insert(id);
        }
    }
    let documented: BTreeSet<String> =
        operations().iter().map(|(_, _, o)| o["operationId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(handlers, documented);
}

#[tokio::test]
async fn the_router_has_every_documented_operation_and_no_other_method() {
    let server = TestServer::start().await;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let concrete: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let concrete = concrete.join("/");
        // The wire family of the confidence index tells a wrong method as an unknown route.
        let unknown = if path.starts_with("/api/v2/") { 404 } else { 405 };
        for method in METHODS {
            // A server that has GET has HEAD.
            let known = item.get(method.to_lowercase()).is_some() || (method == "HEAD" && item.get("get").is_some());
            let answer = server.anyone().open(method, &concrete, "").await.unwrap();
            let status = answer.response.status().as_u16();
            assert_eq!(status != unknown, known, "{method} {path}: {status}");
            assert!(!known || status != 404, "{method} {path}");
        }
    }
    // The router itself knows no path beside those and the document's own.
    let shown = format!("{:?}", anomalake::api::public_router(&server.owner.services));
    let documented: BTreeSet<&str> = DOCUMENT["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut routed: BTreeSet<&str> = shown.split('"').filter(|text| text.starts_with('/')).collect();
    routed.retain(|path| *path != "/" && !path.contains("axum_fallback"));
    let expected: BTreeSet<&str> =
        documented.into_iter().chain(["/docs", "/docs/", "/docs/{*rest}", "/openapi.json"]).collect();
    assert_eq!(routed, expected);
}
