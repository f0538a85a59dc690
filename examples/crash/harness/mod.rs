//! kill -9 of the real binary, again and again, while clients write, investigate and export, days are sorted, old
//! ones dropped and files vacuumed.
//!
//! The clients keep a ledger of what they were answered. After each restart everything is read back and compared:
//! nothing acknowledged is missing, nothing is there twice, no request is there in part, exports hold exactly
//! what is stored, and `lake check --deep` finds no damage. Requests without an answer are repeated with
//! their key, also across restarts.

mod clients;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anomalake::cli::owner::Owner;
use anomalake::domain::clock::ManualClock;
use anomalake::services::settings::ServerSettings;
use serde_json::json;
use tokio::process::Command;

use crate::support::DAY_MS;
use crate::support::api::Api;
use crate::support::process::{ProcessDir, TestProcess, binary};
use crate::support::records::{Seeded, activity, ndjson};
use crate::support::server::walk;
use crate::support::wait::until;

pub(crate) use ledger::Damage;
use ledger::{Ledger, Old};

/// Commits as fast as they come, and keeps nothing for readers other than the server's own, so that vacuum and the clean-up
/// of the log find something to delete.
const SETTINGS: &str = "commit-interval = \"0s\"\nkeep-replaced = \"0s\"\n";

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Times that the server is killed under load.
    pub(crate) cycles: u64,
    /// Clients that ingest.
    pub(crate) clients: u64,
    /// Print a line every so many cycles; 0 for none.
    pub(crate) report_every: u64,
}

/// What was done and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) cycles: u64,
    pub(crate) kills_at_start: u64,
    pub(crate) requests: usize,
    pub(crate) answered: usize,
    pub(crate) repeated: usize,
    pub(crate) acknowledged_rows: usize,
    pub(crate) refused: u64,
    pub(crate) anomalies: usize,
    pub(crate) exports: u64,
    pub(crate) upkeep: u64,
    pub(crate) dropped_days: usize,
    /// Data files that were there at a kill and gone at a later one.
    pub(crate) vacuumed: usize,
    /// Restarts that found fewer of the log's old entries than the one before.
    pub(crate) log_cleanups: u64,
    pub(crate) checks: u64,
    pub(crate) damage: Damage,
    pub(crate) violations: Vec<String>,
    /// Where the data is left when something was wrong.
    pub(crate) kept: Option<PathBuf>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.damage == Damage::default() && self.violations.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kill -9 cycles {}, of them while starting {}", self.cycles, self.kills_at_start)?;
        writeln!(f, "requests {}, repeated with their key {}", self.requests, self.repeated)?;
        writeln!(f, "acknowledged requests {}, rows {}", self.answered, self.acknowledged_rows)?;
        writeln!(f, "anomalies {}, exports {}", self.anomalies, self.exports)?;
        writeln!(f, "upkeep by hand {}, days dropped {}, deep checks {}", self.upkeep, self.dropped_days, self.checks)?;
        writeln!(f, "files vacuumed {}, cycles with a clean-up of the log {}", self.vacuumed, self.log_cleanups)?;
        writeln!(f, "refused for now {}", self.refused)?;
        let Damage { lost, duplicated, torn, unknown } = self.damage;
        write!(f, "rows lost {lost}, duplicated {duplicated}, torn {torn}, unknown {unknown}")?;
        for violation in &self.violations {
            write!(f, "\nviolation: {violation}")?;
        }
        if let Some(kept) = &self.kept {
            write!(f, "\nthe data is kept in {}", kept.display())?;
        }
        Ok(())
    }
}

struct Run {
    plan: Plan,
    dir: ProcessDir,
    ledger: Ledger,
    chance: Seeded,
    token: String,
    /// An anomaly of all activities.
    everything: i64,
    /// The table's data files at the last kill, and the oldest entry of its log.
    data_files: BTreeSet<PathBuf>,
    oldest_entry: Option<PathBuf>,
    report: Report,
}

/// Days that were stored long ago, the youngest of this age.
const OLD_DAYS: i64 = 110;

/// When they were stored, days ago: long enough that no anomaly may ask for them any more.
const STORED_DAYS_AGO: i64 = 40;

/// Runs until the last cycle or the first broken promise.
pub(crate) async fn run(plan: Plan) -> Report {
    let dir = ProcessDir::with(SETTINGS, "warn");
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now_ms = i64::try_from(now.as_millis()).unwrap();
    let ledger = Ledger::new(now_ms);
    let token = prefill(&dir, &ledger, now_ms, i64::try_from(plan.cycles).unwrap() + 5).await;
    let process = dir.serve().await;
    let all = json!({ "from": 0, "to": "2200-01-01T00:00:00Z", "where": "true" });
    let made = process.api(&token).post_json("/api/v1/anomalies", &all).await.expect(201);
    let run = Run {
        plan,
        ledger,
        chance: Seeded::new(plan.seed),
        token,
        everything: made.json()["id"].as_i64().unwrap(),
        data_files: BTreeSet::new(),
        oldest_entry: None,
        report: Report::default(),
        dir,
    };
    run.cycles(process).await
}

/// Makes the tenant, and days with a row each, as of long ago. Returns the tenant's token.
async fn prefill(dir: &ProcessDir, ledger: &Ledger, now_ms: i64, days: i64) -> String {
    let then = Arc::new(ManualClock::new(now_ms - STORED_DAYS_AGO * DAY_MS));
    let owner = Owner::take(&dir.data(), ServerSettings::default(), then).await.unwrap();
    let token = dir.tenant().await;
    let old = (OLD_DAYS..OLD_DAYS + days).map(|age_days| Old { name: format!("old-{age_days}"), age_days });
    let old: Vec<Old> = old.collect();
    let record = |old: &Old| activity(now_ms - old.age_days * DAY_MS, "old", &old.name);
    let records: Vec<_> = old.iter().map(record).collect();
    dir.control().with("anomalake-tenant", "5618").ingest(ndjson(&records)).await.expect(200);
    ledger.books().old = old;
    shorten_retention(dir, ledger, OLD_DAYS + days + 1).await;
    owner.release().await;
    token
}

/// Tells the tenant how long to keep its activities.
async fn shorten_retention(dir: &ProcessDir, ledger: &Ledger, days: i64) {
    // Before it is told, for it may be obeyed and not answered.
    ledger.books().retention_days = days;
    let change = json!({ "activityRetentionMs": days * DAY_MS });
    dir.control().send("PATCH", "/control/tenants/5618", change.to_string()).await.expect(200);
}

impl Run {
    async fn cycles(mut self, mut process: TestProcess) -> Report {
        for cycle in 1..=self.plan.cycles {
            self.load_until_killed(process, cycle).await;
            self.report.cycles = cycle;
            process = self.restart().await;
            self.check(&process.api(&self.token)).await;
            if self.plan.report_every > 0 && cycle.is_multiple_of(self.plan.report_every) {
                println!("{cycle} cycles, {} acknowledged requests, {:?}", self.ledger.answered(), self.report.damage);
            }
            if !self.is_clean() {
                return self.end();
            }
        }
        self.repeat_all(&process.api(&self.token)).await;
        self.check(&process.api(&self.token)).await;
        process.terminate().await;
        if !process.ended().await.success() {
            self.ledger.accuse("the last server did not end well".to_owned());
        }
        self.end()
    }

    fn is_clean(&self) -> bool {
        self.report.damage == Damage::default() && self.ledger.books().violations.is_empty()
    }

    async fn load_until_killed(&mut self, process: TestProcess, cycle: u64) {
        let (api, seed) = (process.api(&self.token), self.plan.seed ^ cycle << 16);
        let mut clients: Vec<_> = (0..self.plan.clients)
            .map(|n| tokio::spawn(clients::ingest(api.clone(), self.ledger.clone(), seed ^ n << 8)))
            .collect();
        clients.push(tokio::spawn(clients::investigate(api, self.ledger.clone(), seed)));
        let shorter = self.ledger.books().retention_days - 1;
        shorten_retention(&self.dir, &self.ledger, shorter).await;
        clients.push(tokio::spawn(clients::keep_up(self.dir.control(), self.ledger.clone())));
        let enough = self.ledger.answered() + usize::try_from(1 + self.chance.below(40)).unwrap();
        let gone = |clients: &[tokio::task::JoinHandle<()>]| clients.iter().any(tokio::task::JoinHandle::is_finished);
        until("requests to be acknowledged", async || self.ledger.answered() >= enough || gone(&clients)).await;
        for _ in 0..self.chance.below(2000) {
            tokio::task::yield_now().await;
        }
        process.kill().await;
        for client in clients {
            client.await.unwrap();
        }
        self.report.repeated += self.ledger.settle();
    }

    /// Notices what vacuum and the clean-up of the log have deleted since the last kill.
    fn look_at_files(&mut self) {
        let mut files = Vec::new();
        walk(&self.dir.data().join("lake/tenant=5618-1/activities"), &mut files);
        let (log, files): (BTreeSet<_>, BTreeSet<_>) = files
            .into_iter()
            .filter(|path| path.is_file())
            .partition(|path| path.to_string_lossy().contains("/_delta_log/"));
        self.report.vacuumed += self.data_files.difference(&files).count();
        self.data_files = files;
        let oldest = log.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "json"));
        self.report.log_cleanups += u64::from(self.oldest_entry.is_some() && oldest > self.oldest_entry);
        self.oldest_entry = oldest;
    }

    /// Starts the server again, which is now and then killed while it starts.
    async fn restart(&mut self) -> TestProcess {
        self.look_at_files();
        while self.chance.below(8) == 0 {
            let mut child = self.dir.command().spawn().unwrap();
            for _ in 0..self.chance.below(100_000) {
                tokio::task::yield_now().await;
            }
            child.kill().await.unwrap();
            self.report.kills_at_start += 1;
        }
        self.dir.serve().await
    }

    /// Reads everything back.
    async fn check(&mut self, api: &Api) {
        let path = format!("/api/v1/anomalies/{}/activities", self.everything);
        let answer = api.get(&path).await.expect(200);
        let mut stored = BTreeMap::<String, usize>::new();
        for name in answer.column("fileName") {
            *stored.entry(name).or_default() += 1;
        }
        self.report.damage = self.ledger.compare(&stored);
        self.report.dropped_days = self.ledger.dropped(&stored);
        self.deep_check().await;
        let anomalies = self.ledger.books().anomalies.clone();
        for _ in 0..anomalies.len().min(3) {
            let anomaly = &anomalies[usize::try_from(self.chance.below(anomalies.len() as u64)).unwrap()];
            let Some(mut names) = clients::export(api, &self.ledger, anomaly).await.unwrap() else {
                self.ledger.accuse(format!("the evidence of {anomaly:?} cannot be had"));
                continue;
            };
            names.sort_unstable();
            if names != self.ledger.of_user(&stored, &anomaly.user) {
                self.ledger.accuse(format!("the evidence of {anomaly:?} is not what is stored: {names:?}"));
            }
        }
    }

    async fn deep_check(&mut self) {
        let mut check = Command::new(binary());
        check.args(["lake", "check", "--deep", "--tenant", "5618", "--data-dir"]).arg(self.dir.data());
        let found = check.output().await.unwrap();
        self.report.checks += 1;
        if !found.status.success() {
            let told = [found.stdout, found.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            self.ledger.accuse(format!("lake check --deep, {}: {}", found.status, told.join("\n")));
        }
    }

    /// Repeats every request: those with an answer get it again, the others one.
    async fn repeat_all(&self, api: &Api) {
        let sent = self.ledger.books().sent.clone();
        for (number, sent) in sent.iter().enumerate() {
            let answer = clients::send(api, sent).await.unwrap().expect(200);
            match &sent.answer {
                Some(first) if *first != answer.body || answer.header("idempotent-replayed") != Some("true") => {
                    self.ledger.accuse(format!("{} was answered {first:?}, and then {answer:?}", sent.key));
                }
                _ => self.ledger.finish(number, Some(answer.body)),
            }
        }
    }

    fn end(mut self) -> Report {
        let clean = self.is_clean();
        let mut books = self.ledger.books();
        let answered: Vec<_> = books.sent.iter().filter(|sent| sent.answer.is_some()).collect();
        let report = Report {
            requests: books.sent.len(),
            answered: answered.len(),
            acknowledged_rows: answered.iter().map(|sent| sent.names.len()).sum(),
            refused: books.refused,
            anomalies: books.anomalies.len(),
            exports: books.exports,
            upkeep: books.upkeep,
            kept: (!clean).then(|| self.dir.keep()),
            ..std::mem::take(&mut self.report)
        };
        Report { violations: std::mem::take(&mut books.violations), ..report }
    }
}
