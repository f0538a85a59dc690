//! Large SQL answers and statements beyond their memory, over the real server: how much memory it takes, and that all of
//! them end.
//!
//! `cargo build --release && cargo run --release --example sql -- FILES…`; the files are activities, as Parquet or NDJSON.

// Helpers of tests stop the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod formats;
#[allow(dead_code, unused_imports, reason = "shared with the suite, which uses all of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared by several")]
#[path = "../common/usage.rs"]
mod usage;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use formats::{Format, Rows};
use support::Api;
use support::process::{ProcessDir, TestProcess, binary};
use usage::Usage;

/// Most memory that a server may take while it streams, in MiB.
const MAX_RESIDENT_MIB: f64 = 600.0;

/// Longest time for a statement to end, also one that runs into a limit.
const DEADLINE: Duration = Duration::from_mins(2);

/// Memory of a statement, whatever the machine has, so that runs can be compared; the time is within [`DEADLINE`].
const GIVEN: &str = "[sql]\nmemory = \"256MiB\"\ntimeout = \"110s\"\n";

/// The smallest memory of a statement that the settings allow, and the others at theirs.
const SMALLEST: &str =
    "[sql]\nmemory = \"16MiB\"\ntenant-memory = \"100MiB\"\nserver-memory = \"100MiB\"\ntimeout = \"110s\"\n";

/// Statements that need more memory than one has: they write aside or fail, and end.
const BEYOND: [(&str, &str); 4] = [
    ("sort", "SELECT * FROM activities ORDER BY fileName, timeStamp"),
    ("aggregation", "SELECT activityId, count(*) AS n, max(fileName) AS name FROM activities GROUP BY activityId"),
    (
        "window by user",
        "SELECT timeStamp, row_number() OVER (PARTITION BY userKey ORDER BY timeStamp) AS n FROM activities",
    ),
    ("window over all", "SELECT timeStamp, sum(downloadBytes) OVER (ORDER BY fileName) AS bytes FROM activities"),
];

/// Streams large answers and runs statements beyond their memory.
#[derive(Debug, Parser)]
struct Args {
    /// Activities to load.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Distinct counts under the smallest memory.
    #[arg(long, default_value_t = 100)]
    distinct: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let dir = ProcessDir::with(GIVEN, "warn");
    let process = dir.serve().await;
    let token = dir.tenant().await;
    load(&dir, &args.files);
    let api = process.api(&token);
    let count = api
        .with("accept", "application/json")
        .post_json("/api/v1/sql", &json!({ "sql": "SELECT count(*) AS n FROM activities" }))
        .await;
    let rows = count.expect(200).json()[0]["n"].as_u64().unwrap();
    process.terminate().await;
    assert!(process.ended().await.success());

    let process = dir.serve().await;
    println!("{rows} rows; the server at rest takes {:.0} MiB", mib(Usage::of(process.pid()).resident_bytes()));
    let mut good = true;
    for format in Format::ALL {
        good &= stream(&process, &process.api(&token), format, rows).await;
    }
    for (name, statement) in BEYOND {
        good &= beyond(&process, &process.api(&token), name, statement).await;
    }
    process.terminate().await;
    assert!(process.ended().await.success());

    std::fs::write(dir.root().join("settings.toml"), SMALLEST).unwrap();
    let process = dir.serve().await;
    good &= distinct(&process, &process.api(&token), args.distinct).await;
    println!("{}", if good { "good" } else { "a promise is broken" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn load(dir: &ProcessDir, files: &[PathBuf]) {
    let begun = Instant::now();
    let mut command = Command::new(binary());
    command.arg("--data-dir").arg(dir.data()).args(["ingest", "--tenant", "5618"]).args(files);
    assert!(command.status().unwrap().success());
    println!("loaded after {:.0?}", begun.elapsed());
}

/// All rows and columns in one format.
async fn stream(process: &TestProcess, api: &Api, format: Format, expected: u64) -> bool {
    let usage = Usage::of(process.pid());
    usage.reset_peak();
    let begun = Instant::now();
    let body = json!({ "sql": "SELECT * FROM activities" }).to_string();
    let api = api.with("accept", format.media_type()).with("content-type", "application/json");
    let mut answer = api.open("POST", "/api/v1/sql", body).await.unwrap();
    assert_eq!(answer.response.status(), 200);
    let mut rows = Rows::of(format);
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await {
        bytes += chunk.len();
        rows.take(&chunk);
    }
    let (rows, peak) = (rows.end(), mib(usage.peak_bytes()));
    let good = rows == expected && peak < MAX_RESIDENT_MIB;
    println!(
        "{format:?}: {rows} rows, {:.0} MiB, {:.1?}, peak memory {peak:.0} MiB, allowed {MAX_RESIDENT_MIB}: {}",
        mib(bytes as u64),
        begun.elapsed(),
        word(good)
    );
    good
}

/// A statement that needs more than it may have: the answer is whole or a clean refusal, in time.
async fn beyond(process: &TestProcess, api: &Api, name: &str, statement: &str) -> bool {
    let usage = Usage::of(process.pid());
    usage.reset_peak();
    let begun = Instant::now();
    let end = tokio::time::timeout(DEADLINE, ending(api, statement)).await;
    let good = matches!(end, Ok(Ending::Whole | Ending::Limit(_)));
    println!(
        "{name}: {end:?} after {:.1?}, peak memory {:.0} MiB: {}",
        begun.elapsed(),
        mib(usage.peak_bytes()),
        word(good)
    );
    good && at_rest(process).await
}

async fn distinct(process: &TestProcess, api: &Api, runs: u32) -> bool {
    let (mut whole, mut limits, mut longest) = (0, 0, Duration::ZERO);
    for run in 0..runs {
        let begun = Instant::now();
        let column = ["activityId", "fileName", "sourceIP", "userKey"][run as usize % 4];
        let statement = format!("SELECT count(DISTINCT {column}) AS n FROM activities");
        match tokio::time::timeout(DEADLINE, ending(api, &statement)).await {
            Ok(Ending::Whole) => whole += 1,
            Ok(Ending::Limit(_)) => limits += 1,
            other => {
                println!("run {run}, {statement}: {other:?}");
                return false;
            }
        }
        longest = longest.max(begun.elapsed());
    }
    println!(
        "{runs} distinct counts under 16 MiB: {whole} answered, {limits} told of their limit, longest {longest:.1?}"
    );
    at_rest(process).await
}

/// How a statement ended.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
enum Ending {
    /// With all its rows.
    Whole,
    /// With the error of a limit.
    Limit(String),
    /// After its first row.
    BrokenOff,
    /// With another answer.
    Other(u16, String),
}

async fn ending(api: &Api, statement: &str) -> Ending {
    let body = json!({ "sql": statement }).to_string();
    let mut answer = api.with("content-type", "application/json").open("POST", "/api/v1/sql", body).await.unwrap();
    let status = answer.response.status().as_u16();
    if status == 200 {
        loop {
            match answer.try_chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ending::Whole,
                Err(_) => return Ending::BrokenOff,
            }
        }
    }
    let answer = answer.rest().await.unwrap();
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    if status == 422 { Ending::Limit(code) } else { Ending::Other(status, answer.text().to_owned()) }
}

/// Whether nothing is held any more.
async fn at_rest(process: &TestProcess) -> bool {
    for _ in 0..20 {
        let metrics = process.api("").get("/metrics").await;
        let held = metrics.text().lines().any(|line| {
            ["anomalake_sql_statements ", "anomalake_sql_memory_bytes ", "anomalake_sql_temp_bytes "]
                .iter()
                .any(|name| line.strip_prefix(name).is_some_and(|value| value != "0"))
        });
        if !held {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("something is still held after a second");
    false
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

const fn word(good: bool) -> &'static str {
    if good { "good" } else { "bad" }
}
