//! kill -9 while a tenant is dropped: the next start finishes, and nobody else loses anything.

use std::path::{Path, PathBuf};

use serde_json::json;
use sqlx::{ConnectOptions, Connection};

use crate::support::NOW_MS;
use crate::support::api::Api;
use crate::support::process::{ProcessDir, TestProcess};
use crate::support::records::{activity, ndjson};
use crate::support::wait::until;

/// Files that make deleting the folder take a while.
const BALLAST: usize = 30_000;

/// The tenant to be dropped is 5618; 7 stays.
struct Scene {
    dir: ProcessDir,
    token: String,
}

impl Scene {
    async fn new() -> (Self, TestProcess) {
        let dir = ProcessDir::new();
        let process = dir.serve().await;
        let token = dir.tenant().await;
        process.api(&token).ingest(ndjson(&[activity(NOW_MS, "ann", "gone")])).await.expect(200);
        let control = dir.control();
        control.post_json("/control/tenants", &json!({ "id": 7, "name": "Stays" })).await.expect(201);
        let stays = control.with("anomalake-tenant", "7");
        stays.ingest(ndjson(&[activity(NOW_MS, "ann", "stays")])).await.expect(200);
        (Self { dir, token }, process)
    }

    fn folder(&self, tenant: &str) -> PathBuf {
        self.dir.data().join("lake").join(format!("tenant={tenant}"))
    }

    /// The tenant's state in the registry.
    async fn state(&self) -> String {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.dir.data().join("registry.db"));
        let mut registry = options.connect().await.unwrap();
        let states = "SELECT group_concat(state) FROM tenants WHERE tenant_id = 5618";
        let state = sqlx::query_scalar(states).fetch_one(&mut registry).await.unwrap();
        registry.close().await.unwrap();
        state
    }

    async fn execute(&self, sql: &'static str) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.dir.data().join("registry.db"));
        let mut registry = options.connect().await.unwrap();
        sqlx::query(sql).execute(&mut registry).await.unwrap();
        registry.close().await.unwrap();
    }

    /// A new server finishes the drop by itself; the other tenant and a new life of this one are untouched by it.
    async fn is_finished_by_the_next_start(&self, what: &str) {
        let process = self.dir.serve().await;
        let refused = process.api(&self.token).get("/api/v1/anomalies").await;
        assert_eq!(refused.status, 401, "{what}: a tenant that is being dropped answers");
        until(what, async || !self.folder("5618-1").exists() && self.state().await == "dropped").await;
        let control = self.dir.control();
        control.post_json("/control/tenants", &json!({ "id": 5618, "name": "Reborn" })).await.expect(201);
        assert!(names(&control, "5618").await.is_empty(), "{what}: a new tenant sees the data of an old one");
        assert_eq!(names(&control, "7").await, ["stays"], "{what}");
        process.api(&self.token).get("/api/v1/anomalies").await.expect(401);
    }
}

async fn names(control: &Api, tenant: &str) -> Vec<String> {
    let api = control.with("anomalake-tenant", tenant);
    let everything = json!({ "from": 0, "to": "2200-01-01T00:00:00Z", "where": "true" });
    let id = api.post_json("/api/v1/anomalies", &everything).await.expect(201).json()["id"].as_i64().unwrap();
    api.get(&format!("/api/v1/anomalies/{id}/activities")).await.expect(200).column("fileName")
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_drop_killed_in_the_midst_of_the_files_is_finished() {
    let (scene, process) = Scene::new().await;
    let ballast = scene.folder("5618-1").join("activities/ballast");
    std::fs::create_dir(&ballast).unwrap();
    for n in 0..BALLAST {
        std::fs::write(ballast.join(n.to_string()), "").unwrap();
    }
    let control = scene.dir.control();
    let drop = tokio::spawn(async move { control.try_send("DELETE", "/control/tenants/5618", "").await });
    until("files to go", async || count(&ballast) < BALLAST).await;
    process.kill().await;
    assert!(drop.await.unwrap().is_err(), "the drop was over before it was killed");
    assert!(count(&ballast) > 0, "no file is left");
    assert_eq!(scene.state().await, "dropping");
    scene.is_finished_by_the_next_start("half of the files").await;
}

#[tokio::test]
async fn a_drop_killed_between_its_steps_is_finished() {
    // The two moments between its three steps are too short to be met; their states are made by hand.
    for (what, with_folder) in [("before the first file", true), ("behind the last file", false)] {
        let (scene, process) = Scene::new().await;
        process.kill().await;
        scene.execute("UPDATE tenants SET state = 'dropping' WHERE tenant_id = 5618").await;
        if !with_folder {
            std::fs::remove_dir_all(scene.folder("5618-1")).unwrap();
        }
        scene.is_finished_by_the_next_start(what).await;
    }
}

#[tokio::test]
async fn a_folder_that_comes_back_after_a_power_cut_goes_again() {
    let (scene, process) = Scene::new().await;
    let folder = scene.folder("5618-1");
    let kept = scene.dir.data().join("kept");
    std::fs::rename(&folder, &kept).unwrap();
    scene.dir.control().send("DELETE", "/control/tenants/5618", "").await.expect(204);
    process.kill().await;
    // Deleted names are not synced: a power cut may bring them back.
    std::fs::rename(&kept, &folder).unwrap();
    assert_eq!(scene.state().await, "dropped");
    scene.is_finished_by_the_next_start("a folder without a tenant").await;
}
