//! `anomalake generate`, and what the lake makes of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::lake::{Lake, anomalake, run};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

async fn generate(folder: &Path, more: &[&str]) -> super::lake::Ran {
    let sizes = ["generate", "--users", "60", "--days", "6", "--rows", "4000", "-o", folder.to_str().unwrap()];
    run(anomalake(&[&sizes[..], more].concat()), "").await
}

#[tokio::test]
async fn the_same_arguments_give_the_same_files_and_nothing_is_overwritten() {
    let temporary = tempfile::tempdir().unwrap();
    let (first, second, other) = (temporary.path().join("a"), temporary.path().join("b"), temporary.path().join("c"));
    let said = generate(&first, &["--seed", "7"]).await.said();
    assert!(said.contains(": 4000 rows in ") && said.contains("truth.json"), "{said}");
    generate(&second, &["--seed", "7"]).await.said();
    generate(&other, &["--seed", "8"]).await.said();
    assert!(files(&first) == files(&second), "two runs differ");
    assert!(files(&first) != files(&other), "the seed has no say");
    let told = generate(&first, &[]).await.failed();
    assert!(told.contains("is not empty") && told.contains("another folder"), "{told}");
    assert!(files(&first) == files(&second), "a refused run wrote something");
}

#[tokio::test]
async fn the_lake_takes_both_formats_and_finds_what_is_planted() {
    for format in ["parquet", "ndjson"] {
        let lake = Lake::alone().await;
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("made");
        generate(&folder, &["--format", format]).await.said();
        let truth: Value = serde_json::from_slice(&std::fs::read(folder.join("truth.json")).unwrap()).unwrap();
        let names = files(&folder);
        let paths: Vec<String> = names
            .keys()
            .filter(|name| name.ends_with(format))
            .map(|name| folder.join(name).to_str().unwrap().to_owned())
            .collect();
        assert_eq!(paths.len(), 6, "{:?}", names.keys());
        let mut command = vec!["ingest", "--tenant", "5618"];
        command.extend(paths.iter().map(String::as_str));
        lake.run(&command).await.said();
        let planted = truth["anomalies"].as_array().unwrap();
        assert!(planted.len() >= 2, "{truth}");
        for anomaly in planted {
            let text = |name: &str| anomaly[name].as_str().unwrap().to_owned();
            let (user, from, to) = (text("user"), text("from"), text("to"));
            let mut create =
                vec!["anomaly", "create", "--tenant", "5618", "--user", &user, "--from", &from, "--to", &to];
            if let Some(condition) = anomaly["where"].as_str() {
                create.extend(["--where", condition]);
            }
            let id = lake.run(&create).await.said();
            let rows =
                lake.run(&["export", "--tenant", "5618", "--anomaly", id.trim(), "--format", "ndjson"]).await.said();
            assert_eq!(rows.lines().count() as u64, anomaly["rows"].as_u64().unwrap(), "{anomaly}");
        }
    }
}

#[tokio::test]
async fn sizes_beyond_reason_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("none");
    for wrong in [["--users", "9"], ["--days", "0"], ["--rows", "0"], ["--until", "soon"], ["--format", "xml"]] {
        let command = [&["generate", "-o", folder.to_str().unwrap()][..], &wrong].concat();
        run(anomalake(&command), "").await.refused(2);
    }
    assert!(!folder.exists());
}
