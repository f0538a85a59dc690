//! What the clients were told, and what must therefore be found.

use std::collections::BTreeMap;

use anomalake::lake::writer::PendingAnswer;

use crate::support::seeded::Seeded;

use super::Summary;
use super::disk::fnv;

/// What a request was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Its rows are there, once.
    Stored,
    /// Its rows are not there.
    Refused,
    /// Its rows are all there, once, or not at all.
    Unknown,
}

/// A request to store some rows.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// None for one without an idempotency key, which is never repeated.
    pub(super) key: Option<String>,
    /// Names of its rows, which nobody else uses.
    pub(super) ids: Vec<String>,
    /// Whether it brings its files, as large ones do.
    pub(super) large: bool,
    /// Its rows are older than the retention, and may be dropped, all of them at once.
    pub(super) expiring: bool,
    /// Days over which its rows are spread.
    pub(super) days: usize,
    pub(super) told: Told,
}

impl Request {
    /// The answer to be remembered for its key.
    pub(super) fn pending(&self) -> Option<PendingAnswer> {
        let key = self.key.clone()?;
        let mut body_hash = [0; 32];
        body_hash.iter_mut().zip(self.ids[0].bytes().cycle()).for_each(|(to, from)| *to = from);
        let answer = format!("stored {}", self.ids.join(" "));
        Some(PendingAnswer { key, body_hash, status: 200, answer })
    }
}

/// All requests so far, and the evidence that was promised.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) requests: Vec<Request>,
    pub(super) unknown_outcomes: u64,
    pub(super) refused: u64,
    pub(super) evidence_files: u64,
    pub(super) upkeep_commits: u64,
    trace: u64,
}

impl Ledger {
    /// A new request, or one that has no good answer yet.
    pub(super) fn next_request(&mut self, chance: &mut Seeded, days: usize) -> usize {
        let is_open = |request: &Request| request.told != Told::Stored && request.key.is_some();
        let open: Vec<_> = (0..self.requests.len()).filter(|n| is_open(&self.requests[*n])).collect();
        if !open.is_empty() && chance.below(3) == 0 {
            return open[usize::try_from(chance.below(open.len() as u64)).unwrap()];
        }
        let number = self.requests.len();
        let key = (chance.below(5) > 0).then(|| format!("key {number}"));
        let ids = (0..=chance.below(5)).map(|row| format!("{number}-{row}")).collect();
        let (large, expiring) = (chance.below(6) == 0, chance.below(8) == 0);
        self.requests.push(Request { key, ids, large, expiring, days, told: Told::Refused });
        number
    }

    /// Notes what a request was told. A refusal takes back no earlier doubt.
    pub(super) fn tell(&mut self, request: usize, told: Told) {
        self.trace = fnv(self.trace, &[request.to_le_bytes()[0], told as u8]);
        match told {
            Told::Stored => {}
            Told::Refused => self.refused += 1,
            Told::Unknown => self.unknown_outcomes += 1,
        }
        let before = &mut self.requests[request].told;
        if !(*before == Told::Unknown && told == Told::Refused) {
            *before = told;
        }
    }

    /// Compares the rows found with what was told, and the keys found with the rows. From now on it is known what
    /// became of requests in doubt.
    pub(super) fn compare(
        &mut self,
        found: &BTreeMap<String, u64>,
        known: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let mut expected = 0;
        for request in &mut self.requests {
            let counts: Vec<u64> = request.ids.iter().map(|id| found.get(id).copied().unwrap_or(0)).collect();
            let (whole, absent) = (counts.iter().all(|n| *n == 1), counts.iter().all(|n| *n == 0));
            let kept = match request.told {
                Told::Stored => whole || (request.expiring && absent),
                Told::Refused => absent,
                Told::Unknown => whole || absent,
            };
            if !kept {
                return Err(format!("{request:?} is found {counts:?} times"));
            }
            expected += if whole { counts.len() } else { 0 };
            if let Some(pending) = request.pending() {
                let answer = known.get(&pending.key);
                let stored = whole || (request.expiring && answer.is_some());
                if answer.is_some() != stored || answer.is_some_and(|answer| *answer != pending.answer) {
                    return Err(format!("{request:?} is found {counts:?} times, and its key has {answer:?}"));
                }
            }
            if request.told == Told::Unknown {
                let has_key = request.key.as_ref().is_some_and(|key| known.contains_key(key));
                request.told = if whole || has_key { Told::Stored } else { Told::Refused };
            }
        }
        let rows: u64 = found.values().sum();
        if rows == expected as u64 { Ok(()) } else { Err(format!("{rows} rows where {expected} were promised")) }
    }

    /// At the end every request that could be repeated is stored.
    pub(super) fn check_complete(&self) -> Result<(), String> {
        let open = self.requests.iter().find(|request| request.key.is_some() && request.told != Told::Stored);
        open.map_or(Ok(()), |open| Err(format!("{open:?} is not stored though nothing failed any more")))
    }

    pub(super) fn sum_up(&self, summary: Summary) -> Summary {
        let stored = self.requests.iter().filter(|request| request.told == Told::Stored);
        Summary {
            requests: self.requests.len() as u64,
            acknowledged_rows: stored.map(|request| request.ids.len() as u64).sum(),
            unknown_outcomes: self.unknown_outcomes,
            refused: self.refused,
            evidence_files: self.evidence_files,
            upkeep_commits: self.upkeep_commits,
            trace: self.trace,
            ..summary
        }
    }
}
