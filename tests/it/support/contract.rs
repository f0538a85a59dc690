//! What holds for every answer: the id of the request, the form of an error, the OpenAPI document.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Answer;

/// The document as it is served.
pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(anomalake::api::document()).unwrap());

/// Checks one answer of the public routes.
pub(crate) fn check(method: &str, path: &str, answer: &Answer) {
    let shown = || format!("{method} {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    let request_id = answer.header("x-request-id").unwrap_or_else(|| panic!("no request id: {}", shown()));
    assert!(!request_id.is_empty());
    let path = path.split('?').next().unwrap();
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/json"), "{}", shown());
        let body = answer.json();
        let body = body.as_object().unwrap_or_else(|| panic!("{}", shown()));
        assert!(body.get("message").and_then(Value::as_str).is_some_and(|m| !m.is_empty()), "{}", shown());
        if path.starts_with("/shnapi/") || path.starts_with("/neo/") {
            only(body, &["code", "message", "target", "details"]);
            assert_eq!(body["code"], answer.status, "{}", shown());
        } else {
            only(body, &["code", "message", "target", "details", "requestId"]);
            assert!(body["code"].is_string(), "{}", shown());
            assert_eq!(body["requestId"], request_id, "{}", shown());
        }
    }
    // A page of another site and an unknown method are refused before any route is reached.
    if matches!(answer.status, 405) || answer.header("x-request-id").is_none() {
        return;
    }
    if let Some(operation) = operation(method, path) {
        let cross_site = answer.status == 403 && answer.text().contains("other sites");
        let documented = operation["responses"].get(answer.status.to_string()).is_some();
        assert!(documented || cross_site, "the document lacks this status: {}", shown());
    }
}

fn only(body: &Map<String, Value>, keys: &[&str]) {
    for key in body.keys() {
        assert!(keys.contains(&key.as_str()), "unexpected key {key}");
    }
}

/// The documented operation that a path belongs to.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let (_, item) = paths.iter().find(|(template, _)| matches_template(template, path))?;
    item.get(method.to_ascii_lowercase())
}

fn matches_template(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
}
