//! What holds for every route of the wire family.

use serde_json::{Value, json};

use anomalake::domain::principal::Role;

use super::{ANOMALIES, DATA, EXPORT, FIND, GET_UCI, IMPACT, RESET, SEARCH, impact, told};
use crate::support::contract::DOCUMENT;
use crate::support::{NOW_MS, TestServer};

const GATEWAY_404: &str = "no Route matched with those values";

/// Every documented operation of the family: method, path with its parameters filled in.
fn operations() -> Vec<(String, String)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let of_family = paths.iter().filter(|(path, _)| path.starts_with("/api/v2/"));
    let operations = of_family.flat_map(|(path, item)| {
        let filled: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let filled = filled.join("/");
        item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), filled.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn all_routes_of_the_contract_are_there() {
    let wanted = [
        ("POST", IMPACT),
        ("GET", "/api/v2/incidents/anomalies/1"),
        ("POST", SEARCH),
        ("POST", "/api/v2/incidents/anomalies/1/allow"),
        ("POST", RESET),
        ("GET", "/api/v2/incidents/uci/resetrules"),
        ("POST", "/api/v2/incidents/uci/resetrules"),
        ("GET", "/api/v2/incidents/uci/resetrules/1"),
        ("PUT", "/api/v2/incidents/uci/resetrules/1"),
        ("DELETE", "/api/v2/incidents/uci/resetrules/1"),
        ("POST", GET_UCI),
        ("POST", "/api/v2/ubadatasvc/user/uci"),
        ("POST", "/api/v2/incidents/users/getanomalies"),
        ("POST", "/api/v2/incidents/users/getactiveuci"),
        ("POST", "/api/v2/incidents/users/getuci"),
        ("GET", DATA),
        ("GET", EXPORT),
        ("GET", FIND),
    ];
    let mut wanted: Vec<_> = wanted.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    let mut found = operations();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn bad_credentials_are_401_and_a_missing_scope_is_named() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let scopeless = tenant.api.bearer(server.token(tenant.id, "sql:read", None).await.token.expose());
    for (method, path) in operations() {
        for api in [server.anyone(), server.anyone().bearer("wrong"), server.anyone().with("Netskope-Api-Token", "")] {
            let refused = api.send(&method, &path, "").await.expect(401);
            assert_eq!(refused.json()["ok"], 0);
        }
        let refused = scopeless.send(&method, &path, "").await.expect(403);
        let named = ["uci:read", "uci:write", "alerts:read"].iter().any(|scope| told(&refused).contains(scope));
        assert!(named, "{method} {path}: {}", told(&refused));
    }
    insta::assert_snapshot!(scopeless.send("POST", IMPACT, "").await.shown(), @r#"
    403 application/json
    {
      "error": "the credentials are valid but lack the scope uci:write",
      "errorMsg": "the credentials are valid but lack the scope uci:write",
      "message": "the credentials are valid but lack the scope uci:write",
      "ok": 0,
      "status": "error"
    }
    "#);
    // Every kind of credential opens every family.
    server.user(tenant.id, "reader@example.com", "correct horse battery", Role::Reader).await;
    let reader = server.anyone().basic("reader@example.com", "correct horse battery");
    reader.post_json(GET_UCI, &json!({ "users": ["ann"] })).await.expect(200);
    reader.get(DATA).await.expect(200);
    reader.post_json(IMPACT, &impact("ann", 1, NOW_MS)).await.expect(403);
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_the_gateways_404() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for api in [&tenant.api, &server.anyone()] {
        for (method, path) in [
            ("GET", "/api/v2"),
            ("GET", "/api/v2/"),
            ("POST", "/api/v2/incidents/user/uciimpacts"),
            ("POST", "/api/v2/incidents/user/uciimpact/"),
            ("GET", IMPACT),
            ("PUT", SEARCH),
            ("DELETE", "/api/v2/incidents/anomalies/1"),
            ("POST", DATA),
            ("BREW", RESET),
            ("OPTIONS", GET_UCI),
            ("GET", "/api/v2/../v2/nothing"),
        ] {
            let answer = api.send(method, path, "").await.expect(404);
            assert_eq!(answer.json(), json!({ "message": GATEWAY_404 }), "{method} {path}");
        }
    }
    // What only begins alike is not of the family.
    assert_eq!(tenant.api.get("/api/v20/nothing").await.expect(404).json()["code"], "not_found");
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (path, status) in [(DATA, 200), ("/api/v2/nothing", 404), (&format!("{ANOMALIES}/1")[..], 404)] {
        let answer = tenant.api.with("x-request-id", "mine").get(path).await.expect(status);
        assert_eq!(answer.header("x-request-id"), Some("mine"));
        let answer = tenant.api.get(path).await.expect(status);
        assert_eq!(answer.header("x-request-id").unwrap().len(), 36);
    }
}

#[tokio::test]
async fn the_document_has_examples_errors_and_credentials_for_the_whole_family() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        if !(path.starts_with("/api/v2/") || ["/api/v1/impacts", "/api/v1/users/{user}/uci"].contains(&path.as_str())) {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert_eq!(operation["security"].as_array().map(Vec::len), Some(5), "{name}");
            for status in ["400", "401", "403", "429", "500", "503"] {
                assert!(operation["responses"][status].is_object(), "{name} lacks {status}");
            }
            if path.starts_with("/api/v2/") {
                assert!(operation["responses"]["429"]["headers"]["ratelimit-limit"].is_object(), "{name}");
            }
            let bodies = operation["requestBody"]["content"].as_object();
            for (media, body) in bodies.into_iter().flatten() {
                let shown = [&body["example"], &resolved(&body["schema"])["example"]];
                assert!(shown.iter().any(|example| !example.is_null()), "{name} shows no example of {media}");
            }
        }
    }
}

/// The schema that a reference, perhaps an optional one, leads to.
fn resolved(schema: &'static Value) -> &'static Value {
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let reference = std::iter::once(schema).chain(alternatives).find_map(|schema| schema["$ref"].as_str());
    reference.map_or(schema, |reference| DOCUMENT.pointer(&reference[1..]).unwrap())
}
