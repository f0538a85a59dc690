//! `anomalake demo`.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::lake::{anomalake, run};
use crate::support::Api;
use crate::support::api::{QUERY, Target};
use crate::support::wait::{PATIENCE, until};

/// A demo in its own folder for temporary files.
struct Demo {
    child: Child,
    temporary: TempDir,
}

const DEMO: [&str; 3] = ["demo", "--listen", "127.0.0.1:0"];

fn start() -> Demo {
    start_with(tempfile::tempdir().unwrap(), &DEMO)
}

fn start_with(temporary: TempDir, arguments: &[&str]) -> Demo {
    let mut command = anomalake(arguments);
    // A demo shall keep away from a real lake, even when it is told where one is.
    command.env("TMPDIR", temporary.path()).env("ANOMALAKE_DATA_DIR", temporary.path().join("real"));
    Demo { child: command.spawn().unwrap(), temporary }
}

impl Demo {
    /// What it prints until it listens, and where that is.
    async fn guide(&mut self) -> (String, SocketAddr) {
        let mut lines = BufReader::new(self.child.stdout.take().unwrap()).lines();
        let mut guide = String::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap();
            let line = line.expect("it ends before it listens");
            if let Some(address) = line.strip_prefix("listening on http://") {
                return (guide, address.parse().unwrap());
            }
            guide.push_str(&line);
            guide.push('\n');
        }
    }

    /// Sends a signal; it ends well and leaves so many folders.
    async fn ends_on(mut self, signal: &str, left: usize) -> TempDir {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap();
        assert_eq!(ended.code(), Some(0), "{signal}");
        assert_eq!(entries(self.temporary.path()), left, "{signal} leaves a folder");
        self.temporary
    }
}

fn entries(folder: &Path) -> usize {
    folder.read_dir().unwrap().count()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {rest}")).0
}

/// Carries a `curl` line of the guide out.
async fn curl(line: &str, address: SocketAddr) -> crate::support::Answer {
    let mut api = Api::new(Target::Tcp(address));
    if let Some((_, credentials)) = line.split_once("-u '") {
        let (email, password) = credentials.split_once('\'').unwrap().0.split_once(':').unwrap();
        api = api.basic(email, password);
    }
    for header in line.split("-H '").skip(1) {
        let (name, value) = header.split_once('\'').unwrap().0.split_once(": ").unwrap();
        api = api.with(name, value);
    }
    let path = between(line, &format!("http://{address}"), " ");
    match line.split_once("-d '").or_else(|| line.split_once("--data-binary '")) {
        // What curl sends when it is told nothing else.
        Some((_, body)) => {
            let api = api.with("content-type", "application/x-www-form-urlencoded");
            api.send("POST", path, body.split_once('\'').unwrap().0.to_owned()).await
        }
        None => api.get(path).await,
    }
}

#[tokio::test]
async fn what_it_prints_can_be_pasted() {
    let mut demo = start();
    let (guide, address) = demo.guide().await;
    let steps: Vec<(&str, String)> = guide
        .split("\n# ")
        .skip(1)
        .map(|step| step.split_once('\n').unwrap())
        .map(|(what, command)| (what, format!("{} ", command.lines().next().unwrap())))
        .collect();
    assert_eq!(steps.len(), 6, "{guide}");
    let expected = |what: &str| between(what, "Expect ", " ").parse::<usize>().unwrap();

    let answer = curl(&steps[0].1, address).await.expect(200);
    assert!(steps[0].1.contains(QUERY) && steps[0].1.contains("-u '"), "{}", steps[0].1);
    assert_eq!(answer.text().lines().count(), expected(steps[0].0));
    let answer = curl(&steps[1].1, address).await.expect(200);
    assert_eq!(answer.rows().len(), expected(steps[1].0));
    assert!(answer.column("country").ends_with(&["SG".to_owned()]));
    let answer = curl(&steps[2].1, address).await.expect(200).json();
    assert_eq!(answer["anomalies"].as_array().unwrap().len(), 2);
    let answer = curl(&steps[3].1, address).await.expect(200).json();
    assert_eq!(answer["accepted"], 1);
    let answer = curl(&steps[4].1, address).await.expect(200);
    assert_eq!(answer.text().lines().count(), expected(steps[4].0));
    curl(&steps[5].1, address).await.expect(201);

    let command = between(&guide, "Commands work beside it: anomalake ", "\n");
    let arguments: Vec<&str> = command.split(' ').chain(["--format", "json"]).collect();
    let listed: Value = serde_json::from_str(&run(anomalake(&arguments), "").await.said()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert!(!demo.temporary.path().join("real").exists(), "the demo made a real lake");
    demo.ends_on("-INT", 0).await;
}

#[tokio::test]
async fn it_leaves_nothing_when_it_is_stopped_before_it_listens() {
    let demo = start();
    until("its folder", async || entries(demo.temporary.path()) > 0).await;
    demo.ends_on("-TERM", 0).await;
}

#[tokio::test]
async fn a_folder_of_ones_own_stays_and_is_used_once() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("mine");
    let data = folder.to_str().unwrap();
    let arguments = [&DEMO[..], &["--data-dir", data]].concat();
    let mut demo = start_with(temporary, &arguments);
    demo.guide().await;
    let _temporary = demo.ends_on("-TERM", 1).await;
    run(anomalake(&["tenant", "show", "5618", "--data-dir", data]), "").await.said();
    let told = run(anomalake(&arguments), "").await.failed();
    assert!(told.contains("needs an empty folder"), "{told}");
}
