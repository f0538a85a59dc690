//! Lakes of generated data, made once and kept, each served by the real executable.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anomalake::generate::{PlantedAnomaly, TRUTH_FILE, TruthFile};
use serde_json::{Value, json};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_anomalake");

/// The tenant of every lake.
pub const TENANT: &str = "5618";

/// What a lake's folder holds once it is whole: the numbers of its anomalies, so that it has as many in every run.
const WHOLE: &str = "whole";

/// The size that an export is measured with, unless the lake is too small for it.
pub const LARGE: u64 = 100_000;

/// The size of a small anomaly.
pub const SMALL: u64 = 30;

/// Runs the executable to its end and gives what it printed.
fn run(arguments: &[&str]) -> String {
    let output = Command::new(EXECUTABLE).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// A number for names of folders and for people: `10M`, `250k`.
pub fn short(rows: u64) -> String {
    match rows {
        n if n >= 1_000_000 && n.is_multiple_of(1_000_000) => format!("{}M", n / 1_000_000),
        n if n >= 1_000 && n.is_multiple_of(1_000) => format!("{}k", n / 1_000),
        n => n.to_string(),
    }
}

/// Generated files in their order, made once.
pub fn files(work: &Path, rows: u64, days: u32, format: &str) -> (Vec<PathBuf>, TruthFile) {
    let folder = work.join(format!("data-{}-{days}d-{format}", short(rows)));
    if !folder.join(TRUTH_FILE).exists() {
        eprintln!("generating {} rows as {format} …", short(rows));
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        let users = (rows / 5_000).clamp(100, 5_000).to_string();
        let (rows, days, folder) = (rows.to_string(), days.to_string(), folder.to_str().unwrap());
        run(&[
            "generate", "--users", &users, "--days", &days, "--rows", &rows, "--format", format, "--seed", "1", "-o",
            folder,
        ]);
    }
    let truth = serde_json::from_slice(&std::fs::read(folder.join(TRUTH_FILE)).unwrap()).unwrap();
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.file_name().unwrap() != TRUTH_FILE).collect();
    files.sort();
    (files, truth)
}

/// A server of the executable over a folder; it is ended when dropped.
pub struct Server {
    child: Child,
    pub folder: PathBuf,
    pub address: SocketAddr,
    pub token: String,
}

impl Server {
    /// Makes a tenant where there is none, and serves.
    pub fn start(folder: &Path) -> Self {
        let path = folder.to_str().unwrap();
        if !folder.join("registry.db").exists() {
            run(&["tenant", "create", "--id", TENANT, "--name", "Versus", "--data-dir", path]);
            run(&[
                "tenant",
                "set",
                TENANT,
                "--anomalous-activity",
                "on",
                "--availability-delay",
                "0s",
                "--activity-retention",
                "3650d",
                "--data-dir",
                path,
            ]);
        }
        let mut child = Command::new(EXECUTABLE)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", path])
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        let scopes = "activities:write,anomalies:write,sql:read";
        let token =
            run(&["token", "create", "--tenant", TENANT, "--scope", scopes, "--expires", "1d", "--data-dir", path]);
        Self { child, folder: folder.to_owned(), address, token: token.trim().to_owned() }
    }

    /// Greatest memory since it was last asked, in bytes; none where the system does not tell.
    pub fn peak_memory(&self) -> Option<u64> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        std::fs::write(process.join("clear_refs"), "5").ok()?;
        Some(kib * 1_024)
    }

    /// Live data files of the tenant's table, by the table's own log.
    pub async fn data_files(&self) -> Vec<String> {
        let tenants = self.folder.join("lake").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let tenant = tenants.into_iter().find(|path| path.join("activities").exists()).unwrap();
        let url = url::Url::from_directory_path(tenant.join("activities")).unwrap();
        let table = deltalake::open_table(url).await.unwrap();
        let uris = table.get_file_uris().unwrap();
        uris.map(|uri| uri.strip_prefix("file://").unwrap_or(&uri).to_owned()).collect()
    }

    /// The newest evidence file of an anomaly.
    pub fn evidence_file(&self, anomaly: i64) -> PathBuf {
        let mut folders = vec![self.folder.join("lake")];
        let (mut found, begin) = (Vec::new(), format!("{anomaly}-"));
        while let Some(folder) = folders.pop() {
            for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
                let name = path.file_name().unwrap().to_str().unwrap();
                if path.is_dir() && !name.starts_with('_') {
                    folders.push(path);
                } else if name.starts_with(&begin) && path.components().any(|part| part.as_os_str() == "evidence") {
                    found.push(path);
                }
            }
        }
        found.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
        found.pop().unwrap_or_else(|| panic!("anomaly {anomaly} has no evidence file"))
    }

    /// Makes an anomaly of a planted one; its number.
    pub fn anomaly(&self, planted: &PlantedAnomaly) -> i64 {
        let path = self.folder.to_str().unwrap();
        let mut arguments = vec![
            "anomaly",
            "create",
            "--tenant",
            TENANT,
            "--user",
            &planted.user,
            "--from",
            &planted.from,
            "--to",
            &planted.to,
            "--data-dir",
            path,
        ];
        if let Some(condition) = &planted.condition {
            arguments.extend(["--where", condition]);
        }
        run(&arguments).trim().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The executable finishes on SIGTERM and gives its folder back.
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// A lake of so many rows with its server, and anomalies of what is planted in it.
pub struct Lake {
    pub server: Server,
    pub rows: u64,
    pub truth: TruthFile,
    /// Numbers of the anomalies with their rows, of all that is planted.
    pub anomalies: Vec<(i64, u64)>,
}

impl Lake {
    /// Opens a kept lake, or makes it: generated, ingested by command, each day sorted, with an anomaly of each that is
    /// planted.
    pub fn open(work: &Path, rows: u64) -> Self {
        let folder = work.join(format!("lake-{}", short(rows)));
        let (files, truth) = files(work, rows, 30, "parquet");
        let kept = || serde_json::from_slice::<Vec<i64>>(&std::fs::read(folder.join(WHOLE)).ok()?).ok();
        let numbers = kept().unwrap_or_else(|| {
            if folder.exists() {
                std::fs::remove_dir_all(&folder).unwrap();
            }
            let begun = Instant::now();
            eprintln!("ingesting {} rows …", short(rows));
            let path = folder.to_str().unwrap();
            let server = Server::start(&folder);
            let mut arguments = vec!["ingest", "--tenant", TENANT, "--again", "--data-dir", path];
            arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
            run(&arguments);
            run(&["lake", "compact", "--tenant", TENANT, "--data-dir", path]);
            let numbers: Vec<i64> = truth.anomalies.iter().map(|planted| server.anomaly(planted)).collect();
            drop(server);
            std::fs::write(folder.join(WHOLE), serde_json::to_vec(&numbers).unwrap()).unwrap();
            eprintln!("made in {:.0} s", begun.elapsed().as_secs_f64());
            numbers
        });
        let server = Server::start(&folder);
        let anomalies = numbers.into_iter().zip(truth.anomalies.iter().map(|planted| planted.rows)).collect();
        Self { server, rows, truth, anomalies }
    }

    /// The greatest planted anomaly of at most so many rows, with its rows.
    pub fn anomaly_of(&self, most: u64) -> (i64, u64) {
        let planted = self.anomalies.iter().zip(&self.truth.anomalies).filter(|(_, planted)| planted.kind == "planted");
        let fitting = planted.map(|(anomaly, _)| *anomaly).filter(|(_, rows)| *rows <= most);
        fitting.max_by_key(|(_, rows)| *rows).unwrap_or_else(|| panic!("{} rows hold no planted anomaly", self.rows))
    }

    /// The account of that anomaly.
    pub fn user_of(&self, most: u64) -> &PlantedAnomaly {
        let (number, _) = self.anomaly_of(most);
        let place = self.anomalies.iter().position(|(anomaly, _)| *anomaly == number).unwrap();
        &self.truth.anomalies[place]
    }

    /// Values of the parameters of the query suite.
    pub fn parameters(&self) -> Value {
        let ms = |text: &str| anomalake::domain::time_text::parse_time(text, 0).unwrap();
        let planted = self.user_of(SMALL);
        let mut by_address = self.truth.anomalies.iter().filter_map(|anomaly| anomaly.condition.as_deref());
        let address = by_address.find_map(|condition| condition.strip_prefix("sourceIP = "));
        json!({
            "user": planted.user,
            "from": ms(&planted.from),
            "to": ms(&planted.to),
            "since": ms(&self.truth.plan.end) - 3 * 86_400_000,
            // The first home of all, which many use, where no stranger's address is planted.
            "address": address.map_or("198.18.0.0", |address| address.trim_matches('\'')),
        })
    }
}
