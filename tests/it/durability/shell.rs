//! A server inside a shell that may change the disk below it: in a user and mount namespace of its own, which
//! takes no privileges where the system allows such namespaces.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::process::{ProcessDir, binary};
use crate::support::wait::PATIENCE;
use crate::support::{Api, api::Target};

/// A server on a small disk, and the shell that it was started from.
pub(super) struct ShellServer {
    child: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    api: Api,
}

impl ShellServer {
    /// Puts the directory's data on a disk of so many MiB, named `disk`, and starts a server there. None where the
    /// system does not allow it.
    pub(super) async fn start(dir: &ProcessDir, mib: u32, token: &str) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh"]).current_dir(dir.root());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(dir.log_file()).kill_on_drop(true);
        command.env("RUST_LOG", "debug").env("BINARY", binary());
        let Ok(mut child) = command.spawn() else {
            println!("skipped: there is no `unshare` here");
            return None;
        };
        let commands = child.stdin.take()?;
        let lines = BufReader::new(child.stdout.take()?).lines();
        let mut shell = Self { child, commands, lines, api: Api::new(Target::Unix("nowhere".into())) };
        let mount = format!("mkdir disk && mount -t tmpfs -o size={mib}m,mode=0700 tmpfs disk && cp -a data disk/");
        if !shell.run(&mount).await {
            println!("skipped: this system allows no mounts in a namespace of one's own");
            return None;
        }
        shell.say("\"$BINARY\" serve --listen 127.0.0.1:0 --data-dir disk/data --config settings.toml &").await;
        let line = shell.line().await;
        let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));
        shell.api = Api::new(Target::Tcp(address.parse().unwrap())).bearer(token);
        Some(shell)
    }

    pub(super) fn api(&self) -> &Api {
        &self.api
    }

    async fn say(&mut self, command: &str) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
        line.unwrap().unwrap_or_default()
    }

    /// Runs a command and tells whether it succeeded.
    pub(super) async fn run(&mut self, command: &str) -> bool {
        // Without a namespace there is no shell to hear it.
        let sent = self.commands.write_all(format!("if {command}; then echo yes; else echo no; fi\n").as_bytes()).await;
        sent.is_ok() && self.line().await == "yes"
    }

    /// Stops the server, which must end well.
    pub(super) async fn end(mut self) {
        assert!(self.run("kill $! && wait $!").await, "the server did not end well");
        drop(self.commands);
        assert!(self.child.wait().await.unwrap().success());
    }
}
