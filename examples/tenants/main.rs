//! Many tenants with a little data each: what the server costs while nobody asks, and how long the first
//! question to a tenant takes.
//!
//! `cargo build --release && cargo run --release --example tenants -- --tenants 2000`

// Helpers of tests stop the same way as the tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code, unused_imports, reason = "shared with the suite, which uses all of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared by several")]
#[path = "../common/usage.rs"]
mod usage;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use serde_json::json;

use support::process::{ProcessDir, TestProcess};
use support::records::{Seeded, activity, ndjson};
use usage::Usage;

/// Most of a core that an idle server may use, in percent.
const MAX_IDLE_CPU: f64 = 2.0;

/// Most memory of an idle server, in MiB.
const MAX_RESIDENT_MIB: f64 = 400.0;

/// Longest first question to a tenant.
const MAX_COLD: Duration = Duration::from_millis(300);

/// Measures a server with many tenants.
#[derive(Debug, Parser)]
struct Args {
    /// How many.
    #[arg(long, default_value_t = 2000)]
    tenants: i64,
    /// Records of each.
    #[arg(long, default_value_t = 20)]
    records: i64,
    /// How long to watch the idle server, in seconds.
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
    /// Tenants that are asked.
    #[arg(long, default_value_t = 100)]
    questions: u64,
}

/// A tenant as its client knows it.
struct Tenant {
    token: String,
    /// An anomaly of all its records.
    anomaly: i64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let dir = ProcessDir::with("", "warn");
    let begun = Instant::now();
    let process = dir.serve().await;
    let mut tenants = Vec::new();
    for id in 1..=args.tenants {
        let token = dir.tenant_of(id).await;
        let api = process.api(&token);
        let records: Vec<_> = (0..args.records).map(|n| activity(now - n, "ann", &format!("{id}-{n}"))).collect();
        api.ingest(ndjson(&records)).await.expect(200);
        let anomaly = json!({ "user": "ann", "from": 0, "to": "2200-01-01T00:00:00Z" });
        let made = api.post_json("/api/v1/anomalies", &anomaly).await.expect(201).json();
        let anomaly = made["id"].as_i64().unwrap();
        // Made now, or the restarted server would be busy with evidence that is due.
        api.query(anomaly).await.expect(200);
        tenants.push(Tenant { token, anomaly });
        if id % 250 == 0 {
            println!("{id} tenants after {:.0?}", begun.elapsed());
        }
    }
    report("all tables open", &process);
    process.terminate().await;
    assert!(process.ended().await.success());

    let process = dir.serve().await;
    let idle = idle(&process, Duration::from_secs(args.idle_seconds)).await;
    report("idle after a restart", &process);
    let cold = ask(&process, &tenants, &args).await;
    report("after the questions", &process);
    println!("idle CPU {idle:.2} % of a core, allowed {MAX_IDLE_CPU} %");
    println!(
        "first question: median {:.0?}, longest {:.0?}, allowed {MAX_COLD:?}",
        cold[cold.len() / 2],
        cold[cold.len() - 1]
    );
    let resident = mib(&process);
    let good = idle < MAX_IDLE_CPU && resident < MAX_RESIDENT_MIB && cold[cold.len() - 1] <= MAX_COLD;
    println!("resident {resident:.0} MiB, allowed {MAX_RESIDENT_MIB} MiB: {}", if good { "good" } else { "too much" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How much of a core the server uses while nobody asks, in percent.
async fn idle(process: &TestProcess, watch: Duration) -> f64 {
    let usage = Usage::of(process.pid());
    let before = usage.cpu_time();
    tokio::time::sleep(watch).await;
    usage.cpu_time().saturating_sub(before).as_secs_f64() / watch.as_secs_f64() * 100.0
}

/// Times of the first questions to some tenants, ascending: half of them live, half of them evidence.
async fn ask(process: &TestProcess, tenants: &[Tenant], args: &Args) -> Vec<Duration> {
    let mut chance = Seeded::new(1);
    let mut asked = std::collections::BTreeSet::new();
    let mut times = Vec::new();
    while asked.len() < usize::try_from(args.questions).unwrap().min(tenants.len()) {
        let number = usize::try_from(chance.below(tenants.len() as u64)).unwrap();
        if !asked.insert(number) {
            continue;
        }
        let (api, id) = (process.api(&tenants[number].token), tenants[number].anomaly);
        let begun = Instant::now();
        let answer = if asked.len() % 2 == 0 {
            api.get(&format!("/api/v1/anomalies/{id}/activities")).await
        } else {
            api.query(id).await
        };
        times.push(begun.elapsed());
        assert_eq!(i64::try_from(answer.expect(200).rows().len()).unwrap(), args.records);
    }
    times.sort_unstable();
    times
}

#[allow(clippy::cast_precision_loss)]
fn mib(process: &TestProcess) -> f64 {
    Usage::of(process.pid()).resident_bytes() as f64 / 1_048_576.0
}

fn report(when: &str, process: &TestProcess) {
    println!("{when}: {:.0} MiB resident, {} open files", mib(process), Usage::of(process.pid()).open_files());
}
