//! A lake and its registry over a disk that fails as a seed tells, against a ledger of what was promised.
//!
//! A run has several lives. In each, requests, evidence and upkeep meet failing and dawdling operations, until the
//! process is killed or the power fails in the middle of a change, chosen by the seed. The disk that
//! is left is opened again and compared with the ledger: nothing that was acknowledged is missing, nothing
//! that was refused is there, nothing is there twice, every key tells the truth about its rows, and every
//! evidence file that the registry names is whole.
//!
//! The registry is a real SQLite file. Its own promise, that a committed transaction survives, is taken as given
//! (`synchronous=FULL`); the machine also goes down right before and right after its transactions.

mod disk;
mod ledger;
mod life;
mod namespace;
mod upkeep;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::support::seeded::Seeded;

use disk::{Disk, End};
use ledger::Ledger;
use life::{Life, Place};
use namespace::PowerCut;

/// Lives of one run.
const LIVES: u64 = 4;

/// A run takes about a tenth of a second; one that takes this long hangs.
const RUN_TIMEOUT: Duration = Duration::from_mins(2);

/// Which syncs reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Syncing {
    /// All, as the product works.
    All,
    /// None: the decorator is switched off. The run must find losses.
    Nothing,
    /// Those of folders only: contents are lost.
    NoFiles,
    /// Those of files only: names are lost.
    NoFolders,
    /// Folders that got a file, but not the folders above them.
    NoAncestors,
}

impl fmt::Display for Syncing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Nothing => "nothing",
            Self::NoFiles => "no-files",
            Self::NoFolders => "no-folders",
            Self::NoAncestors => "no-ancestors",
        })
    }
}

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) syncing: Syncing,
    /// Changes out of 1,000 that fail; reads fail a quarter as often.
    fault_permille: u64,
}

/// What a run that found nothing wrong has done.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) requests: u64,
    /// Rows of requests that were acknowledged at their first or a later try, all found once.
    pub(crate) acknowledged_rows: u64,
    pub(crate) unknown_outcomes: u64,
    pub(crate) refused: u64,
    pub(crate) evidence_files: u64,
    pub(crate) upkeep_commits: u64,
    /// Times the machine went down in the middle of a change.
    pub(crate) crashes: u64,
    /// Changes of the disk tried.
    pub(crate) changes: u64,
    /// Stands for everything that the clients were told, in order: equal runs have equal ones.
    pub(crate) trace: u64,
}

impl Summary {
    /// Both runs together.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            acknowledged_rows: self.acknowledged_rows + other.acknowledged_rows,
            unknown_outcomes: self.unknown_outcomes + other.unknown_outcomes,
            refused: self.refused + other.refused,
            evidence_files: self.evidence_files + other.evidence_files,
            upkeep_commits: self.upkeep_commits + other.upkeep_commits,
            crashes: self.crashes + other.crashes,
            changes: self.changes + other.changes,
            trace: self.trace.rotate_left(1) ^ other.trace,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "requests {}, refused {}, of unknown outcome {}",
            self.requests, self.refused, self.unknown_outcomes
        )?;
        writeln!(f, "acknowledged rows {}, each found once or expired", self.acknowledged_rows)?;
        writeln!(f, "evidence files {}, commits of upkeep {}", self.evidence_files, self.upkeep_commits)?;
        write!(f, "crashes inside a change {}, changes {}, trace {:016x}", self.crashes, self.changes, self.trace)
    }
}

/// A broken promise.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) seed: u64,
    pub(crate) syncing: Syncing,
    pub(crate) life: u64,
    pub(crate) what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, syncing, life, what } = self;
        writeln!(f, "seed {seed}, life {life}: {what}")?;
        write!(f, "replay: cargo run --release --example faults -- --seed {seed} --syncing {syncing}")
    }
}

impl Plan {
    pub(crate) fn new(seed: u64, syncing: Syncing) -> Self {
        // A third of the runs fails only by going down, so that late states are reached too.
        let fault_permille = [0, 5, 30][usize::try_from(seed % 3).unwrap()];
        Self { seed, syncing, fault_permille }
    }

    /// Runs to the end or to the first broken promise.
    pub(crate) fn run(self) -> Result<Summary, Broken> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let summary = runtime.block_on(async {
            let run = tokio::time::timeout(RUN_TIMEOUT, self.lives()).await;
            run.unwrap_or_else(|_| Err(self.broken(0, "the run hangs".to_owned())))
        });
        // Readers of a machine that went down may still be on their threads.
        runtime.shutdown_background();
        summary
    }

    fn broken(self, life: u64, what: String) -> Broken {
        Broken { seed: self.seed, syncing: self.syncing, life, what }
    }

    async fn lives(self) -> Result<Summary, Broken> {
        let mut chance = Seeded::new(self.seed);
        let place = Place::new().await;
        let (mut ledger, mut summary) = (Ledger::default(), Summary::default());
        let mut disk = Disk::new(self, &place.lake_root());
        for life in 1..=LIVES {
            let broken = |what| self.broken(life, what);
            let running = Life::start(&place, Arc::clone(&disk), self.syncing).await;
            running.act(&mut chance, &mut ledger).await.map_err(broken)?;
            running.end().await;
            summary.crashes += u64::from(disk.is_off());
            summary.changes += disk.changes();
            let end = match chance.below(3) {
                0 => End::Killed,
                1 => End::Power(PowerCut::AllLost),
                _ => End::Power(PowerCut::SomeLost),
            };
            disk = disk.restarted(end).await;
            let found = Life::start(&place, Arc::clone(&disk), self.syncing).await;
            disk.calm(true);
            let checked = found.check(&mut ledger).await;
            checked.map_err(|what| broken(format!("after {end:?}: {what}")))?;
            if life == LIVES {
                found.repeat_all(&mut ledger).await.map_err(broken)?;
                found.check(&mut ledger).await.map_err(broken)?;
                ledger.check_complete().map_err(broken)?;
            }
            found.end().await;
            disk.calm(false);
        }
        Ok(ledger.sum_up(summary))
    }
}
