//! `anomalake sql`: one statement, several from stdin, a shell on a terminal of its own.

use super::lake::Lake;
use crate::support::NOW_MS;
use crate::support::records::{activity, data, ndjson};

const SQL: [&str; 3] = ["sql", "--tenant", "5618"];

async fn filled() -> [Lake; 2] {
    let lakes = Lake::both().await;
    for lake in &lakes {
        let names = ["a", "b", "c"];
        let records: Vec<_> = (0..).zip(names).map(|(n, name)| activity(NOW_MS + n, "Ann", name)).collect();
        let input = lake.file("a.ndjson", ndjson(&records));
        lake.run(&["ingest", "--tenant", "5618", &input]).await.said();
    }
    lakes
}

#[tokio::test]
async fn rows_come_in_every_format() {
    const STATEMENT: &str = "select fileName as name, \"timeStamp\" - 1795305600000 as ms from activities order by 1";
    for lake in filled().await {
        let run = async |more: &[&str]| lake.run(&[&SQL, &[STATEMENT][..], more].concat()).await;
        assert_eq!(run(&[]).await.said(), "name,ms\r\na,0\r\nb,1\r\nc,2\r\n");
        assert_eq!(run(&["--format", "ndjson"]).await.said().lines().next(), Some("{\"name\":\"a\",\"ms\":0}"));
        let json: serde_json::Value = serde_json::from_str(&run(&["--format", "json"]).await.said()).unwrap();
        assert_eq!(json[2]["name"], "c");
        let grid = [
            "+------+----+",
            "| name | ms |",
            "+------+----+",
            "| a    | 0  |",
            "| b    | 1  |",
            "| c    | 2  |",
            "+------+----+",
        ];
        assert_eq!(run(&["--format", "table"]).await.said().lines().collect::<Vec<_>>(), grid);
        for (format, magic) in [("parquet", &b"PAR1"[..]), ("arrow", &[0xff, 0xff, 0xff, 0xff])] {
            let place = lake.place(&format!("rows.{format}"));
            std::fs::write(&place, "older rows").unwrap();
            let ran = run(&["--format", format, "-o", &place]).await;
            assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
            assert!(ran.stderr.starts_with(&format!("{place}: 3 rows, ")), "{ran:?}");
            assert!(std::fs::read(&place).unwrap().starts_with(magic), "{format}");
        }
        assert_eq!(lake.places().read_dir().unwrap().count(), 3, "a part is left");
    }
}

#[tokio::test]
async fn statements_come_from_stdin_and_take_parameters() {
    for lake in filled().await {
        let piped = "select count(*) as n from activities; -- and\nselect ';' as mark;";
        assert_eq!(lake.pipe(&SQL, piped).await.said(), "n\r\n3\r\nmark\r\n;\r\n");
        let by_place =
            ["select fileName from activities where fileName > $1 and 5 = $2", "--param", "1=b", "--param", "2=5"];
        assert_eq!(lake.run(&[&SQL, &by_place[..]].concat()).await.said(), "fileName\r\nc\r\n");
        let by_name = ["select fileName from activities where userKey = $who order by 1 limit 1", "--param", "who=ann"];
        assert_eq!(lake.run(&[&SQL, &by_name[..]].concat()).await.said(), "fileName\r\na\r\n");
        lake.pipe(&SQL, "").await.refused(2);
    }
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_place_and_touches_no_file() {
    for lake in filled().await {
        let place = lake.file("rows.csv", "older rows");
        for (statement, wanted) in [
            ("select nothing from activities", "nothing"),
            ("selec 1", "line 1"),
            ("select * from tenants", "tenants"),
            ("drop table activities", "only queries"),
        ] {
            let told = lake.run(&[&SQL, &[statement, "-o", &place][..]].concat()).await.refused(1);
            assert!(told.contains(wanted), "{told}");
        }
        let ran = lake.pipe(&SQL, "select 1 as one; select nothing; select 2").await;
        assert_eq!((ran.code, &*ran.stdout), (Some(1), "one\r\n1\r\n"), "{ran:?}");
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "older rows");
        lake.run(&["sql", "--tenant", "7", "select 1"]).await.failed();
    }
}

#[tokio::test]
async fn a_table_shows_data_that_would_steer_a_terminal_as_text() {
    let lake = Lake::alone().await;
    let input = lake.file("a.ndjson", data("activities-quoting.ndjson"));
    lake.run(&["ingest", "--tenant", "5618", &input]).await.said();
    let said = lake.run(&[&SQL, &["select * from activities", "--format", "table"][..]].concat()).await.said();
    assert!(said.chars().all(|c| c == '\n' || !c.is_control()));
    assert_eq!(said.lines().count(), 400 + 4);
}
