//! `anomalake export`, and `anomalake audit` of what was done.

use serde_json::Value;

use super::lake::Lake;
use crate::support::records::{csv, data, header};

#[tokio::test]
async fn a_file_holds_what_stdout_gets() {
    for lake in Lake::both().await {
        let input = lake.file("a.ndjson", data("activities-quoting.ndjson"));
        lake.run(&["ingest", "--tenant", "5618", &input]).await.said();
        let id = lake.everything().await;
        let export = ["export", "--tenant", "5618", "--anomaly", &*id];

        let text = lake.run(&export).await.said();
        let (mut found, mut wanted) = (csv(&text), csv(&data("activities-quoting.csv")));
        assert_eq!(found.remove(0), header());
        wanted.remove(0);
        wanted.reverse();
        assert!(found == wanted, "the rows differ");
        let ndjson = lake.run(&[&export[..], &["--format", "ndjson"]].concat()).await.said();
        let records: Vec<Value> = ndjson.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(records.len(), wanted.len());

        for (format, content) in [("csv", &text), ("ndjson", &ndjson)] {
            let place = lake.place(&format!("evidence.{format}"));
            std::fs::write(&place, "an older export").unwrap();
            let ran = lake.run(&[&export[..], &["--format", format, "-o", &place]].concat()).await;
            assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
            assert!(ran.stderr.starts_with(&format!("{place}: {} rows, ", wanted.len())), "{ran:?}");
            assert!(std::fs::read_to_string(&place).unwrap() == *content, "{format}");
        }
        let token = lake.token().await;
        let path = format!("/api/v1/anomalies/{id}/activities");
        let served = lake.http(async |api| api.bearer(&token).get(&path).await.expect(200)).await;
        assert!(served.text() == text, "HTTP gives other bytes");
    }
}

#[tokio::test]
async fn a_refused_export_touches_no_file() {
    for lake in Lake::both().await {
        let place = lake.file("evidence.csv", "an older export");
        let told = lake.run(&["export", "--tenant", "5618", "--anomaly", "1", "-o", &place]).await.failed();
        assert!(told.contains("there is no such anomaly"), "{told}");
        lake.everything().await;
        let nowhere = lake.place("no/folder.csv");
        let told = lake.run(&["export", "--tenant", "5618", "--anomaly", "1", "-o", &nowhere]).await.refused(1);
        assert!(told.contains(&nowhere), "{told}");
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "an older export");
        assert_eq!(lake.places().read_dir().unwrap().count(), 1, "a part is left");
    }
}

#[tokio::test]
async fn what_was_done_is_in_the_audit_trail() {
    for lake in Lake::both().await {
        lake.run(&["tenant", "set", "5618", "--anomalous-activity", "on"]).await.said();
        lake.token().await;
        let id = lake.everything().await;
        lake.run(&["export", "--tenant", "5618", "--anomaly", &id]).await.said();
        let said = lake.run(&["audit", "--tenant", "5618", "--format", "json"]).await.said();
        let entries: Vec<Value> = serde_json::from_str(&said).unwrap();
        let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(actions[..4], ["tenant.create", "tenant.set", "token.create", "anomaly.create"]);
        assert!(actions.len() == 5 && actions[4].contains("export"), "{actions:?}");
        assert!(entries.iter().all(|entry| entry["principal"] == "command line"), "{said}");
        let table = lake.run(&["audit", "--tenant", "5618", "--since", "-1h"]).await.said();
        assert_eq!(table.lines().count(), 1 + entries.len(), "{table}");
        let table = lake.run(&["audit", "--tenant", "5618", "--since", "+1h"]).await.said();
        assert_eq!(table.lines().count(), 1, "{table}");
        lake.run(&["audit", "--tenant", "7"]).await.failed();
    }
}
