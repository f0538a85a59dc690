//! What the data is like, told from the rows alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use proptest::prelude::*;

use super::*;
use crate::domain::day::DAY_MS;
use crate::domain::time_text::parse_time;

const END_MS: i64 = 1_795_305_600_000;

fn plan(seed: u64, users: usize, days: i64, rows: u64) -> Plan {
    Plan { seed, users, days, end_ms: END_MS, rows: Some(rows), profile: Profile::Workload }
}

/// The columns that the tests look at, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    time_ms: i64,
    delivered_on_ms: i64,
    texts: BTreeMap<&'static str, Option<String>>,
}

impl Row {
    fn text(&self, name: &str) -> &str {
        self.texts[name].as_deref().unwrap_or_default()
    }

    fn hour(&self) -> i64 {
        self.time_ms.rem_euclid(DAY_MS) / 3_600_000
    }
}

const TEXTS: [&str; 8] =
    ["activityId", "user", "actionName", "serviceName", "sourceIP", "country", "clientName", "fileName"];

fn rows(company: &Company) -> Vec<Row> {
    company.parts().flat_map(|part| rows_of(&part, company.part(&part).0)).collect()
}

fn rows_of(part: &Part, batches: impl Iterator<Item = RecordBatch>) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let times = batch.column_by_name("timeStamp").unwrap().as_primitive::<Int64Type>().clone();
        let texts: Vec<_> = TEXTS
            .iter()
            .map(|name| (*name, cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap()))
            .collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            Row {
                time_ms: times.value(row),
                delivered_on_ms: part.day_ms,
                texts: texts
                    .iter()
                    .map(|(name, column)| {
                        let column = column.as_string::<i32>();
                        (*name, arrow::array::Array::is_valid(column, row).then(|| column.value(row).to_owned()))
                    })
                    .collect(),
            }
        }));
    }
    rows
}

fn facts(company: &Company) -> Vec<PartFacts> {
    company.parts().map(|part| company.part(&part).1).collect()
}

/// What a file of truth says, counted in the rows.
fn assert_truth(truth: &TruthFile, rows: &[Row]) {
    assert_eq!(truth.rows, rows.len() as u64);
    let ids: HashSet<&str> = rows.iter().map(|row| row.text("activityId")).collect();
    assert_eq!(truth.rows - truth.repeats, ids.len() as u64);
    for anomaly in &truth.anomalies {
        let (from, to) = (parse_time(&anomaly.from, 0).unwrap(), parse_time(&anomaly.to, 0).unwrap());
        let condition = anomaly.condition.as_deref().map(|condition| condition.split_once(" = ").unwrap());
        let found: Vec<&Row> = rows
            .iter()
            .filter(|row| row.text("user") == anomaly.user && (from..to).contains(&row.time_ms))
            .filter(|row| condition.is_none_or(|(column, value)| row.text(column) == value.trim_matches('\'')))
            .collect();
        assert_eq!(anomaly.rows, found.len() as u64, "{anomaly:?}");
        let ids: HashSet<&str> = found.iter().map(|row| row.text("activityId")).collect();
        assert_eq!(anomaly.activities, ids.len() as u64, "{anomaly:?}");
        assert!(anomaly.activities > 0, "{anomaly:?}");
    }
}

fn share(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

fn counts<'a>(rows: impl IntoIterator<Item = &'a Row>, name: &str) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for row in rows {
        *counts.entry(row.text(name)).or_default() += 1;
    }
    counts
}

#[test]
fn the_same_plan_gives_the_same_bytes_in_files() {
    let bytes = |seed, format| {
        let folder = tempfile::tempdir().unwrap();
        write_files(&Company::new(plan(seed, 40, 5, 3_000)), folder.path(), format, &|_| {}).unwrap();
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_owned(), std::fs::read(path).unwrap())
        };
        folder.path().read_dir().unwrap().map(read).collect::<BTreeMap<_, _>>()
    };
    for format in [FileFormat::Parquet, FileFormat::Ndjson] {
        let first = bytes(7, format);
        assert_eq!(first.len(), 5 + 1, "{:?}", first.keys());
        assert!(first == bytes(7, format));
        assert!(first != bytes(8, format));
    }
}

#[test]
fn parts_do_not_depend_on_each_other() {
    let company = Company::new(plan(7, 40, 5, 3_000));
    let parts: Vec<Part> = company.parts().collect();
    let mut backwards: Vec<_> = parts.iter().rev().map(|part| rows_of(part, company.part(part).0)).collect();
    backwards.reverse();
    assert!(backwards.concat() == rows(&company));
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "kept").unwrap();
    let refused = write_files(&Company::new(plan(7, 40, 5, 100)), folder.path(), FileFormat::Ndjson, &|_| {});
    assert!(matches!(refused, Err(WriteError::NotEmpty(_))), "{refused:?}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_plan_gives_its_rows_and_a_true_truth(seed: u64, users in 10_usize..450, days in 1_i64..20, wanted in 1_u64..9_000) {
        let company = Company::new(plan(seed, users, days, wanted));
        let rows = rows(&company);
        prop_assert_eq!(rows.len() as u64, wanted);
        prop_assert_eq!(company.rows(), wanted);
        prop_assert_eq!(company.parts().map(|part| part.rows).sum::<u64>(), wanted);
        let from_ms = END_MS - days * DAY_MS;
        prop_assert!(rows.iter().all(|row| (from_ms..END_MS).contains(&row.time_ms)));
        let truth = company.truth(&facts(&company));
        for anomaly in &truth.anomalies {
            prop_assert!(anomaly.kind != "user-swap" || users >= 200);
        }
        let swapped = |anomaly: &PlantedAnomaly| anomaly.kind == "user-swap";
        // Who swaps may be at rest for the few days of a small plan.
        assert_truth(&TruthFile { anomalies: truth.anomalies.iter().filter(|a| !swapped(a) || a.rows > 0).cloned().collect(), ..truth }, &rows);
    }
}

#[test]
fn large_evidence_is_planted_when_there_is_room() {
    let sizes = |rows| {
        let company = Company::new(plan(1, 1_000, 30, rows));
        let of = |truth: &Truth| company.planted.iter().filter(|event| truth.holds(event)).count();
        let planted = company.truths.iter().filter(|truth| truth.kind == "planted");
        planted.map(of).collect::<Vec<_>>()
    };
    assert_eq!(sizes(1_000_000), [1, 30, 3_000, 100_000, 100_001]);
    assert_eq!(sizes(500_000), [1, 30, 3_000, 100_000]);
    assert_eq!(sizes(20_000), [1, 30, 3_000]);
    assert_eq!(sizes(3), [] as [usize; 0]);
    let company = Company::new(plan(1, 1_000, 30, 1_000_000));
    let kinds = |kind| company.truths.iter().filter(|truth| truth.kind == kind).count();
    assert_eq!((kinds("sudden-volume"), kinds("slow-exfiltration"), kinds("user-swap")), (2, 1, 2));
    for truth in company.truths.iter().filter(|truth| truth.kind == "sudden-volume") {
        let own: Vec<_> = company.planted.iter().filter(|event| truth.holds(event)).collect();
        let apps: HashSet<_> = own.iter().map(|event| event.action).collect();
        assert!(own.len() >= 100 && apps.len() == 80, "{} in {}", own.len(), apps.len());
    }
}

#[test]
fn people_are_log_normal_and_services_steady() {
    let company = Company::new(Plan { rows: None, ..plan(3, 5_000, 7, 0) });
    assert!((5_000_000..8_000_000).contains(&company.rows()), "{}", company.rows());
    let (mut person_days, mut services, mut sync, mut all, mut active) = (Vec::new(), 0, 0, 0, [(0, 0); 2]);
    for slot in &company.slots {
        for share in slot.shares(&company.plan, &company.accounts, |_| false) {
            all += share.rows;
            if share.account < company.accounts.people {
                person_days.push(share.rows);
                active[usize::from(slot.is_weekend())].0 += 1;
            } else {
                services += share.rows;
                sync += if share.account == company.accounts.people && share.burst.is_none() { share.rows } else { 0 };
            }
        }
        active[usize::from(slot.is_weekend())].1 += company.accounts.people;
    }
    person_days.sort_unstable();
    let at = |percent: usize| person_days[person_days.len() * percent / 100];
    assert!((20..=32).contains(&at(50)), "{}", at(50));
    let mean = person_days.iter().sum::<u64>() / person_days.len() as u64;
    assert!((150..=240).contains(&mean), "{mean}");
    // Sigma 2: one e^2 above the median lies 84 %.
    assert!((5..=10).contains(&(at(84) / at(50))), "{}", at(84));
    // Those who make no row do not count as active: the work day's 60 % are not all seen.
    let of = |(seen, people): (usize, usize)| share(seen, people);
    assert!((0.55..0.62).contains(&of(active[0])) && (0.06..0.09).contains(&of(active[1])), "{active:?}");
    let percent = |part: u64| part * 100 / all;
    assert!((40..=70).contains(&percent(services)) && (8..=12).contains(&percent(sync)), "{services} {sync} {all}");
}

#[test]
fn rows_have_the_shapes_of_real_logs() {
    let company = Company::new(plan(11, 300, 14, 60_000));
    let rows = rows(&company);
    assert_truth(&company.truth(&facts(&company)), &rows);
    let (machines, people): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.text("user").starts_with("svc-"));

    // Repeats: one row in twenty, but on the replayed day nearly half.
    let mut by_day: BTreeMap<i64, (usize, HashSet<&str>)> = BTreeMap::new();
    for row in &rows {
        let (count, ids) = by_day.entry(row.delivered_on_ms).or_default();
        *count += 1;
        ids.insert(row.text("activityId"));
    }
    let mut repeated: Vec<f64> = by_day.values().map(|(count, ids)| 1.0 - share(ids.len(), *count)).collect();
    repeated.sort_by(f64::total_cmp);
    assert!((0.03..0.055).contains(&repeated[6]), "{repeated:?}");
    assert!((0.35..0.45).contains(&repeated[13]) && repeated[12] < 0.06, "{repeated:?}");

    // Late rows cross days.
    let late = rows.iter().filter(|row| row.time_ms < row.delivered_on_ms).count();
    let very_late = rows.iter().filter(|row| row.time_ms < row.delivered_on_ms - DAY_MS).count();
    assert!((0.002..0.011).contains(&share(late, rows.len())), "{late}");
    assert!((0.0002..0.0015).contains(&share(very_late, rows.len())), "{very_late}");

    // Reads are four in five, and failures one in ten of what machines do.
    let names: HashMap<&str, world::Effect> =
        company.world.actions.iter().map(|action| (action.name.as_str(), action.effect)).collect();
    let of = |rows: &[&Row], effect| {
        share(rows.iter().filter(|row| names[row.text("actionName")] == effect).count(), rows.len())
    };
    assert!((0.08..0.12).contains(&of(&machines, world::Effect::Failed)));
    assert!((0.02..0.04).contains(&of(&people, world::Effect::Failed)));
    assert!((0.65..0.85).contains(&of(&people, world::Effect::Read)), "{}", of(&people, world::Effect::Read));

    // Each person has few actions; all together have many, the first far ahead.
    let mut own: HashMap<&str, HashSet<(&str, &str)>> = HashMap::new();
    for row in people.iter().filter(|row| !row.text("actionName").to_lowercase().contains("failed")) {
        own.entry(row.text("user")).or_default().insert((row.text("serviceName"), row.text("actionName")));
    }
    let mut own: Vec<usize> = own.values().map(HashSet::len).collect();
    own.sort_unstable();
    assert!((3..=8).contains(&own[own.len() / 2]), "{}", own[own.len() / 2]);
    assert!((100..700).contains(&counts(&rows, "actionName").len()), "{}", counts(&rows, "actionName").len());

    // Most addresses are seen once, and nearly all file names once or twice.
    let addresses = counts(rows.iter().filter(|row| !row.text("user").starts_with("svc-")), "sourceIP");
    let once = share(addresses.values().filter(|n| **n == 1).count(), addresses.len());
    assert!((0.5..0.85).contains(&once), "{once}");
    let mut files = counts(&rows, "fileName");
    files.remove("");
    let twice = share(files.values().filter(|n| **n <= 2).count(), files.len());
    assert!((0.88..0.99).contains(&twice), "{twice}");
    assert!(files.values().max().unwrap() > &5);

    // One country holds most, as with Zipf 1.7, and there are many.
    let countries = counts(people.iter().copied(), "country");
    let most = share(*countries.values().max().unwrap(), people.len());
    assert!((0.3..0.7).contains(&most) && countries.len() > 8, "{most} {countries:?}");

    // Office hours of the greatest country (six hours behind) against its night.
    let at_home: Vec<i64> =
        people.iter().filter(|row| row.text("country") == "US").map(|row| (row.hour() + 18) % 24).collect();
    let within = |from, to| at_home.iter().filter(|hour| (from..to).contains(*hour)).count();
    assert!(within(9, 17) > 5 * within(0, 5), "{} {}", within(9, 17), within(0, 5));
}

#[test]
fn the_demo_has_its_size_and_its_services() {
    for seed in 1..3 {
        let company =
            Company::new(Plan { seed, users: 50, days: 15, end_ms: END_MS, rows: None, profile: Profile::Demo });
        let rows = rows(&company);
        assert!((40_000..65_000).contains(&rows.len()), "{}", rows.len());
        let users = counts(&rows, "user");
        assert!((45..=50).contains(&users.len()), "{}", users.len());
        let ids = counts(&rows, "activityId");
        assert_eq!(ids.len(), rows.len());
        let services = counts(&rows, "serviceName");
        assert!(services.len() == 5 && services.values().all(|n| *n > 500), "{services:?}");
        let by_service_accounts = rows.iter().filter(|row| row.text("user").starts_with("svc-")).count();
        assert!((0.3..0.6).contains(&share(by_service_accounts, rows.len())));
    }
}

#[test]
fn the_planted_stories_hold_at_any_hour_of_the_day() {
    for hour in [0, 11, 22] {
        let end_ms = END_MS + hour * 3_600_000;
        let company = Company::new(Plan { seed: 7, users: 50, days: 15, end_ms, rows: None, profile: Profile::Demo });
        let rows = rows(&company);
        assert!(rows.iter().all(|row| (end_ms - 15 * DAY_MS..end_ms).contains(&row.time_ms)));
        assert_truth(&company.truth(&facts(&company)), &rows);
        let (insider, traveller) = company.stories().unwrap();
        for story in [&insider, &traveller] {
            let window = story.from_ms..story.to_ms;
            let inside = rows.iter().filter(|row| row.text("user") == story.user && window.contains(&row.time_ms));
            assert_eq!(inside.count() as u64, story.activities, "{story:?}");
            assert!(story.to_ms <= end_ms && story.from_ms > end_ms - 7 * DAY_MS, "{story:?}");
        }
        assert!((1_150..=1_250).contains(&insider.suspicious));
        let own = rows.iter().filter(|row| row.text("user") == insider.user);
        assert!(own.clone().all(|row| row.time_ms < insider.to_ms));
        assert!(own.clone().any(|row| row.time_ms < insider.from_ms));
        let downloads = own.filter(|row| row.time_ms >= insider.from_ms && row.text("actionName") == "FILE_DOWNLOAD");
        assert_eq!(downloads.count() as u64, insider.suspicious);

        let window = traveller.from_ms..traveller.to_ms;
        let own = rows.iter().filter(|row| row.text("user") == traveller.user && window.contains(&row.time_ms));
        let (far, near): (Vec<_>, Vec<_>) = own.partition(|row| row.text("country") == "SG");
        assert_eq!(far.len() as u64, traveller.suspicious);
        let last_near = near.iter().map(|row| row.time_ms).max().unwrap();
        let first_far = far.iter().map(|row| row.time_ms).min().unwrap();
        assert!((0..3_600_000).contains(&(first_far - last_near)));
    }
}
