//! Too many open files: what needs one more is refused, nothing is lost, and all is well when they are closed.

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::support::NOW_MS;
use crate::support::api::QUERY;
use crate::support::process::{ProcessDir, TestProcess};
use crate::support::records::{activity, ndjson};

/// Files that the process has open.
fn open_files(process: &TestProcess) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap().count() as u64
}

fn limit(process: &TestProcess, files: u64) {
    let pid = Pid::from_raw(i32::try_from(process.pid()).unwrap()).unwrap();
    let before = rustix::process::getrlimit(Resource::Nofile);
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(files), maximum: before.maximum }).unwrap();
}

#[tokio::test]
async fn requests_are_refused_while_no_file_can_be_opened() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let api = process.api(&dir.tenant().await);
    let mut stored = Vec::new();
    let anomaly = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
    let id = api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json()["id"].as_i64().unwrap();
    let mut refused = 0;
    // From none left but the request's own connection to enough for everything. Once more should none have been felt,
    // because the server had files of its own open whenever they were counted, and closed them.
    let spares = [8, 1, 2, 3, 4, 5, 6, 8, 12, 64];
    for (round, spare) in spares.into_iter().cycle().take(8 * spares.len()).enumerate() {
        if round >= spares.len() && refused > 0 {
            break;
        }
        limit(&process, open_files(&process) + spare);
        let name = format!("{round:02}");
        let sent = api.with("idempotency-key", &*name).ingest(ndjson(&[activity(NOW_MS, "ann", &name)])).await;
        assert!([200, 503].contains(&sent.status), "{} {}", sent.status, sent.text());
        match api.try_send("POST", QUERY, json!({ "incident_id": id }).to_string()).await {
            Ok(answer) => {
                assert!([200, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
                refused += usize::from(answer.status == 503);
            }
            // It had begun, and is not passed off as complete.
            Err(_) => refused += 1,
        }
        if sent.status == 200 {
            stored.push(name.clone());
        }
        limit(&process, 1024);
        if sent.status != 200 {
            refused += 1;
            // Whether or not it was stored, a repeat with its key makes it so.
            let again = api.with("idempotency-key", &*name).ingest(ndjson(&[activity(NOW_MS, "ann", &name)])).await;
            again.expect(200);
            stored.push(name);
        }
        assert_eq!(api.query(id).await.expect(200).column("fileName"), stored);
    }
    assert!(refused > 0, "the limit was never felt");
}
