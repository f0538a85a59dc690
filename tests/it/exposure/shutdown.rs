//! Stopping while clients are at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::net::TcpStream;

use super::uploads::{head, records};
use super::{MS, Raw, statuses};
use crate::support::process::ProcessDir;
use crate::support::records::{activity, ndjson};
use crate::support::wait::until;
use crate::support::{NOW_MS, TestServer};

#[tokio::test]
async fn idle_connections_close_at_once_and_requests_under_way_finish() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let mut idle = Raw::say_to(server.address(), "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.hear_until("}").await;
    let mut silent = Raw::connect(server.address()).await.unwrap();
    let body = records(20);
    let mut upload = Raw::say_to(server.address(), head(&tenant, body.len()) + &body[..500]).await;
    until("the ingest to begin", async || server.metric("anomalake_ingests_running").await == 1).await;

    let begun = Instant::now();
    server.stop();
    assert_eq!((idle.hear_all().await, silent.hear_all().await), (String::new(), String::new()));
    assert!(begun.elapsed() < MS(3_000), "{:?}", begun.elapsed());
    assert!(TcpStream::connect(server.address()).await.is_err(), "it takes no more connections");

    upload.say(&body[500..]).await.unwrap();
    let answer = upload.hear_all().await;
    assert_eq!(statuses(&answer), ["200"], "{answer}");
    let server = server.restart().await;
    assert_eq!(tenant.at(&server).stored().await.len(), 20);
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut_off() {
    let server = TestServer::start_with(|settings| settings.shutdown_grace = MS(300)).await;
    let tenant = server.tenant(5618).await;
    let mut upload = Raw::say_to(server.address(), head(&tenant, 1_000)).await;
    until("the ingest to begin", async || server.metric("anomalake_ingests_running").await == 1).await;
    let begun = Instant::now();
    server.stop();
    let server = server.restart().await;
    assert!(begun.elapsed() >= MS(300), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < MS(10_000), "{:?}", begun.elapsed());
    assert_eq!(upload.hear_all().await, "");
    assert!(tenant.at(&server).stored().await.is_empty());
}

#[tokio::test]
async fn sigterm_under_load_loses_no_answer_and_exits_0() {
    const CLIENTS: usize = 12;
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let (stopping, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (api, stopping, acknowledged) = (process.api(&token), Arc::clone(&stopping), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for n in 0.. {
                    let name = format!("{client}-{n}");
                    // A connection that is refused is no answer; one that breaks in mid-answer would be lost.
                    match api.try_send("POST", "/api/v1/activities", ndjson(&[activity(NOW_MS, "ann", &name)])).await {
                        Ok(answer) if answer.status == 200 => _ = acknowledged.fetch_add(1, Ordering::SeqCst),
                        Ok(answer) => panic!("{} {}", answer.status, answer.text()),
                        Err(_) if stopping.load(Ordering::SeqCst) => return n,
                        Err(error) => panic!("{error}"),
                    }
                }
                unreachable!()
            })
        })
        .collect();
    until("some work", async || acknowledged.load(Ordering::SeqCst) > 5 * CLIENTS).await;
    stopping.store(true, Ordering::SeqCst);
    process.terminate().await;
    assert!(process.ended().await.success(), "{}", dir.log());
    for client in clients {
        client.await.unwrap();
    }
    let process = dir.serve().await;
    let api = process.api(&token);
    let window = serde_json::json!({ "user": "ann", "from": NOW_MS - 1, "to": NOW_MS + 1 });
    let id = api.post_json("/api/v1/anomalies", &window).await.expect(201).json()["id"].as_i64().unwrap();
    let mut stored = api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200).column("fileName");
    let rows = stored.len();
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), rows, "each once");
    let acknowledged = acknowledged.load(Ordering::SeqCst);
    // A connection may break between its request and the server's first look at it, and never the other way round.
    assert!(rows >= acknowledged, "{rows} are stored, {acknowledged} were acknowledged");
}
