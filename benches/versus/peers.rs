//! The Python process that asks the peers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/versus/peers.py");

/// Names the Python to use; `python3` by default.
pub const PYTHON: &str = "ANOMALAKE_BENCH_PYTHON";

/// Peers that answer; none at all without Python.
pub struct Peers {
    process: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
    /// Versions by name.
    pub versions: BTreeMap<String, String>,
}

impl Peers {
    /// Starts the process and says who is missing.
    pub fn start() -> Self {
        let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
        let spawned = Command::new(&python).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                eprintln!("skipped: all peers, since {python} cannot be started ({error}); name a Python in {PYTHON}");
                return Self { process: None, versions: BTreeMap::new() };
            }
        };
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let versions: BTreeMap<String, String> = serde_json::from_str(&line).unwrap_or_default();
        for name in ["duckdb", "clickhouse", "polars", "pyarrow"] {
            if !versions.contains_key(name) {
                let module = if name == "clickhouse" { "chdb" } else { name };
                eprintln!("skipped: {name}, since {python} has no module {module}; name another Python in {PYTHON}");
            }
        }
        Self { process: Some((child, input, output)), versions }
    }

    /// Whether a peer is there.
    pub fn has(&self, name: &str) -> bool {
        self.versions.contains_key(name)
    }

    /// Asks for something; the answer has `seconds`.
    pub fn ask(&mut self, request: &Value) -> Value {
        let (_, input, output) = self.process.as_mut().unwrap();
        writeln!(input, "{request}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(answer.get("error").is_none(), "{request}: {}", answer["error"]);
        answer
    }

    /// Asks, and says how long it took.
    pub fn seconds(&mut self, request: &Value) -> f64 {
        self.ask(request)["seconds"].as_f64().unwrap()
    }

    /// An export by an engine.
    pub fn export(&mut self, engine: &str, file: &str, out: &str) -> f64 {
        let columns: Vec<&str> = anomalake::domain::activity::COLUMNS.iter().map(|column| column.name).collect();
        self.seconds(&json!({ "op": "export", "engine": engine, "file": file, "out": out, "columns": columns }))
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        if let Some((mut child, input, _)) = self.process.take() {
            // Its loop ends with its input.
            drop(input);
            let _ = child.wait();
        }
    }
}
