//! `anomalake serve`.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::NOW_MS;
use crate::support::api::{Api, QUERY, Target};
use crate::support::process::{ProcessDir, TestProcess};
use crate::support::records::{activity, ndjson};
use crate::support::server::walk;
use crate::support::wait::until;

async fn anomaly(api: &Api) -> i64 {
    let anomaly = json!({ "from": 0, "to": "2200-01-01T00:00:00Z", "where": "true" });
    api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json()["id"].as_i64().unwrap()
}

async fn takes_no_more_connections(process: &TestProcess) {
    until("the listener to close", async || TcpStream::connect(process.address).await.is_err()).await;
}

#[tokio::test]
async fn a_second_server_over_the_directory_exits_1_naming_the_first() {
    let dir = ProcessDir::new();
    let first = dir.serve().await;
    let second = dir.command().stderr(std::process::Stdio::piped()).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(second.stdout.is_empty(), "{:?}", second.stdout);
    let told = String::from_utf8(second.stderr).unwrap();
    assert!(told.contains(&format!("in use by process {}", first.pid())), "{told}");
    Api::new(Target::Tcp(first.address)).get("/readyz").await.expect(200);
}

#[tokio::test]
async fn the_directory_is_open_to_its_owner_only() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let api = process.api(&token);
    api.ingest(ndjson(&[activity(NOW_MS, "ann", "a")])).await.expect(200);
    let id = anomaly(&api).await;
    assert_eq!(api.query(id).await.expect(200).rows().len(), 1);

    let mut found = vec![dir.data()];
    walk(&dir.data(), &mut found);
    assert!(found.iter().any(|path| path.to_string_lossy().contains("/evidence/")), "{found:?}");
    let mut open = Vec::new();
    for path in found {
        let about = path.symlink_metadata().unwrap();
        let (mode, wanted) = (about.permissions().mode() & 0o7777, if about.is_dir() { 0o700 } else { 0o600 });
        if mode != wanted {
            open.push(format!("{} {mode:o}", path.strip_prefix(dir.data()).unwrap().display()));
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    assert!(dir.data().join("control.sock").metadata().unwrap().file_type().is_socket());
}

#[tokio::test]
async fn the_log_holds_no_secret() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let user = json!({ "tenant": 5618, "email": "ann@example.com", "role": "reader", "password": "not to be logged" });
    dir.control().post_json("/control/users", &user).await.expect(201);
    let anyone = Api::new(Target::Tcp(process.address));
    anyone.basic("ann@example.com", "not to be logged").query(1).await.expect(200);
    anyone.basic("ann@example.com", "nor this one").query(1).await.expect(401);
    anyone.bearer("anomalake_api_nor_that").query(1).await.expect(401);
    anyone.with("netskope-api-token", &token).query(1).await.expect(200);
    process.api(&token).send("POST", "/api/v1/activities?on_error=unheard", "").await.expect(400);
    let id = anyone.get("/nothing").await.expect(404).header("x-request-id").unwrap().to_owned();
    process.terminate().await;
    assert!(process.ended().await.success());
    let log = dir.log();
    assert!(log.contains(&id), "the log names requests");
    let encoded = "bm90IHRvIGJlIGxvZ2dlZA";
    for secret in [&*token, "not to be logged", "nor this one", "nor_that", encoded, "unheard"] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}

#[tokio::test]
async fn sigterm_finishes_an_export_under_way() {
    const ROWS: i64 = 2_000;
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let api = process.api(&dir.tenant().await);
    let long = "x".repeat(8_000);
    let records: Vec<_> = (0..ROWS).map(|n| activity(NOW_MS + n, "ann", &long)).collect();
    api.ingest(ndjson(&records)).await.expect(200);
    let id = anomaly(&api).await;

    let mut export = api.open("POST", QUERY, json!({ "incident_id": id }).to_string()).await.unwrap();
    let mut body = export.chunk().await.expect("a first chunk").to_vec();
    process.terminate().await;
    takes_no_more_connections(&process).await;
    while let Some(chunk) = export.chunk().await {
        body.extend(chunk);
    }
    let rows = String::from_utf8(body).unwrap().lines().count() - 1;
    assert_eq!(rows, usize::try_from(ROWS).unwrap());
    drop(export);
    assert_eq!(process.ended().await.code(), Some(0), "{}", dir.log());
    assert!(!dir.data().join("control.sock").exists());
}

#[tokio::test]
async fn sigterm_finishes_an_ingest_under_way() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let body = ndjson(&[activity(NOW_MS, "ann", "a"), activity(NOW_MS, "ann", "b")]);
    let (first, second) = body.as_bytes().split_at(body.len() / 2);
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    let head = format!(
        "POST /api/v1/activities HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(first).await.unwrap();
    let anyone = Api::new(Target::Tcp(process.address));
    until("the ingest to begin", async || {
        anyone.get("/metrics").await.text().lines().any(|line| line == "anomalake_ingests_running 1")
    })
    .await;
    process.terminate().await;
    takes_no_more_connections(&process).await;
    stream.write_all(second).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(process.ended().await.code(), Some(0), "{}", dir.log());

    let process = dir.serve().await;
    let api = process.api(&token);
    let id = anomaly(&api).await;
    assert_eq!(api.query(id).await.expect(200).column("fileName"), ["a", "b"]);
}

#[tokio::test]
async fn wrong_calls_exit_2_and_failures_1() {
    let dir = ProcessDir::new();
    let run = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_anomalake"));
        let output = command.args(arguments).env_remove("ANOMALAKE_DATA_DIR").output().await.unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let data = dir.data().display().to_string();
    let (code, told) = run(&["serve"]).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("--data-dir"), "{told}");
    for wrong in [&["serve", "--listen", "nowhere"][..], &["serve", "--nothing"], &["fly"]] {
        assert_eq!(run(wrong).await.0, Some(2), "{wrong:?}");
    }
    let (code, told) = run(&["serve", "--data-dir", &data, "--listen", "0.0.0.0:0"]).await;
    assert_eq!(code, Some(2));
    assert!(told.contains("loopback"), "{told}");
    let (code, told) = run(&["serve", "--data-dir", &data, "--config", "/nowhere.toml"]).await;
    assert_eq!(code, Some(1));
    assert!(told.contains("/nowhere.toml"), "{told}");
    let (code, told) = run(&["serve", "--data-dir", "/dev/null/data"]).await;
    assert_eq!(code, Some(1));
    assert!(told.contains("/dev/null/data"), "{told}");
    assert!(!dir.data().exists(), "a wrong call made a data directory");
}
