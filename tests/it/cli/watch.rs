//! `anomalake ingest --watch`.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::lake::Lake;
use crate::support::records::{activity, ndjson};
use crate::support::wait::{PATIENCE, until};
use crate::support::{DAY_MS, NOW_MS};

/// A running watch.
struct Watch {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    async fn start(lake: &Lake, more: &[&str]) -> Self {
        let inbox = lake.place("inbox");
        std::fs::create_dir_all(&inbox).unwrap();
        let watch = ["ingest", "--tenant", "5618", "--poll", "5ms", "--watch", &inbox];
        let mut child = lake.command(&[&watch[..], more].concat()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut watch = Self { child, said };
        assert!(watch.line().await.starts_with("watching "));
        watch
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.said.next_line()).await.expect("a line in time");
        line.unwrap().expect("it goes on")
    }

    /// Ctrl-C; what it complained of.
    async fn ends(mut self, last_line: &str) -> String {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        assert_eq!(self.line().await, last_line);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait_with_output()).await.expect("it ends").unwrap();
        assert_eq!(ended.status.code(), Some(0));
        String::from_utf8(ended.stderr).unwrap()
    }
}

fn records(name: &str) -> String {
    ndjson(&[activity(NOW_MS, "ann", name), activity(NOW_MS + DAY_MS, "bob", name)])
}

fn drop_in(lake: &Lake, name: &str, content: impl AsRef<[u8]>) {
    lake.file(&format!("inbox/{name}"), content);
}

fn names(folder: PathBuf) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn until_there(path: &Path) {
    until("a file to be moved", async || path.exists()).await;
}

#[tokio::test]
async fn files_that_appear_are_loaded_once_and_moved() {
    for lake in Lake::both().await {
        let inbox = lake.places().join("inbox");
        let mut watch = Watch::start(&lake, &[]).await;
        drop_in(&lake, "a.ndjson", records("a"));
        assert!(watch.line().await.starts_with("a.ndjson: 2 rows, 2 days"));
        until_there(&inbox.join("done/a.ndjson")).await;

        // Unfinished files wait; a finished one gets its name by a rename.
        drop_in(&lake, "b.ndjson.part", records("b"));
        drop_in(&lake, ".c.ndjson", records("c"));
        std::fs::rename(inbox.join("b.ndjson.part"), inbox.join("b.ndjson")).unwrap();
        assert!(watch.line().await.starts_with("b.ndjson: 2 rows"));
        until_there(&inbox.join("done/b.ndjson")).await;

        // As if the process had died between storing and moving; and other content of a known name.
        std::fs::rename(inbox.join("done/a.ndjson"), inbox.join("a.ndjson")).unwrap();
        assert_eq!(watch.line().await, "a.ndjson: already loaded (same name and content); 0 rows added");
        until_there(&inbox.join("done/a.ndjson")).await;
        drop_in(&lake, "a.ndjson", records("other"));
        assert!(watch.line().await.starts_with("a.ndjson: 2 rows"));
        until_there(&inbox.join("done/a.ndjson.2")).await;

        assert_eq!(watch.ends("stopped: 4 files loaded, 0 failed").await, "");
        assert_eq!(names(inbox.clone()), [".c.ndjson"]);
        assert_eq!(names(inbox.join("done")), ["a.ndjson", "a.ndjson.2", "b.ndjson"]);
        let mut stored = lake.stored().await;
        stored.sort_unstable();
        assert_eq!(stored, ["a", "a", "b", "b", "other", "other"]);
    }
}

#[tokio::test]
async fn bad_files_lie_apart_with_the_error_beside_them() {
    for lake in Lake::both().await {
        let inbox = lake.places().join("inbox");
        let mut watch = Watch::start(&lake, &[]).await;
        drop_in(&lake, "bad.ndjson", format!("{}{{\"user\":\"x\"}}\n", records("bad")));
        until_there(&inbox.join("failed/bad.ndjson")).await;
        let error = std::fs::read_to_string(inbox.join("failed/bad.ndjson.error.txt")).unwrap();
        assert!(error.starts_with("error: bad.ndjson: 1 bad record; nothing of the file is stored\n"), "{error}");
        assert!(error.contains("\n  line 3, field timeStamp: "), "{error}");
        drop_in(&lake, "empty", "");
        until_there(&inbox.join("failed/empty")).await;
        drop_in(&lake, "good", records("good"));
        assert!(watch.line().await.starts_with("good: 2 rows"));
        until_there(&inbox.join("done/good")).await;
        let told = watch.ends("stopped: 1 file loaded, 2 failed").await;
        assert!(told.contains("error: bad.ndjson: ") && told.contains("error: empty: "), "{told}");
        assert_eq!(lake.stored().await, ["good", "good"]);
        assert_eq!(names(inbox.join("failed")), ["bad.ndjson", "bad.ndjson.error.txt", "empty", "empty.error.txt"]);
    }
}

#[tokio::test]
async fn a_folder_that_is_none_and_a_source_that_is_none_end_it() {
    let lake = Lake::alone().await;
    let watch = ["ingest", "--tenant", "5618", "--watch"];
    lake.run(&[&watch[..], &[&lake.place("none")]].concat()).await.refused(1);
    lake.run(&[&watch[..], &[&lake.place("none"), "file"]].concat()).await.refused(2);
    lake.run(&["ingest", "--tenant", "5618"]).await.refused(2);
    std::fs::create_dir(lake.place("inbox")).unwrap();
    drop_in(&lake, "a", "{}");
    let ran = lake.run(&[&watch[..], &[&lake.place("inbox"), "--poll", "5ms", "--source", "oktopus"]].concat()).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("oktopus"), "{ran:?}");
    assert_eq!(names(lake.places().join("inbox")), ["a"], "the file is not at fault");
}
