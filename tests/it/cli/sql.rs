//! `anomalake sql`: one statement, several from stdin, a shell on a terminal of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::lake::Lake;
use crate::support::NOW_MS;
use crate::support::records::{activity, data, ndjson};
use crate::support::wait::{PATIENCE, until};

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

/// A shell on a terminal of its own, which `script` makes; none where there is no such program.
struct Shell {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Shell {
    fn start(lake: &Lake, state: &Path) -> Option<Self> {
        if std::process::Command::new("script").arg("--version").output().is_err() {
            println!("skipped: there is no program `script` to make a terminal with");
            return None;
        }
        let mut command = Command::new("script");
        // `exec`: a shell that stayed in between would get Ctrl-C as well, and some end with 130 for it.
        let shell = format!("exec '{}' sql --tenant 5618", env!("CARGO_BIN_EXE_anomalake"));
        command.args(["-qefc", &shell, "/dev/null"]).env("ANOMALAKE_DATA_DIR", lake.dir.data());
        command.env("XDG_STATE_HOME", state).env("TERM", "xterm").env_remove("RUST_LOG").kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { child, keys, screen, seen: String::new() })
    }

    /// Waits until the line editor reads: what is typed before is lost.
    async fn prompts(&mut self) {
        // It asks for pasted text to be marked.
        self.shows("\u{1b}[?2004h").await;
    }

    async fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }

    /// Reads until this text stands on the screen, and forgets what came before its end.
    async fn shows(&mut self, text: &str) {
        let reading = async {
            let mut buffer = [0; 4096];
            loop {
                if let Some(at) = self.seen.find(text) {
                    self.seen.drain(..at + text.len());
                    return;
                }
                let n = self.screen.read(&mut buffer).await.unwrap();
                assert!(n > 0, "it ended before it showed {text:?}: {}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        };
        let patience = tokio::time::timeout(PATIENCE, reading).await;
        assert!(patience.is_ok(), "it does not show {text:?}: {}", self.seen);
    }
}

#[tokio::test]
async fn a_shell_keeps_going_when_a_query_is_cancelled() {
    const LONG: &str =
        "select count(a.fileName || b.fileName || c.fileName) from activities a, activities b, activities c;";
    for lake in Lake::both().await {
        let records: Vec<_> = (0..4_000).map(|n| activity(NOW_MS + n, "ann", &n.to_string())).collect();
        let input = lake.file("a.ndjson", ndjson(&records));
        lake.run(&["ingest", "--tenant", "5618", &input]).await.said();
        let state = tempfile::tempdir().unwrap();
        let Some(mut shell) = Shell::start(&lake, state.path()) else { return };
        shell.shows("\\help for help").await;
        for (keys, screen) in [
            ("select count(*) as rows\rfrom activities;\r", "| 4000 |"),
            ("\\d anomalies\r", "number of the anomaly"),
            ("select nothing;\r", "error: line 1, column 8"),
            ("\\format json\r", "\n"),
            ("select 1 as one;\r", "[{\"one\":1}]"),
            (LONG, "activities c;"),
        ] {
            shell.prompts().await;
            shell.types(keys).await;
            shell.shows(screen).await;
        }
        shell.types("\r").await;
        if lake.is_served() {
            let anyone = lake.server().api("");
            let running = async || {
                let metrics = anyone.get("/metrics").await;
                metrics.text().lines().any(|line| line == "anomalake_sql_statements 1")
            };
            until("the query to run", running).await;
            shell.types("\u{3}").await;
            shell.shows("cancelled").await;
            until("the query to be cancelled", async || !running().await).await;
        } else {
            // The sign of life of a query that takes long.
            shell.shows("1s").await;
            shell.types("\u{3}").await;
            shell.shows("cancelled").await;
        }
        for (keys, screen) in [("select 2 as two;\r", "[{\"two\":2}]"), ("\u{3}", "Ctrl-C again"), ("\u{3}", "")] {
            shell.prompts().await;
            shell.types(keys).await;
            shell.shows(screen).await;
        }
        let ended = tokio::time::timeout(PATIENCE, shell.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), Some(0), "{}", shell.seen);
        let history = state.path().join("anomalake/sql_history");
        assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(history).unwrap().contains("select count(*) as rows\\nfrom activities;"));
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
