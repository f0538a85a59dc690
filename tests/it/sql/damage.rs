//! A data file that is damaged or gone: the client can tell, the log names the file and the answer does not, and the
//! next statement works.

use serde_json::json;

use super::{ask, store, value};
use crate::support::process::ProcessDir;
use crate::support::records::ndjson;
use crate::support::{NOW_MS, TestServer};

fn damage(path: &std::path::Path, from: usize, to: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let to = to.min(bytes.len());
    bytes[from..to].iter_mut().for_each(|byte| *byte ^= 0xA5);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_file_before_the_first_row_is_an_error_of_the_server() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 100).await;
    let files = server.stored_files();
    damage(&files[0], 4, 2_000_000);
    let answer = ask(&tenant.api, "SELECT * FROM activities").await.expect(500);
    for secret in [".parquet", "day=", "lake"] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    assert_eq!(value(&tenant.api, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_damaged_file_in_mid_answer_breaks_it_off() {
    let dir = ProcessDir::new();
    let process = dir.serve().await;
    let tenant = process.api(&dir.tenant().await);
    // Two files of one day, the second of which is read after the first has filled all buffers.
    for part in 0..2 {
        let long = "x".repeat(4_000);
        let records: Vec<_> = (0..2_000)
            .map(|n| json!({ "timeStamp": NOW_MS + part * 86_400_000 + n, "user": "ann", "activityId": format!("{part}-{n}"), "fileName": format!("{n}{long}") }))
            .collect();
        tenant.ingest(ndjson(&records)).await.expect(200);
    }
    let mut files = Vec::new();
    crate::support::server::walk(&dir.data().join("lake"), &mut files);
    files.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
    files.sort();
    let whole = std::fs::read(&files[1]).unwrap();
    damage(&files[1], 4, 60_000);
    let body = json!({ "sql": "SELECT * FROM activities ORDER BY day" }).to_string();
    let answer = tenant.open("POST", "/api/v1/sql", body.clone()).await.unwrap();
    let told = match answer.response.status().as_u16() {
        200 => answer.rest().await.is_err(),
        500 => !answer.rest().await.unwrap().text().contains(".parquet"),
        _ => false,
    };
    assert!(told, "a damaged file looks like a whole answer");
    let name = files[1].file_name().unwrap().to_string_lossy().into_owned();
    let log = dir.log();
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains(&name)), "the log does not name {name}");
    // The others can be read, and so can this one once it is mended.
    let day =
        json!({ "sql": "SELECT count(fileName) AS n FROM activities WHERE timeStamp < 1795392000000" }).to_string();
    assert_eq!(tenant.send("POST", "/api/v1/sql", day).await.expect(200).text(), "n\r\n2000\r\n");
    // Reading the file fails: every read of this one does.
    std::fs::remove_file(&files[1]).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &files[1]).unwrap();
    let answer = tenant.open("POST", "/api/v1/sql", body).await.unwrap();
    let told = match answer.response.status().as_u16() {
        200 => answer.rest().await.is_err(),
        500 => !answer.rest().await.unwrap().text().contains(".parquet"),
        _ => false,
    };
    assert!(told, "a file that cannot be read looks like a whole answer");
    let errors = || dir.log().lines().filter(|line| line.contains("ERROR") && line.contains(&name)).count();
    assert!(errors() > log.lines().filter(|line| line.contains("ERROR") && line.contains(&name)).count());
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(&files[1], whole).unwrap();
    let all = json!({ "sql": "SELECT count(fileName) AS n FROM activities" }).to_string();
    assert_eq!(tenant.send("POST", "/api/v1/sql", all).await.expect(200).text(), "n\r\n4000\r\n");
}

#[tokio::test]
async fn a_file_that_is_gone_is_an_error_unless_it_was_replaced() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 100).await;
    let file = server.stored_files().swap_remove(0);
    let kept = file.with_extension("kept");
    std::fs::rename(&file, &kept).unwrap();
    ask(&tenant.api, "SELECT * FROM activities").await.expect(500);
    std::fs::rename(&kept, &file).unwrap();
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(crate::support::DELAY_MS);
    tenant.query(id).await;
    let mut files = Vec::new();
    crate::support::server::walk(&server.lake(), &mut files);
    files.retain(|path| path.to_string_lossy().contains("/evidence/") && path.is_file());
    std::fs::rename(&files[0], files[0].with_extension("kept")).unwrap();
    let answer = ask(&tenant.api, "SELECT * FROM evidence").await.expect(503).json();
    assert_eq!(answer["code"], "changed_meanwhile");
    assert_eq!(value(&tenant.api, "SELECT count(city) FROM activities").await.as_i64().map(|n| n > 0), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spill_that_cannot_be_written_is_an_error_of_the_server() {
    let server = TestServer::start_with(|settings| settings.sql.memory = 24 << 20).await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 1_500).await;
    let sorted = "SELECT max(x) AS x FROM (SELECT a.activityId || b.activityId AS x, row_number() OVER (ORDER BY a.activityId || b.activityId) AS r FROM activities a, activities b) WHERE r % 2 = 0";
    let tmp = server.tmp();
    let aside = tmp.with_extension("aside");
    std::fs::rename(&tmp, &aside).unwrap();
    let answer = ask(&tenant.api, sorted).await.expect(500);
    assert!(!answer.text().contains("tmp"), "{}", answer.text());
    std::fs::rename(&aside, &tmp).unwrap();
    assert_eq!(value(&tenant.api, sorted).await, "a001499a001499");
}
