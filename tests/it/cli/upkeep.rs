//! `anomalake lake`.

use serde_json::Value;

use super::lake::Lake;
use crate::support::records::{activity, ndjson};

const DAY_MS: i64 = crate::support::DAY_MS;

async fn filled() -> [Lake; 2] {
    let lakes = Lake::both().await;
    for lake in &lakes {
        for n in 0..3 {
            let records = [activity(n, "ann", &format!("a{n}")), activity(DAY_MS + n, "bob", &format!("b{n}"))];
            let file = lake.file(&format!("{n}.ndjson"), ndjson(&records));
            lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
        }
    }
    lakes
}

/// The lines without sizes, which depend on the encoder.
fn without_sizes(text: &str) -> Vec<String> {
    let is_size = |word: &str| {
        word.ends_with("iB") || word.ends_with("iB;") || word.parse::<f64>().is_ok_and(|_| word.contains('.'))
    };
    text.lines().map(|line| line.split(' ').filter(|word| !is_size(word)).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn compaction_tells_what_it_would_do_then_does_it_then_has_nothing_to_do() {
    for lake in filled().await {
        let compact = ["lake", "compact", "--tenant", "5618"];
        let planned = lake.run(&[&compact[..], &["--dry-run"]].concat()).await.said();
        assert_eq!(
            without_sizes(&planned),
            ["1970-01-01: would sort 3 rows: 3 files,", "1970-01-02: would sort 3 rows: 3 files,"]
        );
        let done = lake.run(&compact).await.said();
        assert_eq!(
            without_sizes(&done),
            ["1970-01-01: sorted 3 rows: 3 files, -> 1 file,", "1970-01-02: sorted 3 rows: 3 files, -> 1 file,"]
        );
        assert_eq!(lake.run(&compact).await.said(), "nothing to do\n");
        assert_eq!(lake.stored().await, ["a0", "a1", "a2", "b0", "b1", "b2"]);
        let audit = lake.run(&["audit", "--tenant", "5618", "--format", "json"]).await.said();
        let audit: Vec<Value> = serde_json::from_str(&audit).unwrap();
        let rows: Vec<_> =
            audit.iter().filter(|entry| entry["action"] == "lake.compact").map(|entry| &entry["rows"]).collect();
        assert_eq!(rows, [6, 0]);
    }
}

#[tokio::test]
async fn old_files_wait_and_what_was_loaded_today_is_kept() {
    for lake in filled().await {
        lake.run(&["lake", "compact", "--tenant", "5618"]).await.said();
        let vacuum = ["lake", "vacuum", "--tenant", "5618"];
        let told = without_sizes(&lake.run(&vacuum).await.said());
        assert_eq!(told, ["deleted 0 files, 0 B; 6 files, are too young or in use"]);
        assert_eq!(lake.run(&["lake", "retain", "--tenant", "5618"]).await.said(), "nothing to do\n");
        assert_eq!(lake.stored().await.len(), 6);
    }
}

#[tokio::test]
async fn the_status_shows_the_table_and_its_days() {
    for lake in filled().await {
        let status = lake.run(&["lake", "status", "--tenant", "5618", "--days"]).await.said();
        let line = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{status}"));
            line.split_whitespace().skip(name.split(' ').count()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            (line("activities"), line("unsorted days"), line("most files a day")),
            ("6".into(), "2".into(), "3".into())
        );
        assert!(line("1970-01-02").starts_with("3 3 3 "), "{status}");
        assert!(line("1970-01-02").ends_with(" no 1.00 times"), "{status}");
        let json = lake.run(&["lake", "status", "--tenant", "5618", "--days", "--format", "json"]).await.said();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&json["table"]["files"], &json["table"]["days"][0]["day"]), (&6.into(), &"1970-01-01".into()));
    }
}

#[tokio::test]
async fn an_empty_or_unknown_tenant_is_told_apart() {
    for lake in Lake::both().await {
        let status = lake.run(&["lake", "status", "--tenant", "5618"]).await.said();
        assert!(status.contains("none yet"), "{status}");
        for command in ["compact", "retain", "vacuum"] {
            assert_eq!(lake.run(&["lake", command, "--tenant", "5618"]).await.said(), "nothing to do\n");
            let refused = lake.run(&["lake", command, "--tenant", "9"]).await.refused(1);
            assert!(refused.contains("there is no tenant 9"), "{refused}");
        }
    }
}
