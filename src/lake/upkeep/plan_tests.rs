//! The planner against a model of a day: budgets hold whatever arrives.

use proptest::prelude::*;

use super::live::LiveFile;
use super::plan::{
    AMPLIFICATION, FAN_IN, QUIET_MS, Retention, SMALL_FILES, SortPlan, TIERS, Written, expires_at_ms, is_small,
    is_sorted, next_merge, sort_plan,
};
use crate::domain::day::{DAY_MS, Day};
use crate::lake::feed::MERGE_AFTER;

/// Bytes of a file of these columns besides its rows, about; measured files of one row have 11 to 16 KiB.
const OVERHEAD: u64 = 12 << 10;

fn file(n: usize, bytes: u64, run: Option<&str>) -> LiveFile {
    LiveFile {
        path: format!("day=1970-01-01/{n:06}"),
        day: Day::from_days_since_epoch(0),
        bytes,
        rows: 1,
        newest_ms: 0,
        run: run.map(str::to_owned),
        ingested_bytes: bytes,
        written_bytes: bytes,
    }
}

/// A day whose rewritten files are as long as their rows and one overhead: no gain by compression at all.
#[derive(Debug, Default)]
struct Model {
    files: Vec<LiveFile>,
    now_ms: i64,
    made: usize,
    ingested: u64,
    written: u64,
    most_small: usize,
    merges: usize,
    sorts: usize,
}

impl Model {
    fn append(&mut self, payload: u64) {
        self.made += 1;
        self.now_ms += 100;
        let bytes = OVERHEAD + payload;
        // The model keeps the payload in `rows`.
        let file = LiveFile { rows: payload, newest_ms: self.now_ms, ..file(self.made, bytes, None) };
        self.ingested += bytes;
        self.written += bytes;
        self.files.push(file);
        self.most_small = self.most_small.max(self.files.iter().filter(|file| is_small(file)).count());
    }

    fn rewrite(&mut self, inputs: &[LiveFile], run: Option<String>) {
        self.files.retain(|file| inputs.iter().all(|input| input.path != file.path));
        self.made += 1;
        let payload: u64 = inputs.iter().map(|file| file.rows).sum();
        let bytes = OVERHEAD + payload;
        let before = Written::of(inputs);
        self.written += bytes;
        self.files.push(LiveFile {
            rows: payload,
            newest_ms: inputs.iter().map(|file| file.newest_ms).max().unwrap(),
            run,
            ingested_bytes: before.ingested,
            written_bytes: before.written + bytes,
            ..file(self.made, bytes, None)
        });
    }

    fn merge(&mut self) {
        while let Some(inputs) = next_merge(&self.files) {
            assert!((2..=FAN_IN).contains(&inputs.len()));
            self.merges += 1;
            self.rewrite(&inputs, None);
        }
    }

    fn quiet(&mut self) {
        self.now_ms += QUIET_MS;
        self.merge();
        if sort_plan(&self.files, self.now_ms) == SortPlan::Now {
            let all = self.files.clone();
            self.sorts += 1;
            self.rewrite(&all, Some(format!("run-{}", self.made)));
            assert_eq!(sort_plan(&self.files, self.now_ms), SortPlan::Done);
        }
    }

    /// Appends of one size, with the looks at the small files that the feed asks for.
    fn burst(&mut self, appends: u32, payload: u64) {
        for n in 1..=appends {
            self.append(payload);
            if n % MERGE_AFTER == 0 {
                self.merge();
            }
        }
    }

    fn is_within_budget(&self) -> bool {
        self.written <= AMPLIFICATION * self.ingested
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    fn amplification(&self) -> f64 {
        self.written as f64 / self.ingested as f64
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_written_stay_within_four_times_those_ingested(
        bursts in prop::collection::vec((1_u32..1500, 0_u32..12, 1_u64..1024, any::<bool>()), 1..8)
    ) {
        let mut day = Model::default();
        for (appends, magnitude, factor, pause) in bursts {
            // From some bytes to megabytes.
            day.burst(appends, (factor << magnitude).min(3 << 20));
            if pause {
                day.quiet();
            }
        }
        day.quiet();
        prop_assert!(day.is_within_budget(), "{} {:?}", day.amplification(), (day.merges, day.sorts));
        // The sums that the files carry are the truth.
        let carried = Written::of(&day.files);
        prop_assert_eq!((carried.ingested, carried.written), (day.ingested, day.written));
    }

    #[test]
    fn small_steady_ingests_never_leave_more_than_32_small_files(
        appends in 1_u32..6000, payload in 1_u64..24_576
    ) {
        let mut day = Model::default();
        day.burst(appends, payload);
        prop_assert!(day.most_small <= 32, "{}", day.most_small);
        let large = day.files.iter().filter(|file| !is_small(file)).count();
        prop_assert!(day.files.len() <= 32 + large);
        day.quiet();
        prop_assert!(day.is_within_budget());
        prop_assert!(is_sorted(&day.files), "a day at rest is sorted: {}", day.amplification());
    }
}

#[test]
fn few_files_stay_and_sorted_or_large_ones_do_not_count() {
    let mut files: Vec<_> = (0..SMALL_FILES).map(|n| file(n, 10, None)).collect();
    files.push(file(90, TIERS[2], None));
    files.push(file(91, 10, Some("run")));
    assert_eq!(next_merge(&files), None);
    files.push(file(92, 11, None));
    let chosen = next_merge(&files).unwrap();
    let names: Vec<_> = chosen.iter().map(|file| file.path.as_str()).collect();
    let expected: Vec<_> = files[..FAN_IN].iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names, expected, "the smallest, and among equals the first");
}

#[test]
fn large_tiers_wait_when_the_day_has_been_written_often_enough() {
    let mut files: Vec<_> = (0..30).map(|n| file(n, 1 << 20, None)).collect();
    assert_eq!(next_merge(&files).unwrap().len(), FAN_IN);
    for file in &mut files {
        file.written_bytes *= 3; // and the sort is the fourth
    }
    assert_eq!(next_merge(&files), None);
    files.extend((30..39).map(|n| file(n, 10, None)));
    assert_eq!(next_merge(&files).unwrap().len(), 9, "the small ones do not wait");
}

#[test]
fn a_day_is_sorted_once_it_is_quiet_and_again_only_for_enough_new_rows() {
    let day = |files: &[LiveFile], now_ms| sort_plan(files, now_ms);
    assert_eq!(day(&[], 0), SortPlan::Done);
    let fresh = [file(1, 100, None), LiveFile { newest_ms: 7, ..file(2, 100, None) }];
    assert_eq!(day(&fresh, 7 + QUIET_MS - 1), SortPlan::NotBefore(7 + QUIET_MS));
    assert_eq!(day(&fresh, 7 + QUIET_MS), SortPlan::Now);
    let run = [file(1, 700, Some("a")), file(2, 100, Some("a"))];
    assert_eq!(day(&run, i64::MAX), SortPlan::Done);
    let two_runs = [file(1, 700, Some("a")), file(2, 100, Some("b"))];
    assert_eq!(day(&two_runs, i64::MAX), SortPlan::Later, "nothing new");
    let little = [run[0].clone(), run[1].clone(), file(3, 100, None)];
    assert_eq!(day(&little, i64::MAX), SortPlan::Later);
    let enough = [run[0].clone(), run[1].clone(), file(3, 115, None)];
    assert_eq!(day(&enough, i64::MAX), SortPlan::Now);
    let spent = [LiveFile { written_bytes: 301, ..file(1, 100, None) }];
    assert_eq!(day(&spent, i64::MAX), SortPlan::Later, "sorting would write the fifth byte for one");
}

#[test]
fn a_day_expires_with_its_end_and_not_before_its_rows_could_be_exported() {
    let retention = Retention { keep_ms: 100 * DAY_MS, after_ingest_ms: 16 * DAY_MS };
    let ingested = |newest_ms| [LiveFile { newest_ms, ..file(1, 1, None) }];
    let day = Day::from_days_since_epoch(10);
    assert_eq!(expires_at_ms(day, &ingested(11 * DAY_MS), retention), 111 * DAY_MS);
    assert_eq!(expires_at_ms(day, &ingested(300 * DAY_MS), retention), 316 * DAY_MS, "back-filled");
}
