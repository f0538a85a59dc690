//! Kills the real server under load, again and again, and compares what is left with what clients were told.
//!
//! `cargo build --release && cargo run --release --example crash -- --cycles 300`

// Helpers of tests stop the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
#[allow(dead_code, unused_imports, reason = "shared with the suite, which uses all of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

/// Kills the server under load, again and again.
#[derive(Debug, Parser)]
struct Args {
    /// How often.
    #[arg(long, default_value_t = 300)]
    cycles: u64,
    /// Clients that ingest at the same time.
    #[arg(long, default_value_t = 4)]
    clients: u64,
    /// Chooses requests and moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { cycles, clients, seed } = Args::parse();
    let begun = Instant::now();
    let report = harness::run(harness::Plan { seed, cycles, clients, report_every: 10 }).await;
    println!("{report}\n{:.0?}", begun.elapsed());
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
