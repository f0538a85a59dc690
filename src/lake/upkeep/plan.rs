//! Which files of a day to rewrite, and when: pure functions of its live files and the time.

use std::cmp::Reverse;

use super::live::LiveFile;
use crate::domain::day::{DAY_MS, Day};

/// Most files of one merge.
pub const FAN_IN: usize = 16;

/// Fewest files of one merge: with less, every few appends would rewrite what the last ones wrote.
const LEAST: usize = 8;

/// Small files that a day may keep. With the appends until the next look
/// ([`MERGE_AFTER`](crate::lake::feed::MERGE_AFTER)) that is 32.
pub const SMALL_FILES: usize = 24;

/// Ends of the tiers of size, in bytes. A file from the last one on is not small.
pub const TIERS: [u64; 3] = [256 << 10, 4 << 20, 64 << 20];

/// Bytes written for each byte ingested, at most.
pub const AMPLIFICATION: u64 = 4;

/// How long nothing may be ingested into a day before it is sorted, in ms.
pub const QUIET_MS: i64 = 3_600_000;

/// A sorted day is sorted again when the rest is at least this part of it.
const RESORT_PART: u64 = 8;

/// Bytes written for the rows of some files, and bytes ingested for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the files of the ingests.
    pub ingested: u64,
    /// Bytes of all files that ever held the rows.
    pub written: u64,
}

impl Written {
    /// The sums over files.
    #[must_use]
    pub fn of(files: &[LiveFile]) -> Self {
        Self {
            ingested: files.iter().map(|file| file.ingested_bytes).sum(),
            written: files.iter().map(|file| file.written_bytes).sum(),
        }
    }

    /// Whether `more` bytes may be written.
    const fn allows(self, more: u64) -> bool {
        self.written.saturating_add(more) <= self.ingested.saturating_mul(AMPLIFICATION)
    }

    /// Write amplification so far; 1 for nothing.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn amplification(self) -> f64 {
        if self.ingested == 0 { 1.0 } else { self.written as f64 / self.ingested as f64 }
    }
}

fn tier(bytes: u64) -> Option<usize> {
    TIERS.iter().position(|end| bytes < *end)
}

/// Whether a file counts as small.
#[must_use]
pub fn is_small(file: &LiveFile) -> bool {
    file.run.is_none() && tier(file.bytes).is_some()
}

/// The small files of a day to merge next, when it has too many: the smallest of the fullest tier.
#[must_use]
pub fn next_merge(files: &[LiveFile]) -> Option<Vec<LiveFile>> {
    let mut tiers: [Vec<&LiveFile>; TIERS.len()] = Default::default();
    for file in files.iter().filter(|file| file.run.is_none()) {
        if let Some(tier) = tier(file.bytes) {
            tiers[tier].push(file);
        }
    }
    if tiers.iter().map(Vec::len).sum::<usize>() <= SMALL_FILES {
        return None;
    }
    let day = Written::of(files);
    // What the sort of the day will write at most: it has its share of the budget.
    let sort_bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut fullest_first: Vec<usize> = (0..tiers.len()).collect();
    fullest_first.sort_by_key(|tier| Reverse(tiers[*tier].len()));
    for tier in fullest_first {
        let candidates = &mut tiers[tier];
        if candidates.len() < LEAST {
            return None;
        }
        // The path makes the choice the same in every run.
        candidates.sort_by(|a, b| (a.bytes, &a.path).cmp(&(b.bytes, &b.path)));
        candidates.truncate(FAN_IN);
        let merge_bytes: u64 = candidates.iter().map(|file| file.bytes).sum();
        if tier == 0 || day.allows(merge_bytes.saturating_add(sort_bytes)) {
            return Some(candidates.iter().map(|file| (*file).clone()).collect());
        }
    }
    None
}

/// Whether to sort a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortPlan {
    /// It is one sorted run.
    Done,
    /// Now.
    Now,
    /// Not before this time, in ms since epoch: rows still arrive.
    NotBefore(i64),
    /// Only when more rows arrive: there are too few new ones to write everything again.
    Later,
}

/// Whether all files are one sorted run.
#[must_use]
pub fn is_sorted(files: &[LiveFile]) -> bool {
    files.first().is_none_or(|first| first.run.is_some() && files.iter().all(|file| file.run == first.run))
}

/// Whether to sort a day.
#[must_use]
pub fn sort_plan(files: &[LiveFile], now_ms: i64) -> SortPlan {
    if is_sorted(files) {
        return SortPlan::Done;
    }
    let all: u64 = files.iter().map(|file| file.bytes).sum();
    let new: u64 = files.iter().filter(|file| file.run.is_none()).map(|file| file.bytes).sum();
    if new.saturating_mul(RESORT_PART) < all || !Written::of(files).allows(all) {
        return SortPlan::Later;
    }
    match newest_ms(files).saturating_add(QUIET_MS) {
        quiet_ms if quiet_ms > now_ms => SortPlan::NotBefore(quiet_ms),
        _ => SortPlan::Now,
    }
}

/// When the newest row of a day was ingested, in ms since epoch.
#[must_use]
pub fn newest_ms(files: &[LiveFile]) -> i64 {
    files.iter().map(|file| file.newest_ms).max().unwrap_or(i64::MIN)
}

/// How long activities are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// From the end of their day on, in ms.
    pub keep_ms: i64,
    /// From their ingest on, in ms: back-filled activities of any age must live long enough to be exported.
    pub after_ingest_ms: i64,
}

/// From when on a day may be dropped, in ms since epoch.
#[must_use]
pub fn expires_at_ms(day: Day, files: &[LiveFile], retention: Retention) -> i64 {
    let end_ms = (i64::from(day.days_since_epoch()) + 1).saturating_mul(DAY_MS);
    let ingested_ms = newest_ms(files).saturating_add(retention.after_ingest_ms);
    end_ms.saturating_add(retention.keep_ms).max(ingested_ms)
}
