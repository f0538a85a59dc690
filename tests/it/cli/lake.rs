//! Commands over one data directory.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::Api;
use crate::support::api::Target;
use crate::support::process::{ProcessDir, TestProcess};
use crate::support::wait::PATIENCE;

/// A data directory with the empty tenant 5618, and perhaps a server over it.
#[derive(Debug)]
pub(super) struct Lake {
    pub(super) dir: ProcessDir,
    server: Option<TestProcess>,
    files: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// The executable, free of the settings of whoever runs the tests.
pub(super) fn anomalake(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anomalake"));
    command
        .args(arguments)
        .env_remove("ANOMALAKE_DATA_DIR")
        .env_remove("ANOMALAKE_CONFIG")
        .env_remove("RUST_LOG")
        .kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end, within the bounds of patience.
pub(super) async fn run(mut command: Command, stdin: impl AsRef<[u8]>) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let feed = async {
        // A command that is refused early does not read to the end.
        drop(pipe.write_all(stdin.as_ref()).await);
        drop(pipe);
    };
    let ended = async { tokio::join!(feed, child.wait_with_output()).1 };
    let Output { status, stdout, stderr } = tokio::time::timeout(PATIENCE, ended).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
    Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

impl Ran {
    /// What it printed; it succeeded and complained of nothing.
    #[track_caller]
    pub(super) fn said(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// What it complained of; it failed with this exit code and printed nothing else.
    #[track_caller]
    pub(super) fn refused(self, code: i32) -> String {
        assert_eq!((self.code, &*self.stdout), (Some(code), ""), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        self.stderr
    }

    /// As [`Ran::refused`] with exit code 1: with a hint.
    #[track_caller]
    pub(super) fn failed(self) -> String {
        let told = self.refused(1);
        assert!(told.contains("\nhint: "), "{told}");
        told
    }
}

impl Lake {
    /// Without a server.
    pub(super) async fn alone() -> Self {
        let lake = Self { dir: ProcessDir::new(), server: None, files: tempfile::tempdir().unwrap() };
        lake.run(&["tenant", "create", "--id", "5618", "--name", "Example"]).await.said();
        lake
    }

    /// Beside a server.
    pub(super) async fn served() -> Self {
        let lake = Self::alone().await;
        let server = Some(lake.dir.serve().await);
        Self { server, ..lake }
    }

    pub(super) async fn both() -> [Self; 2] {
        [Self::alone().await, Self::served().await]
    }

    /// The command over this data directory, which comes from the environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = anomalake(arguments);
        command.env("ANOMALAKE_DATA_DIR", self.dir.data());
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command(arguments), "").await
    }

    pub(super) async fn pipe(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
        run(self.command(arguments), stdin).await
    }

    pub(super) fn is_served(&self) -> bool {
        self.server.is_some()
    }

    /// The server, which must be there.
    pub(super) fn server(&self) -> &TestProcess {
        self.server.as_ref().expect("a server")
    }

    /// What HTTP callers see, over the server that runs or one for this purpose.
    pub(super) async fn http<T>(&self, look: impl AsyncFnOnce(Api) -> T) -> T {
        let at = |server: &TestProcess| Api::new(Target::Tcp(server.address));
        if let Some(server) = &self.server {
            return look(at(server)).await;
        }
        let server = self.dir.serve().await;
        let seen = look(at(&server)).await;
        server.terminate().await;
        assert!(server.ended().await.success());
        seen
    }

    /// A place for files of the test.
    pub(super) fn place(&self, name: &str) -> String {
        self.places().join(name).to_str().unwrap().to_owned()
    }

    pub(super) fn places(&self) -> PathBuf {
        self.files.path().to_owned()
    }

    /// Makes a file and returns its path.
    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let place = self.place(name);
        std::fs::write(&place, content).unwrap();
        place
    }

    /// A token that may do everything with activities and anomalies.
    pub(super) async fn token(&self) -> String {
        let scopes = "activities:write,anomalies:write";
        self.run(&["token", "create", "--tenant", "5618", "--scope", scopes]).await.said().trim_end().to_owned()
    }

    /// Creates an anomaly of everything there is and returns its id.
    pub(super) async fn everything(&self) -> String {
        let window = ["--from", "0", "--to", "2200-01-01T00:00:00Z", "--where", "true"];
        let made = self.run(&[&["anomaly", "create", "--tenant", "5618"][..], &window].concat()).await.said();
        made.strip_suffix('\n').expect("a line").to_owned()
    }

    /// `fileName` of every activity stored, in order of time.
    pub(super) async fn stored(&self) -> Vec<String> {
        let id = self.everything().await;
        let text = self.run(&["export", "--tenant", "5618", "--anomaly", &id]).await.said();
        let index = crate::support::records::header().iter().position(|c| *c == "fileName").unwrap();
        let rows = crate::support::records::csv(&text);
        rows.into_iter().skip(1).map(|mut row| row.swap_remove(index)).collect()
    }
}
