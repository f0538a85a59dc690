//! Full and read-only disks: writes are refused with the reason, what is stored can be read, nothing is
//! lost, and all is well again without a restart. `src/lake/room_tests.rs` fills the disk at a chosen file.

use serde_json::{Value, json};

use super::shell::ShellServer;
use crate::support::NOW_MS;
use crate::support::api::Api;
use crate::support::process::ProcessDir;
use crate::support::records::{activity, ndjson};

/// A directory whose server uses its disk to the last byte, with a tenant and its token.
async fn prepared() -> (ProcessDir, String) {
    let dir = ProcessDir::with("commit-interval = \"0s\"\nmin-free-disk = \"0B\"\n", "debug");
    let process = dir.serve().await;
    let token = dir.tenant().await;
    process.terminate().await;
    assert!(process.ended().await.success());
    (dir, token)
}

async fn store(api: &Api, name: &str) -> (u16, Value) {
    let answer = api.with("idempotency-key", name).ingest(ndjson(&[activity(NOW_MS, "ann", name)])).await;
    (answer.status, answer.json())
}

async fn create(api: &Api) -> (u16, Value) {
    let anomaly = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let answer = api.post_json("/api/v1/anomalies", &anomaly).await;
    (answer.status, answer.json())
}

fn told((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_full_disk() {
    let (dir, token) = prepared().await;
    let Some(mut server) = ShellServer::start(&dir, 24, &token).await else { return };
    let api = server.api().clone();
    assert_eq!(store(&api, "a").await.0, 200);
    let first = create(&api).await.1["id"].as_i64().unwrap();
    assert_eq!(api.query(first).await.expect(200).column("fileName"), ["a"]);

    assert!(!server.run("dd if=/dev/zero of=disk/filler bs=4096 2>/dev/null").await, "the disk is not full");
    for _ in 0..3 {
        let refused = store(&api, "b").await;
        assert_eq!(told(&refused), (507, "disk_full"), "{refused:?}");
        assert!(refused.1["message"].as_str().unwrap().contains("nothing was stored"), "{refused:?}");
        assert_eq!(told(&create(&api).await), (507, "disk_full"));
    }
    api.get(&format!("/api/v1/anomalies/{first}")).await.expect(200);
    api.get("/readyz").await.expect(200);

    assert!(server.run("rm disk/filler").await);
    assert_eq!(store(&api, "b").await.0, 200);
    assert_eq!(store(&api, "c").await.0, 200);
    let second = create(&api).await.1["id"].as_i64().unwrap();
    for id in [first, second] {
        let mut names = api.query(id).await.expect(200).column("fileName");
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c"]);
    }
    server.end().await;
}

#[tokio::test]
async fn a_read_only_disk() {
    let (dir, token) = prepared().await;
    let Some(mut server) = ShellServer::start(&dir, 24, &token).await else { return };
    // Of its own, so that the registry's open files do not keep it from becoming read-only.
    let lake = "disk/data/lake";
    assert!(server.run(&format!("mount --bind {lake} {lake}")).await);
    let api = server.api().clone();
    assert_eq!(store(&api, "a").await.0, 200);
    let first = create(&api).await.1["id"].as_i64().unwrap();
    assert_eq!(api.query(first).await.expect(200).column("fileName"), ["a"]);

    assert!(server.run(&format!("mount -o remount,bind,ro {lake}")).await);
    let second = create(&api).await.1["id"].as_i64().unwrap();
    // More often than evidence is tried before it is given up.
    for _ in 0..5 {
        assert_eq!(told(&store(&api, "b").await), (503, "disk_read_only"));
        let refused = api.query(second).await.expect(503);
        assert!(refused.text().contains("read-only"), "{}", refused.text());
    }
    assert_eq!(api.query(first).await.expect(200).column("fileName"), ["a"]);

    assert!(server.run(&format!("mount -o remount,bind,rw {lake}")).await);
    assert_eq!(api.query(second).await.expect(200).column("fileName"), ["a"]);
    assert_eq!(store(&api, "b").await.0, 200);
    assert_eq!(api.query(first).await.expect(200).column("fileName"), ["a", "b"]);
    server.end().await;
}
