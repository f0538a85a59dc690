//! `anomalake backup`, and what comes back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::lake::{Lake, Ran, anomalake, run};
use crate::support::api::Api;
use crate::support::process::ProcessDir;
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::server::walk;
use crate::support::wait::until;
use crate::support::{DAY_MS, NOW_MS};

async fn restore(backup: &str, data_dir: &Path) -> Ran {
    let mut command = anomalake(&["backup", "restore", backup, "--data-dir"]);
    command.arg(data_dir);
    run(command, "").await
}

async fn check(data_dir: &Path) -> Ran {
    let mut command = anomalake(&["lake", "check", "--deep", "--data-dir"]);
    command.arg(data_dir);
    run(command, "").await
}

/// `fileName` of every activity stored, in order of time.
async fn stored(data_dir: &Path) -> Vec<String> {
    let with = |arguments: &[&str]| {
        let mut command = anomalake(arguments);
        command.env("ANOMALAKE_DATA_DIR", data_dir);
        command
    };
    let window = ["--from", "0", "--to", "2200-01-01T00:00:00Z", "--where", "true"];
    let made = run(with(&[&["anomaly", "create", "--tenant", "5618"][..], &window].concat()), "").await.said();
    let text = run(with(&["export", "--tenant", "5618", "--anomaly", made.trim_end()]), "").await.said();
    let index = crate::support::records::header().iter().position(|c| *c == "fileName").unwrap();
    crate::support::records::csv(&text).into_iter().skip(1).map(|mut row| row.swap_remove(index)).collect()
}

#[tokio::test]
async fn what_was_stored_comes_back() {
    for lake in Lake::both().await {
        let token = lake.token().await;
        let file = lake.file("a.ndjson", ndjson(&[activity(NOW_MS, "ann", "a"), activity(NOW_MS + 1, "bob", "b")]));
        lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
        let backup = lake.place("backup");
        let said = lake.run(&["backup", "create", &backup]).await.said();
        assert!(said.starts_with(&format!("{backup}: 1 tenant, 4 files, ")), "{said}");
        // What comes after is not in it.
        let later = lake.file("later.ndjson", ndjson(&[activity(NOW_MS, "ann", "later")]));
        lake.run(&["ingest", "--tenant", "5618", &later]).await.said();

        let restored = ProcessDir::new();
        let said = restore(&backup, &restored.data()).await.said();
        assert!(said.contains(", 4 files, "), "{said}");
        check(&restored.data()).await.said();
        assert_eq!(stored(&restored.data()).await, ["a", "b"]);
        let server = restored.serve().await;
        server.api(&token).get("/api/v1/anomalies").await.expect(200);
        let told = lake.run(&["audit", "--tenant", "5618"]).await.said();
        assert!(!told.contains("backup.create"), "it concerns the server, not one tenant: {told}");
    }
}

#[tokio::test]
async fn what_is_a_repeat_is_known_after_a_restore() {
    let lake = Lake::alone().await;
    let load = async |data_dir: &Path, ids: &[&str]| {
        let event = |id| format!(r#"{{"eventTime":"2026-11-20T10:11:12Z","eventID":"{id}"}}"#);
        let mut command = anomalake(&["ingest", "--tenant", "5618", "--source", "cloudtrail", "-"]);
        command.env("ANOMALAKE_DATA_DIR", data_dir);
        run(command, ids.iter().map(event).collect::<String>()).await.said()
    };
    let said = load(&lake.dir.data(), &["a", "b"]).await;
    assert!(said.starts_with("stdin: 2 rows, 1 day"), "{said}");
    let backup = lake.place("backup");
    lake.run(&["backup", "create", &backup]).await.said();
    // Unlike what came after the backup.
    load(&lake.dir.data(), &["c"]).await;
    let restored = ProcessDir::new();
    restore(&backup, &restored.data()).await.said();
    let said = load(&restored.data(), &["a", "b", "c"]).await;
    assert!(said.starts_with("stdin: 1 row, 2 duplicates, 1 day"), "{said}");
    check(&restored.data()).await.said();
}

#[tokio::test]
async fn a_backup_is_private_and_no_folder_in_use_is_written_to() {
    let lake = Lake::served().await;
    let backup = lake.place("backup");
    lake.run(&["backup", "create", &backup]).await.said();
    let mut found = vec![backup.clone().into()];
    walk(Path::new(&backup), &mut found);
    for path in found {
        let about = path.symlink_metadata().unwrap();
        let wanted = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&about) & 0o777, wanted, "{}", path.display());
    }
    let told = lake.run(&["backup", "create", &backup]).await.failed();
    assert!(told.contains("is not empty"), "{told}");
    let inside = lake.dir.data().join("backup");
    let told = lake.run(&["backup", "create", inside.to_str().unwrap()]).await.failed();
    assert!(told.contains("may not lie in each other"), "{told}");
    assert!(!inside.exists());
    let told = lake.run(&["backup", "restore", &backup]).await.failed();
    assert!(told.contains("is not empty"), "{told}");
    check(&lake.dir.data()).await.said();
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let lake = Lake::alone().await;
    let file = lake.file("a.ndjson", ndjson(&[activity(NOW_MS, "ann", "a")]));
    lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
    let made = lake.place("backup");
    lake.run(&["backup", "create", &made]).await.said();
    let restored = ProcessDir::new();
    let refused = async |backup: &str| {
        let told = restore(backup, &restored.data()).await.failed();
        let left = std::fs::read_dir(restored.data()).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{told}");
        told
    };
    assert!(refused(&lake.place("nothing")).await.contains("is no backup"));
    let mut found = Vec::new();
    walk(Path::new(&made), &mut found);
    let data = found.iter().find(|path| path.extension().is_some_and(|end| end == "parquet")).unwrap();
    let mut bytes = std::fs::read(data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(data, &bytes).unwrap();
    assert!(refused(&made).await.contains("is not as it was when the backup was made"));
    std::fs::write(data, &bytes[1..]).unwrap();
    assert!(refused(&made).await.contains("has another size"));
    std::fs::remove_file(data).unwrap();
    assert!(refused(&made).await.contains("is not there"));
    let manifest = Path::new(&made).join("manifest.ndjson");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, &text[..text.len() - 10]).unwrap();
    assert!(refused(&made).await.contains("is damaged"));
    std::fs::remove_file(&manifest).unwrap();
    assert!(refused(&made).await.contains("one that was not finished"));
}

#[tokio::test]
async fn a_half_restored_directory_is_not_served() {
    let lake = Lake::alone().await;
    std::fs::write(lake.dir.data().join("RESTORING"), "").unwrap();
    let told = lake.run(&["tenant", "list"]).await.failed();
    assert!(told.contains("restored only in part"), "{told}");
}

#[tokio::test]
async fn damage_is_copied_and_told() {
    let lake = Lake::alone().await;
    let file = lake.file("a.ndjson", ndjson(&[activity(NOW_MS, "ann", "a"), activity(NOW_MS + DAY_MS, "ann", "b")]));
    lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
    let mut found = Vec::new();
    walk(&lake.dir.data().join("lake"), &mut found);
    std::fs::remove_file(found.iter().find(|path| path.extension().is_some_and(|end| end == "parquet")).unwrap())
        .unwrap();
    let backup = lake.place("backup");
    let ran = lake.run(&["backup", "create", &backup]).await;
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.contains("1 tenant") && ran.stderr.contains("file-missing"), "{ran:?}");
    let restored = ProcessDir::new();
    restore(&backup, &restored.data()).await.said();
    let ran = check(&restored.data()).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("file-missing"), "{ran:?}");
}

/// One request as its client knows it.
#[derive(Debug, Clone)]
struct Sent {
    key: String,
    name: String,
    acknowledged: bool,
}

async fn send(api: &Api, sent: &Sent) -> u16 {
    let api = api.with("idempotency-key", &*sent.key).with("content-type", "application/x-ndjson");
    let body = ndjson(&[activity(NOW_MS, "ann", &sent.name)]);
    api.send("POST", "/api/v1/activities", body).await.status
}

/// Backups under load. Each holds everything that was acknowledged before it began, nothing twice, and registry and
/// lake agree: when every request is repeated with its key, everything is there once.
#[tokio::test]
async fn a_backup_under_load_is_of_one_piece() {
    const CLIENTS: usize = 4;
    const SMALL_TENANTS: i64 = 20;
    let lake = Lake::served().await;
    let settings = ["--anomalous-activity", "on", "--availability-delay", "0s"];
    lake.run(&[&["tenant", "set", "5618"][..], &settings].concat()).await.said();
    // They are copied between the registry and the tenant under load, which so goes on in between.
    for id in 1..=SMALL_TENANTS {
        let (control, id) = (lake.dir.control(), id.to_string());
        lake.run(&["tenant", "create", "--id", &id, "--name", "Small"]).await.said();
        control.with("anomalake-tenant", &*id).ingest(ndjson(&[activity(NOW_MS, "bob", "b")])).await.expect(200);
    }
    let token = lake.token().await;
    let api = lake.server().api(&token);
    let ledger: Arc<Mutex<Vec<Sent>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let client = |number: usize| {
        let (api, ledger, stop) = (api.clone(), Arc::clone(&ledger), Arc::clone(&stop));
        tokio::spawn(async move {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let name = format!("{number}-{n}");
                let sent = Sent { key: format!("key {name}"), name, acknowledged: false };
                let place = {
                    let mut ledger = ledger.lock().unwrap();
                    ledger.push(sent.clone());
                    ledger.len() - 1
                };
                assert_eq!(send(&api, &sent).await, 200);
                ledger.lock().unwrap()[place].acknowledged = true;
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    // Evidence is made anew all the time, since rows that belong to it keep coming.
    let everything = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let made = api.post_json("/api/v1/anomalies", &everything).await.expect(201).json();
    let (anomaly, asking) = (made["id"].as_i64().unwrap(), api.clone());
    let asked_until = Arc::clone(&stop);
    let asker = tokio::spawn(async move {
        while !asked_until.load(Ordering::Relaxed) {
            asking.query(anomaly).await.expect(200);
        }
    });
    let acknowledged = || -> Vec<String> {
        let ledger = ledger.lock().unwrap();
        ledger.iter().filter(|sent| sent.acknowledged).map(|sent| sent.name.clone()).collect()
    };
    let mut seeded = Seeded::new(11);
    let mut backups = Vec::new();
    for round in 0..3 {
        let enough = acknowledged().len() + usize::try_from(10 + seeded.below(30)).unwrap();
        until("requests to be acknowledged", async || acknowledged().len() >= enough).await;
        let before = acknowledged();
        let backup = lake.place(&format!("backup-{round}"));
        lake.run(&["backup", "create", &backup]).await.said();
        backups.push((backup, before));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    asker.await.unwrap();
    let all = ledger.lock().unwrap().clone();
    assert!(all.len() > backups.last().unwrap().1.len(), "nothing came while the last backup was made");

    for (backup, before) in backups {
        let restored = ProcessDir::new();
        restore(&backup, &restored.data()).await.said();
        check(&restored.data()).await.said();
        let mut names = stored(&restored.data()).await;
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{backup}: something is there twice");
        let missing: Vec<_> = before.iter().filter(|name| names.binary_search(name).is_err()).collect();
        assert!(missing.is_empty(), "{backup}: acknowledged before it began and not in it: {missing:?}");
        let server = restored.serve().await;
        let api = server.api(&token);
        for sent in &all {
            assert_eq!(send(&api, sent).await, 200, "{sent:?}");
        }
        let mut expected: Vec<_> = all.iter().map(|sent| sent.name.clone()).collect();
        expected.sort();
        let mut names = api.query(anomaly).await.expect(200).column("fileName");
        names.sort();
        assert_eq!(names, expected, "{backup}");
    }
}

#[tokio::test]
async fn the_trail_tells_of_a_backup() {
    let lake = Lake::alone().await;
    lake.run(&["backup", "create", &lake.place("backup")]).await.said();
    let file = lake.dir.data().join("registry.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut registry = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let detail: String = sqlx::query_scalar("SELECT detail FROM audit WHERE action = 'backup.create'")
        .fetch_one(&mut registry)
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&detail).unwrap()["damage"], 0);
}
