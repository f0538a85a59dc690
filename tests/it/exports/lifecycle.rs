//! From the wish to the end: interrupted, failed, deleted, expired.

use std::sync::Arc;

use serde_json::json;

use super::{PATH, ask, content, make, show, tenant_with};
use crate::support::wait::until;
use crate::support::{DAY_MS, TestServer};

#[tokio::test]
async fn a_wish_outlives_the_server_and_so_does_an_attempt() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 50).await;
    let id = ask(&tenant, anomaly).await;
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    assert_eq!(show(&tenant, id).await["state"], "pending");
    // Begun and never ended, as a process does that is killed.
    drop(server.owner.services.begin_next_saved_export().await.unwrap().expect("it is due"));
    let server = server.restart().await;
    let tenant = tenant.at(&server);
    let shown = show(&tenant, id).await;
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("pending"), &json!(1)), "{shown}");
    assert!(shown["error"].as_str().unwrap().contains("server ended"), "{shown}");
    make(&server).await;
    let shown = show(&tenant, id).await;
    assert_eq!(
        (&shown["state"], &shown["attempts"], shown.get("error")),
        (&json!("ready"), &json!(2), None),
        "{shown}"
    );
    assert_eq!(content(&tenant, id).await.expect(200).rows().len(), 50);
}

#[tokio::test]
async fn an_export_that_kills_the_server_is_given_up() {
    let mut server = TestServer::start().await;
    let (mut tenant, anomaly) = tenant_with(&server, 5).await;
    let id = ask(&tenant, anomaly).await;
    for _ in 0..3 {
        drop(server.owner.services.begin_next_saved_export().await.unwrap().expect("it is due"));
        server = server.restart().await;
        tenant = tenant.at(&server);
    }
    let shown = show(&tenant, id).await;
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("failed"), &json!(3)), "{shown}");
    assert!(server.owner.services.begin_next_saved_export().await.unwrap().is_none());
    let told = content(&tenant, id).await.expect(409).json();
    assert!(told["code"] == "export_failed" && told["message"].as_str().unwrap().contains("server ended"), "{told}");
}

#[tokio::test]
async fn after_three_failures_it_says_why_without_a_path() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 50).await;
    for file in server.stored_files() {
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, vec![b'x'; bytes.len()]).unwrap();
    }
    let id = ask(&tenant, anomaly).await;
    for attempt in 1..=3 {
        make(&server).await;
        let shown = show(&tenant, id).await;
        assert_eq!(shown["attempts"], attempt, "{shown}");
        assert_eq!(shown["state"], if attempt < 3 { "pending" } else { "failed" }, "{shown}");
        make(&server).await;
        assert_eq!(show(&tenant, id).await["attempts"], attempt, "it does not wait between attempts");
        server.clock.advance(30_000);
    }
    let shown = show(&tenant, id).await;
    let told = shown["error"].as_str().unwrap();
    assert!(told.contains("server's log") && !told.contains('/'), "{told}");
    assert!(server.export_files().is_empty());
    // A failure goes when its time is over, too.
    server.clock.advance(8 * DAY_MS);
    server.owner.services.tidy_saved_exports().await.unwrap();
    tenant.api.get(&format!("{PATH}/{id}")).await.expect(404);
}

#[tokio::test]
async fn deleting_stops_what_is_being_made_and_leaves_no_file() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 20_000).await;
    let services = Arc::clone(&server.owner.services);
    for begin_to_write in [false, true] {
        let id = ask(&tenant, anomaly).await;
        let begun = services.begin_next_saved_export().await.unwrap().expect("it is due");
        let making = {
            let services = Arc::clone(&services);
            let run = async move { services.make_saved_export(begun).await };
            if begin_to_write { Ok(tokio::spawn(run)) } else { Err(run) }
        };
        if begin_to_write {
            until("the file to grow", async || services.export_progress(id).is_none_or(|attempt| attempt.bytes() > 0))
                .await;
        }
        tenant.api.send("DELETE", &format!("{PATH}/{id}"), "").await.expect(204);
        match making {
            Ok(running) => running.await.unwrap().unwrap(),
            Err(not_begun) => not_begun.await.unwrap(),
        }
        tenant.api.get(&format!("{PATH}/{id}")).await.expect(404);
        assert!(server.export_files().is_empty(), "{:?}", server.export_files());
        assert!(services.export_progress(id).is_none());
    }
    until("the tasks to end", async || server.metric("anomalake_export_tasks").await == 0).await;
}

#[tokio::test]
async fn what_is_over_goes_and_what_nothing_names_too() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 5).await;
    let first = ask(&tenant, anomaly).await;
    make(&server).await;
    server.clock.advance(DAY_MS);
    let second = ask(&tenant, anomaly).await;
    make(&server).await;
    let shown = show(&tenant, second).await;
    assert_eq!(shown["expiresAt"], "2026-11-30T00:00:00.000Z", "{shown}");
    let folder = server.export_files()[0].parent().unwrap().to_owned();
    for garbage in ["99-abc.csv", "98-abc.csv.part", "notes"] {
        std::fs::write(folder.join(garbage), "x").unwrap();
    }
    let tidy = async || server.owner.services.tidy_saved_exports().await.unwrap();
    tidy().await;
    assert_eq!(server.export_files().len(), 2);
    server.clock.advance(6 * DAY_MS - 1);
    tidy().await;
    content(&tenant, first).await.expect(200);
    server.clock.advance(1);
    tidy().await;
    content(&tenant, first).await.expect(404);
    content(&tenant, second).await.expect(200);
    assert_eq!(server.export_files().len(), 1);
}
