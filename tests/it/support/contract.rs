//! What holds for every answer: the id of the request, the form of an error, the OpenAPI document.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

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
    if answer.status >= 400 && method != "HEAD" {
        check_error(path, answer, request_id, &shown);
    } else if is_v2(path) {
        check_v2_success(answer, &shown);
    }
    // A page of another site and an unknown method are refused before any route is reached.
    if matches!(answer.status, 405) || answer.header("x-request-id").is_none() {
        return;
    }
    let Some((template, operation)) = operation(method, path) else { return };
    if answer.status == 403 && answer.text().contains("other sites") {
        return;
    }
    let documented = operation["responses"].get(answer.status.to_string());
    let documented = documented.unwrap_or_else(|| panic!("the document lacks this status: {}", shown()));
    check_schema(&format!("{method} {template} {}", answer.status), documented, answer, &shown);
}

fn check_error(path: &str, answer: &Answer, request_id: &str, shown: &impl Fn() -> String) {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", shown());
    let body = answer.json();
    let body = body.as_object().unwrap_or_else(|| panic!("{}", shown()));
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default();
    assert!(!message.is_empty(), "{}", shown());
    if path.starts_with("/shnapi/") || path.starts_with("/neo/") {
        only(body, &["code", "message", "target", "details"]);
        assert_eq!(body["code"], answer.status, "{}", shown());
    } else if is_v2(path) {
        if body.len() == 1 {
            assert!(
                ["no Route matched with those values", "API rate limit exceeded"].contains(&message),
                "{}",
                shown()
            );
            return;
        }
        let wanted = json!({ "ok": 0, "status": "error", "message": message, "error": message, "errorMsg": message });
        assert_eq!(Value::Object(body.clone()), wanted);
    } else {
        only(body, &["code", "message", "target", "details", "requestId"]);
        assert!(body["code"].is_string(), "{}", shown());
        assert_eq!(body["requestId"], request_id, "{}", shown());
    }
}

fn is_v2(path: &str) -> bool {
    path == "/api/v2" || path.starts_with("/api/v2/")
}

/// A success may not look like a failure to anyone who only reads the body.
fn check_v2_success(answer: &Answer, shown: &impl Fn() -> String) {
    let Ok(Value::Object(body)) = serde_json::from_slice(&answer.body) else { return };
    let failure = body.get("ok") == Some(&json!(0))
        || body.get("status") == Some(&json!("error"))
        || body.get("success") == Some(&json!(false))
        || body.contains_key("errors");
    assert!(!failure, "a success that looks like a failure: {}", shown());
}

/// A JSON body fits the schema that the document gives it; of NDJSON every line does.
fn check_schema(operation: &str, documented: &Value, answer: &Answer, shown: &impl Fn() -> String) {
    let media = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let encoded = answer.header("content-encoding").is_some();
    if answer.body.is_empty() || encoded || !matches!(media, "application/json" | "application/x-ndjson") {
        return;
    }
    let schema = &documented["content"][media]["schema"];
    assert!(schema.is_object(), "the document lacks {media} here: {}", shown());
    if media == "application/x-ndjson" && schema["type"] == "string" {
        return;
    }
    let validator = validator(&format!("{operation} {media}"), schema);
    let check = |value: &Value| {
        if let Err(error) = validator.validate(value) {
            panic!("{}: {error} at {} of {}", operation, error.instance_path(), shown());
        }
    };
    if media == "application/json" {
        check(&answer.json());
    } else {
        answer.text().lines().for_each(|line| check(&serde_json::from_str(line).unwrap()));
    }
}

/// The validator of a schema of the document, made once.
fn validator(name: &str, schema: &Value) -> Arc<Validator> {
    static MADE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut validators = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        Arc::new(jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    Arc::clone(validators.entry(name.to_owned()).or_insert_with(make))
}

fn only(body: &Map<String, Value>, keys: &[&str]) {
    for key in body.keys() {
        assert!(keys.contains(&key.as_str()), "unexpected key {key}");
    }
}

/// The documented operation that a path belongs to, with its template. A template without parameters goes before
/// one with.
fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let matching = paths.iter().filter(|(template, _)| matches_template(template, path));
    let (template, item) = matching.min_by_key(|(template, _)| template.matches('{').count())?;
    Some((template, item.get(method.to_ascii_lowercase())?))
}

fn matches_template(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p)
}
