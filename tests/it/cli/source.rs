//! `anomalake source`, and `ingest --source FILE.sql`.

use serde_json::Value;

use super::lake::{Lake, anomalake, run};

const OWN: &str = "\
--: source badge-doors
--: about Badge readers of the office
--: default serviceName 'Doors'
--: text when, who, door, result

SELECT
    epoch_ms(when) AS timeStamp,
    who AS \"user\",
    result AS actionName,
    door AS targetId
FROM record
";

#[tokio::test]
async fn sources_are_listed_and_shown() {
    let listed = run(anomalake(&["source", "list"]), "").await.said();
    assert_eq!(listed.lines().count(), 11);
    assert!(listed.contains("\nokta              Okta: System Log\n"), "{listed}");
    let json = run(anomalake(&["source", "list", "--format", "json"]), "").await.said();
    assert!(serde_json::from_str::<Value>(&json).unwrap()[0]["columns"][0].is_string());
    let shown = run(anomalake(&["source", "show", "okta"]), "").await.said();
    assert_eq!(shown, include_str!("../../../data/sources/okta.sql"));
    assert!(run(anomalake(&["source", "show", "oktopus"]), "").await.failed().contains("`oktopus`"));
}

#[tokio::test]
async fn a_sample_is_mapped_for_people() {
    let lake = Lake::alone().await;
    let own = lake.file("badge.sql", OWN);
    let sample =
        "{\"when\":\"2026-11-20T10:00:00Z\",\"who\":\"Ann\",\"door\":\"4\",\"extra\":{\"a\":1}}\n{\"who\":\"Bob\"}\n";
    let said = run(anomalake(&["source", "test", &own, &lake.file("log", sample)]), "").await.said();
    let (before_ids, rest) = said.split_once("  activityId: ").unwrap();
    let (id, rest) = rest.split_once('\n').unwrap();
    assert_eq!(id.len(), 36);
    insta::assert_snapshot!(format!("{before_ids}{rest}"), @"
    row 1
      timeStamp: 2026-11-20T10:00:00.000Z
      count: 1
      eventCount: 1
      serviceName: Doors
      targetId: 4
      user: Ann
      userCount: AQAAAQAAAAAfEA==

    1 row; filled:
      timeStamp                100.0 %
      user                     100.0 %
      actionName                 0.0 %
      targetId                 100.0 %
      serviceName              100.0 %

    1 record refused:
      line 2, field `timeStamp`: no time in epoch_ms(when)

    not read: extra (1)
    ");
    let told = run(anomalake(&["source", "test", "okta", &lake.place("absent")]), "").await.refused(1);
    assert!(told.contains("absent"), "{told}");
    let broken = lake.file("broken.sql", OWN.replace("who AS", "whom AS"));
    let told = run(anomalake(&["source", "test", &broken, "x"]), "").await.refused(1);
    assert!(told.contains("broken.sql: line 8, column 5: "), "{told}");
}

/// What stands in the next fence of a language.
fn fenced<'t>(text: &mut &'t str, language: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a fence");
    let (inside, rest) = rest.split_once("```").expect("its end");
    *text = rest;
    inside
}

#[tokio::test]
async fn the_example_of_the_readme_works() {
    let lake = Lake::alone().await;
    let mut readme = include_str!("../../../README.md").split_once("\n## Sources\n").unwrap().1;
    let source = fenced(&mut readme, "sql");
    assert_eq!(source.trim_end().lines().count(), 15);
    let (source, sample) = (lake.file("doors.sql", source), lake.file("swipes.json", fenced(&mut readme, "json")));
    lake.run(&["ingest", "--tenant", "5618", "--source", &source, &sample]).await.said();
    let id = lake.everything().await;
    let export = ["export", "--tenant", "5618", "--anomaly", &id, "--format", "ndjson"];
    let row: Value = serde_json::from_str(&lake.run(&export).await.said()).unwrap();
    for (column, expected) in [
        ("timeStamp", Value::from(1_795_165_152_000_i64)),
        ("user", Value::from("ann@example.com")),
        ("actionName", Value::from("OPENED")),
        ("targetId", Value::from("4.12")),
        ("sourceIP", Value::from("10.0.4.12")),
        ("serviceName", Value::from("Doors")),
        ("eventCount", Value::from(1)),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }
}

#[tokio::test]
async fn own_files_are_read_by_the_command_line() {
    for lake in Lake::both().await {
        let own = lake.file("badge.sql", OWN);
        let log = lake.file("doors.csv", "when,who,door,result\n2026-11-20 10:00:00,Ann,4,opened\n,Bob,4,opened\n");
        let load = ["ingest", "--tenant", "5618", "--source", &own, "--format", "csv", "--on-error", "skip", &log];
        let said = lake.run(&load).await.said();
        assert!(said.contains("1 row, 1 day") && said.contains("line 3, field timeStamp"), "{said}");
        assert!(lake.run(&load).await.said().contains("already loaded"));
        let id = lake.everything().await;
        let export = ["export", "--tenant", "5618", "--anomaly", &id, "--format", "ndjson"];
        let row: Value = serde_json::from_str(&lake.run(&export).await.said()).unwrap();
        let cells = ["user", "actionName", "targetId", "serviceName"].map(|name| row[name].as_str().unwrap());
        assert_eq!(cells, ["Ann", "opened", "4", "Doors"]);
        // A changed mapping makes other rows of the same content.
        lake.file("badge.sql", OWN.replace("door AS targetId", "door AS fileName"));
        assert!(lake.run(&load).await.said().contains("1 row, 1 day"));

        let broken = lake.file("broken.sql", OWN.replace("epoch_ms", "epoch"));
        let told = lake.run(&["ingest", "--tenant", "5618", "--source", &broken, &log]).await.failed();
        assert!(told.contains("broken.sql: line 7, column 5: "), "{told}");
    }
}

#[tokio::test]
async fn own_files_are_of_the_command_line_alone() {
    let lake = Lake::served().await;
    let api = lake.server().api(&lake.token().await);
    let kept = lake.dir.control().post_json("/control/sources", &serde_json::json!({ "text": OWN })).await.expect(200);
    let name = kept.json()["source"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/activities?source={name}");
    let refused = api.send("POST", &path, "{}").await.expect(400);
    assert_eq!(refused.json()["code"], "unknown_source");
    api.send("POST", "/control/sources", "{}").await.expect(404);
}
