//! Us and the peers side by side: the same data, the same machine, the same minutes.
//!
//! `cargo bench --bench versus` runs every part; `-- --parts export,small --rows 1000000` runs some of them over a smaller
//! lake, and keeps what the others found in an earlier run. Each part goes in rounds in which everybody has a turn, and
//! tells medians. We are the real executable, asked over loopback; the peers are `DuckDB`, `ClickHouse` (`chdb`), Polars and
//! pyarrow in one warm Python process (`ANOMALAKE_BENCH_PYTHON`, `python3` by default), each over the very files that we
//! wrote; those that Python does not have are left out, which is said. Lakes are made once and kept in `--work`.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]
#![allow(unreachable_pub, clippy::cast_precision_loss, reason = "a program of its own; figures for people")]

mod client;
mod lake;
mod measure;
mod parts;
mod peers;
mod plot;
mod reader;
mod report;
mod suite;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;
use tokio::runtime::Runtime;

use parts::Part;
use peers::Peers;
use report::Report;

/// Run us and the peers side by side and keep a table of the ratios.
#[derive(Debug, Parser)]
#[command(name = "versus", max_term_width = 100)]
pub struct Args {
    /// Parts to run.
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Rows of the lake for exports and queries; from 820,000 on it holds an anomaly of 100,000 rows.
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    rows: u64,
    /// Sizes of the lakes of the part `growth`.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [1_000_000, 10_000_000])]
    lakes: Vec<u64>,
    /// Rows to ingest.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    ingest_rows: u64,
    /// Days that they spread over: each is a file, and a partition in the end.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    ingest_days: u32,
    /// Rounds, after one to warm up.
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Numbers of connections of the part `small`.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// Exports at once of the part `many`.
    #[arg(long, value_name = "N", default_value_t = 64)]
    at_once: usize,
    /// Folder for generated data and lakes, which are kept.
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/versus"))]
    work: PathBuf,
    /// Folder for versus.json, versus.md and versus.svg; that of the lakes when absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a part needs.
pub(crate) struct Run {
    args: Args,
    runtime: Runtime,
    peers: Peers,
    /// Cost by size of lake.
    curves: BTreeMap<String, Vec<(u64, f64)>>,
}

impl Run {
    fn pairs(&self) -> usize {
        usize::from(self.args.pairs)
    }
}

/// One thread, so that the client does not wake itself across threads for each chunk: two cores serve both sides.
fn client_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn main() {
    // `cargo test` also runs benchmarks; only `cargo bench` says so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let args = Args::parse();
    std::fs::create_dir_all(&args.work).unwrap();
    let out = args.out.clone().unwrap_or_else(|| args.work.clone());
    let parts = if args.parts.is_empty() { Part::all().to_vec() } else { args.parts.clone() };
    let mut report = Report::read(&out);
    let peers = Peers::start();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    report.machine.insert("cores".to_owned(), cores.to_string());
    report.machine.insert("anomalake".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    report.machine.extend(peers.versions.clone());
    if cfg!(debug_assertions) {
        eprintln!("this is no release build: the figures mean nothing");
    }
    let mut run = Run { args, runtime: client_runtime(), peers, curves: BTreeMap::new() };
    for part in parts {
        eprintln!("== {}", part.name());
        let lines = part.run(&mut run);
        report.replace(part.name(), lines);
        report.curves.extend(std::mem::take(&mut run.curves));
        // Kept after each part, so that a later one that fails costs only itself.
        report.write(&out);
    }
    plot::draw(&report, &out.join("versus.svg"));
    println!("{}\nkept in {}", report.markdown(), out.display());
}
