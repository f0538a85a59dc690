//! `anomalake user-data`: a person's data goes, everybody else's stays.

use serde_json::{Value, json};

use super::lake::Lake;
use crate::support::records::{activity, ndjson};
use crate::support::server::walk;
use crate::support::{DAY_MS, NOW_MS};

const ERASE: [&str; 5] = ["user-data", "erase", "--tenant", "5618", "--user"];

/// Evidence files and data files whose bytes hold a text somewhere in plain; names are stored so in footers.
fn files_naming(lake: &Lake, part: &str, text: &str) -> usize {
    let mut found = Vec::new();
    walk(&lake.dir.data().join("lake"), &mut found);
    found.retain(|path| path.is_file() && path.to_string_lossy().contains(part));
    let holds = |bytes: Vec<u8>| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    found.iter().filter(|path| holds(std::fs::read(path).unwrap())).count()
}

/// Files of saved exports.
fn exported(lake: &Lake) -> usize {
    let mut found = Vec::new();
    walk(&lake.dir.data().join("exports"), &mut found);
    found.into_iter().filter(|path| path.is_file()).count()
}

#[tokio::test]
async fn a_user_goes_with_everything() {
    for lake in Lake::both().await {
        let records = [
            activity(NOW_MS, "Ann@Example.com", "a"),
            activity(NOW_MS + 1, "bob", "b"),
            activity(NOW_MS - DAY_MS, " ann@example.com", "c"),
            activity(NOW_MS - 2 * DAY_MS, "carl", "d"),
        ];
        let file = lake.file("a.ndjson", ndjson(&records));
        lake.run(&["ingest", "--tenant", "5618", &file]).await.said();
        let settings = ["--anomalous-activity", "on", "--availability-delay", "0s"];
        lake.run(&[&["tenant", "set", "5618"][..], &settings].concat()).await.said();
        let (token, all) = (lake.token().await, lake.everything().await);
        let window = ["--from", "0", "--to", "2200-01-01T00:00:00Z"];
        let create = ["anomaly", "create", "--tenant", "5618"];
        let of_user = lake.run(&[&create[..], &["--user", "ann@example.com"], &window].concat()).await.said();
        let naming = ["--where", "user = 'ann@example.com'"];
        let naming = lake.run(&[&create[..], &naming, &window].concat()).await.said();
        let names = async |id: &str| {
            let id = id.trim_end().to_owned();
            lake.http(async |api| api.bearer(&token).query(id).await.expect(200).column("fileName")).await
        };
        assert_eq!(names(&all).await, ["d", "c", "a", "b"]);
        assert_eq!(names(&of_user).await, ["c", "a"]);
        assert_eq!(files_naming(&lake, "/evidence/", "ann@example.com"), 2);
        let statement = "SELECT \"fileName\" FROM activities WHERE \"user\" = 'Ann@Example.com'";
        assert!(lake.run(&["sql", "--tenant", "5618", statement]).await.said().contains('a'));
        let export = ["exports", "create", "--tenant", "5618", "--wait"];
        lake.run(&[&export[..], &["--sql", statement]].concat()).await.said();
        lake.run(&[&export[..], &["--anomaly", &all]].concat()).await.said();
        assert_eq!(exported(&lake), 2);

        let user = "ANN@example.com";
        let told = lake.run(&[&ERASE[..], &[user]].concat()).await.refused(2);
        assert!(told.contains("--dry-run") && told.contains("--yes"), "{told}");
        let counted = lake.run(&[&ERASE[..], &[user, "--dry-run", "--format", "json"]].concat()).await.said();
        let counted: Value = serde_json::from_str(&counted).unwrap();
        let wanted = json!({
            "dryRun": true, "activities": 2, "files": 2, "bytes": counted["bytes"], "days": 2, "evidenceFiles": 2,
            "registryRows": { "anomalies": 1, "exports": 2 }, "auditEntries": counted["auditEntries"], "mentionedIn": [naming.trim_end().parse::<i64>().unwrap()],
        });
        assert_eq!(counted, wanted);
        assert!(counted["auditEntries"].as_u64().unwrap() >= 2, "the statement, and the export of it: {counted}");
        assert_eq!(names(&all).await.len(), 4, "counting changed something");

        let erased = lake.run(&[&ERASE[..], &[user, "--yes", "--format", "json"]].concat()).await.said();
        let mut erased: Value = serde_json::from_str(&erased).unwrap();
        let name = erased["auditName"].take();
        assert!(name.as_str().unwrap().starts_with("erased user "), "{name}");
        assert!(erased["goneFromMs"].as_i64().unwrap() > 0, "{erased}");
        for field in ["activities", "files", "days", "evidenceFiles", "registryRows", "mentionedIn"] {
            assert_eq!(erased[field], wanted[field], "{field}");
        }

        assert_eq!(lake.stored().await, ["d", "b"]);
        assert_eq!(exported(&lake), 0);
        assert_eq!(lake.run(&["exports", "list", "--tenant", "5618"]).await.said().lines().count(), 1);
        assert_eq!(files_naming(&lake, "/evidence/", "ann@example.com"), 0);
        assert_eq!(names(&all).await, ["d", "b"]);
        assert!(names(&of_user).await.is_empty(), "the anomaly is still there");
        let trail = lake.run(&["audit", "--tenant", "5618"]).await.said();
        assert!(!trail.to_lowercase().contains("ann@"), "{trail}");
        assert!(trail.matches(name.as_str().unwrap()).count() >= 4, "{trail}");
        assert!(trail.contains("user-data.erase ") && trail.contains("user-data.erased"), "{trail}");
        lake.run(&["lake", "check", "--deep"]).await.said();

        let again = lake.run(&[&ERASE[..], &[user, "--yes"]].concat()).await.said();
        assert!(again.starts_with("erased ANN@example.com: 0 activities in 0 data files"), "{again}");
        assert!(again.contains(name.as_str().unwrap()), "another name in the trail: {again}");
        assert!(again.contains("not erased: the name is part of a text of anomaly 3\n"), "{again}");
    }
}

#[tokio::test]
async fn what_cannot_be_erased_is_refused() {
    let lake = Lake::alone().await;
    let told = lake.run(&[&ERASE[..], &["  ", "--yes"]].concat()).await.refused(1);
    assert!(told.contains("name is empty"), "{told}");
    let told = lake.run(&["user-data", "erase", "--tenant", "9", "--user", "a", "--yes"]).await.failed();
    assert!(told.contains("there is no tenant 9"), "{told}");
    lake.run(&[&ERASE[..], &["a", "--yes", "--dry-run"]].concat()).await.refused(2);
}
