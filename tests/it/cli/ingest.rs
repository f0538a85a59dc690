//! `anomalake ingest`.

use std::io::Write;
use std::process::Stdio;

use super::lake::Lake;
use crate::support::records::{activity, ndjson};
use crate::support::wait::PATIENCE;
use crate::support::{DAY_MS, NOW_MS};

const INGEST: [&str; 3] = ["ingest", "--tenant", "5618"];

fn records(names: &[&str]) -> String {
    let day = |n: usize| NOW_MS + i64::try_from(n).unwrap() * DAY_MS;
    ndjson(&names.iter().enumerate().map(|(n, name)| activity(day(n), "ann", name)).collect::<Vec<_>>())
}

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The summary without its seconds.
#[track_caller]
fn summary(said: &str) -> &str {
    let (summary, seconds) = said.strip_suffix(" s\n").expect("a summary").rsplit_once(", ").unwrap();
    assert!(seconds.parse::<f64>().unwrap() >= 0.0);
    summary
}

#[tokio::test]
async fn the_same_content_is_loaded_once_unless_again() {
    for lake in Lake::both().await {
        let file = lake.file("a.ndjson", records(&["a", "b"]));
        let load = async |more: &[&str]| lake.run(&[&INGEST[..], more].concat()).await.said();
        assert_eq!(summary(&load(&[&file]).await), format!("{file}: 2 rows, 2 days, 2 files"));
        let copy = lake.file("copy.ndjson", records(&["a", "b"]));
        let said = load(&[&copy]).await;
        assert!(said.starts_with(&format!("{copy}: already loaded")) && said.contains("--again"), "{said}");
        assert_eq!(lake.stored().await, ["a", "b"]);
        assert_eq!(summary(&load(&["--again", &file]).await), format!("{file}: 2 rows, 2 days, 2 files"));
        assert_eq!(lake.stored().await, ["a", "a", "b", "b"]);
    }
}

#[tokio::test]
async fn stdin_and_compressed_files_are_loaded() {
    for lake in Lake::both().await {
        let said = lake.pipe(&[&INGEST[..], &["-"]].concat(), records(&["a"])).await.said();
        assert_eq!(summary(&said), "stdin: 1 row, 1 day, 1 file");
        lake.pipe(&[&INGEST[..], &["-"]].concat(), gzip(&records(&["b"]))).await.said();
        let gzipped = lake.file("c", gzip(&records(&["c"])));
        let zstd = lake.file("d", zstd::encode_all(records(&["d"]).as_bytes(), 1).unwrap());
        let said = lake.run(&[&INGEST[..], &[&*gzipped, &zstd]].concat()).await.said();
        assert_eq!(said.lines().count(), 2, "{said}");
        let mut stored = lake.stored().await;
        stored.sort_unstable();
        assert_eq!(stored, ["a", "b", "c", "d"]);
        lake.pipe(&[&INGEST[..], &["-", "-"]].concat(), "").await.refused(2);
    }
}

#[tokio::test]
async fn a_bad_file_is_refused_whole() {
    for lake in Lake::both().await {
        let bad = lake.file("bad", format!("{}{{\"user\":\"ann\"}}\n{{\n", records(&["a"])));
        let told = lake.run(&[&INGEST[..], &[&bad]].concat()).await.failed();
        assert!(told.starts_with(&format!("error: {bad}: 2 bad records; nothing of the file is stored\n")), "{told}");
        assert!(told.contains("\n  line 2, field timeStamp: ") && told.contains("\n  line 3: "), "{told}");
        assert!(told.contains("--on-error skip"), "{told}");
        let whole = gzip(&records(&["b"]));
        let truncated = lake.file("truncated", &whole[..whole.len() - 9]);
        lake.run(&[&INGEST[..], &[&truncated]].concat()).await.refused(1);
        let parquet = lake.file("parquet", "PAR1 and nothing more");
        lake.run(&[&INGEST[..], &["--format", "parquet", &parquet]].concat()).await.refused(1);
        lake.run(&[&INGEST[..], &[&lake.place("absent")]].concat()).await.refused(1);
        lake.run(&[&INGEST[..], &[&lake.place(".")]].concat()).await.failed();
        assert!(lake.stored().await.is_empty());

        let good = lake.file("good", records(&["good"]));
        let ran = lake.run(&[&INGEST[..], &[&*bad, &good]].concat()).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert_eq!(summary(&ran.stdout), format!("{good}: 1 row, 1 day, 1 file"));
        assert!(ran.stderr.ends_with("error: 1 of 2 files failed; nothing of a failed file is stored\n"), "{ran:?}");
        assert_eq!(lake.stored().await, ["good"]);
    }
}

#[tokio::test]
async fn bad_records_can_be_left_out() {
    for lake in Lake::both().await {
        let strange = "{\"timeStamp\":1,\"fileName\":\"b\",\"strange\":1}\n";
        let mixed = lake.file("mixed", format!("{}{{\"user\":\"ann\"}}\n{strange}", records(&["a"])));
        let said = lake.run(&[&INGEST[..], &["--on-error", "skip", &mixed]].concat()).await.said();
        let (first, rest) = said.split_once('\n').unwrap();
        assert_eq!(summary(&format!("{first}\n")), format!("{mixed}: 2 rows, 2 days, 2 files"));
        assert!(rest.contains("1 bad record not stored:\n    line 2, field timeStamp: "), "{rest}");
        assert!(rest.contains("unknown keys not stored: strange (1)"), "{rest}");
        assert_eq!(lake.stored().await, ["b", "a"]);
    }
}

#[tokio::test]
async fn a_wrong_tenant_is_told_before_stdin_ends() {
    for lake in Lake::both().await {
        let mut child = lake.command(&["ingest", "--tenant", "7", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let held = child.stdin.take();
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
        drop(held);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("there is no tenant 7"));
    }
}

#[tokio::test]
async fn repeats_are_left_out_and_counted_unless_they_are_wanted() {
    let events = |ids: &[&str]| -> String {
        let event = |id| {
            format!(r#"{{"eventTime":"2026-11-20T10:11:12Z","eventID":"{id}","requestParameters":{{"key":"{id}"}}}}"#)
        };
        ids.iter().map(|id| event(id) + "\n").collect()
    };
    for lake in Lake::both().await {
        let cloudtrail = [&INGEST[..], &["--source", "cloudtrail"]].concat();
        let load = async |more: &[&str], ids: &[&str]| {
            let file = lake.file("events", events(ids));
            summary(&lake.run(&[&cloudtrail[..], more, &[&*file]].concat()).await.said()).replace(&file, "events")
        };
        assert_eq!(load(&[], &["a", "b"]).await, "events: 2 rows, 1 day, 1 file");
        assert_eq!(load(&[], &["b", "c", "c"]).await, "events: 1 row, 2 duplicates, 1 day, 1 file");
        assert_eq!(load(&["--dedup", "activityId"], &["c"]).await, "events: 0 rows, 1 duplicate, 0 days, 0 files");
        assert_eq!(load(&["--dedup", "off"], &["a", "c"]).await, "events: 2 rows, 1 day, 1 file");
        assert_eq!(load(&["--dedup", "none", "--again"], &["a", "c"]).await, "events: 2 rows, 1 day, 1 file");
        assert_eq!(load(&["--again"], &["a", "c"]).await, "events: 0 rows, 2 duplicates, 0 days, 0 files");
        let told = lake.run(&[&cloudtrail[..], &["--dedup", "eventID", "x"]].concat()).await.refused(2);
        assert!(told.contains("activityId") && told.contains("off"), "{told}");
        let mut stored = lake.stored().await;
        stored.sort_unstable();
        assert_eq!(stored, ["a", "a", "a", "b", "c", "c", "c"]);

        let own = lake.file("own", records(&["x"]));
        let said = lake.run(&[&INGEST[..], &["--dedup", "activityId", &own]].concat()).await.said();
        assert_eq!(summary(&said), format!("{own}: 1 row, 1 day, 1 file"));
        let more = lake.file("more", records(&["x", "y"]));
        let said = lake.run(&[&INGEST[..], &["--dedup", "activityId", &more]].concat()).await.said();
        assert_eq!(summary(&said), format!("{more}: 1 row, 1 duplicate, 1 day, 1 file"));
    }
}
