//! Mixed load against the real server for a while: does it stay as it began?
//!
//! `cargo build --release && cargo run --release --example soak -- --minutes 30 --svg docs/soak.svg`
//!
//! Small ingests, anomalies, exports and lists at fixed rates; memory, live files, open files and latency every few
//! seconds. Of each series the least-squares slope over the last two thirds is told in percent of its mean
//! per minute.

// Helpers of tests stop the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod load;
mod plot;
mod samples;
#[allow(dead_code, unused_imports, reason = "shared with the suite, which uses all of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared by several")]
#[path = "../common/usage.rs"]
mod usage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use load::{Latencies, Operation};
use samples::{Sample, Samples, live_files};
use support::process::ProcessDir;
use usage::Usage;

/// Steepest growth that counts as none, in percent of the mean per minute.
const MAX_SLOPE: f64 = 1.0;

/// Loads the server and watches it.
#[derive(Debug, Parser)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Seconds between two samples.
    #[arg(long, default_value_t = 10)]
    every_seconds: u64,
    /// Ingests a second, all clients together.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    ingests: u64,
    /// Where the samples go.
    #[arg(long, default_value = "soak.csv")]
    csv: PathBuf,
    /// Where the plot goes.
    #[arg(long, default_value = "soak.svg")]
    svg: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let dir = ProcessDir::with("", "warn");
    let process = dir.serve().await;
    let token = dir.tenant().await;
    let api = process.api(&token);
    let latencies = Arc::<Latencies>::default();
    let clients = load::start(&api, args.ingests, &latencies);

    let (begun, usage) = (Instant::now(), Usage::of(process.pid()));
    let mut samples = Samples::default();
    let mut ticks = tokio::time::interval(Duration::from_secs(args.every_seconds));
    ticks.tick().await;
    while begun.elapsed().as_secs_f64() < args.minutes * 60.0 {
        ticks.tick().await;
        let sample = Sample {
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            resident_bytes: usage.resident_bytes(),
            live_files: live_files(&dir.data()).await,
            open_files: usage.open_files(),
            cpu: usage.cpu_time(),
            latency: Operation::ALL.map(|operation| latencies.take(operation)),
        };
        println!("{sample}");
        samples.push(sample);
    }
    for client in &clients {
        client.abort();
    }
    let failures = latencies.failures();
    process.terminate().await;
    let ended_well = process.ended().await.success();

    std::fs::write(&args.csv, samples.csv()).unwrap();
    plot::draw(&samples, &args.svg).unwrap();
    println!("requests {}, failed {failures}, ended well {ended_well}", samples.requests());
    let mut good = failures == 0 && ended_well;
    for series in samples.groups().iter().flat_map(|(_, group)| group) {
        let slope = series.slope();
        let grows = series.judged && slope >= MAX_SLOPE;
        good &= !grows;
        println!(
            "{}: {slope:+.3} % a minute over the last two thirds{}",
            series.name,
            if grows { ": it grows" } else { "" }
        );
    }
    println!("samples in {}, plot in {}", args.csv.display(), args.svg.display());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
