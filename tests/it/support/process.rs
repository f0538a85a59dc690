//! The real binary over a data directory that outlives it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::api::{Api, Target};
use super::wait::PATIENCE;

/// From the start of the process to its line, at most.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// A data directory, a settings file and the log of all processes over it.
#[derive(Debug)]
pub(crate) struct ProcessDir {
    root: TempDir,
}

/// A running `anomalake serve`; killed when dropped.
#[derive(Debug)]
pub(crate) struct TestProcess {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl ProcessDir {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("settings.toml"), "commit-interval = \"0s\"\n").unwrap();
        Self { root }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// What every process so far wrote to stderr.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.path().join("log")).unwrap()
    }

    /// `anomalake serve` on a free port.
    pub(crate) fn command(&self) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(self.root.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_anomalake"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(self.data());
        command.arg("--config").arg(self.root.path().join("settings.toml"));
        command.env_remove("ANOMALAKE_DATA_DIR").env("RUST_LOG", "debug");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        command
    }

    /// Starts a server and waits for its line.
    pub(crate) async fn serve(&self) -> TestProcess {
        self.serve_with(&[], "http").await
    }

    /// The same with more arguments, under another scheme.
    pub(crate) async fn serve_with(&self, args: &[&OsStr], scheme: &str) -> TestProcess {
        let begun = Instant::now();
        let mut child = self.command().args(args).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended: {}", self.log()));
        assert!(begun.elapsed() < READY_WITHIN, "ready after {:?}", begun.elapsed());
        let address = line.strip_prefix(&format!("listening on {scheme}://")).unwrap_or_else(|| panic!("{line}"));
        TestProcess { address: address.parse().unwrap(), child }
    }

    /// The control socket of the process that owns the directory.
    pub(crate) fn control(&self) -> Api {
        Api::new(Target::Unix(self.data().join("control.sock")))
    }

    /// Creates tenant 5618 with the feature on and no delay, and returns a token that may do everything in it.
    pub(crate) async fn tenant(&self) -> String {
        let control = self.control();
        control.post_json("/control/tenants", &json!({ "id": 5618, "name": "Example" })).await.expect(201);
        let settings = json!({ "anomalousActivity": true, "availabilityDelayMs": 0 });
        control.send("PATCH", "/control/tenants/5618", settings.to_string()).await.expect(200);
        let token = json!({ "scopes": "activities:write,anomalies:write,sql:read" });
        let made = control.post_json("/control/tenants/5618/tokens", &token).await.expect(201).json();
        made["token"].as_str().unwrap().to_owned()
    }
}

impl TestProcess {
    /// A caller with a token.
    pub(crate) fn api(&self, token: &str) -> Api {
        Api::new(Target::Tcp(self.address)).bearer(token)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM.
    pub(crate) async fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap()
    }
}
