//! `anomalake exports`.

use serde_json::Value;

use super::lake::Lake;
use crate::support::records::data;

/// A lake with an anomaly, and the number of its export, not waited for.
async fn asked(lake: &Lake, more: &[&str]) -> String {
    let input = lake.file("a.ndjson", data("activities-quoting.ndjson"));
    lake.run(&["ingest", "--tenant", "5618", &input]).await.said();
    let anomaly = lake.everything().await;
    let create = ["exports", "create", "--tenant", "5618", "--anomaly", &*anomaly];
    let ran = lake.run(&[&create[..], more].concat()).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr.contains("no server runs"), !lake.is_served() && !more.contains(&"--wait"), "{ran:?}");
    ran.stdout.strip_suffix('\n').expect("a line").to_owned()
}

async fn show(lake: &Lake, id: &str) -> Value {
    let said = lake.run(&["exports", "show", "--tenant", "5618", id, "--format", "json"]).await.said();
    serde_json::from_str(&said).unwrap()
}

/// The ranges that downloads asked for.
async fn ranges(lake: &Lake) -> Vec<Value> {
    let said = lake.run(&["audit", "--tenant", "5618", "--format", "json"]).await.said();
    let entries: Vec<Value> = serde_json::from_str(&said).unwrap();
    let downloads = entries.iter().filter(|entry| entry["action"] == "export.download");
    downloads.map(|entry| entry["detail"]["range"].clone()).collect()
}

#[tokio::test]
async fn an_export_is_asked_for_and_downloaded() {
    for lake in Lake::both().await {
        let id = asked(&lake, &["--name", "night.csv"]).await;
        let direct = lake.run(&["export", "--tenant", "5618", "--anomaly", "1"]).await.said();
        let download = ["exports", "download", "--tenant", "5618", &*id];
        assert!(lake.run(&download).await.said() == direct, "other bytes");
        let shown = show(&lake, &id).await;
        assert_eq!(
            (&shown["state"], &shown["owner"], &shown["name"]),
            (&"ready".into(), &"command line".into(), &"night.csv".into())
        );
        let list = lake.run(&["exports", "list", "--tenant", "5618"]).await.said();
        assert!(list.lines().count() == 2 && list.contains("night.csv  ready"), "{list}");

        let place = lake.place("night.csv");
        std::fs::write(&place, "an older download").unwrap();
        let ran = lake.run(&[&download[..], &["-o", &place]].concat()).await;
        assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
        assert!(ran.stderr.starts_with(&format!("{place}: {} rows, ", shown["rows"])), "{ran:?}");
        assert!(std::fs::read_to_string(&place).unwrap() == direct);
        lake.run(&["exports", "delete", "--tenant", "5618", &id]).await.said();
        for gone in [
            &["exports", "show", "--tenant", "5618", &*id][..],
            &download,
            &["exports", "delete", "--tenant", "5618", &id],
        ] {
            let told = lake.run(gone).await.failed();
            assert!(told.contains("no such export") && told.contains("exports list"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped_and_is_checked() {
    for lake in Lake::both().await {
        let id = asked(&lake, &["--wait", "--format", "ndjson"]).await;
        let shown = show(&lake, &id).await;
        assert_eq!(shown["state"], "ready");
        let download = ["exports", "download", "--tenant", "5618", &*id];
        let whole = lake.run(&download).await.said();
        let place = lake.place("evidence.ndjson");
        let part = format!("{place}.{}.part", &shown["sha256"].as_str().unwrap()[..12]);
        let half = whole.len() / 2;
        std::fs::write(&part, &whole[..half]).unwrap();
        let into_file = [&download[..], &["-o", &place]].concat();
        assert_eq!(lake.run(&into_file).await.code, Some(0));
        assert!(std::fs::read_to_string(&place).unwrap() == whole);
        assert_eq!(ranges(&lake).await, [Value::Null, format!("bytes={half}-").into()]);

        std::fs::remove_file(&place).unwrap();
        std::fs::write(&part, vec![b'x'; half]).unwrap();
        let told = lake.run(&into_file).await.failed();
        assert!(told.contains("begins anew") && !std::fs::exists(&place).unwrap(), "{told}");
        // Longer than the file can be: thrown away at once.
        std::fs::write(&part, vec![b'x'; whole.len() + 1]).unwrap();
        assert_eq!(lake.run(&into_file).await.code, Some(0));
        assert!(std::fs::read_to_string(&place).unwrap() == whole && !std::fs::exists(&part).unwrap());
    }
}
