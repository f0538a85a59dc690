//! Runs the lake over failing disks, seed after seed, against a ledger of what was promised.
//!
//! `cargo run --release --example faults -- --seeds 1000`; one seed again: `--seed N`. With `--syncing nothing` (or
//! `no-files`, `no-folders`, `no-ancestors`) some syncs are left out, and the runs must find losses.

// Helpers of tests stop the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod support;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use harness::{Plan, Summary, Syncing};

/// Runs the lake over failing disks.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds, from 1 on.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// This seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Which syncs reach the disk; the product does all.
    #[arg(long, value_enum, default_value_t = Syncing::All)]
    syncing: Syncing,
}

fn main() -> ExitCode {
    let args = Args::parse();
    ignore_known_panic();
    let begun = Instant::now();
    let seeds = args.seed.map_or(1..=args.seeds, |seed| seed..=seed);
    let (mut total, mut done, mut broken) = (Summary::default(), 0_u64, 0_u64);
    for seed in seeds {
        match Plan::new(seed, args.syncing).run() {
            Ok(summary) => total = total.and(&summary),
            Err(error) => {
                broken += 1;
                eprintln!("{error}");
            }
        }
        done += 1;
        if done.is_multiple_of(100) {
            println!("{done} seeds, {broken} broken, {:.0?}", begun.elapsed());
        }
    }
    println!("seeds {done}, with a broken promise {broken}, in {:.1?}", begun.elapsed());
    println!("{total}");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// deltalake's writer panics in a task of its own when it gives up a file whose last write failed, and
/// reports it as the failure that it is; here that happens thousands of times on purpose.
fn ignore_known_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("Already shut down") {
            usual(panic);
        }
    }));
}
