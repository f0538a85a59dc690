//! Labelled events of every vendor, where they are at hand: all become rows, but for those without a time.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::embedded;
use super::real::{filled, records};
use super::{decode, errors, lines, options, rows};

/// The events of a source in the set.
struct Labelled {
    source: &'static str,
    /// What their `log_type` begins with.
    log_type: &'static str,
    events: usize,
    /// Those whose time can be read, counted by hand.
    timed: u64,
    /// Where the time stands, or a spelling of it that all may have.
    time: &'static [&'static str],
}

const LABELLED: [Labelled; 9] = [
    Labelled { source: "box", log_type: "Box.", events: 31, timed: 0, time: &["created_at"] },
    Labelled { source: "dropbox", log_type: "Dropbox.", events: 17, timed: 11, time: &["timestamp"] },
    Labelled { source: "entra", log_type: "Azure.Audit", events: 48, timed: 48, time: &["time"] },
    Labelled { source: "github", log_type: "GitHub.Audit", events: 107, timed: 71, time: &["@timestamp"] },
    Labelled {
        source: "google-workspace",
        log_type: "GSuite.ActivityEvent",
        events: 165,
        timed: 94,
        time: &["id", "time"],
    },
    Labelled { source: "m365", log_type: "Microsoft365.Audit.", events: 19, timed: 19, time: &["CreationTime"] },
    Labelled { source: "ocsf", log_type: "OCSF.", events: 10, timed: 2, time: &["time"] },
    Labelled { source: "okta", log_type: "Okta.", events: 88, timed: 69, time: &["published"] },
    Labelled { source: "slack", log_type: "Slack.", events: 66, timed: 34, time: &["date_create"] },
];

fn events(set: &[Value], log_type: &str) -> Vec<Value> {
    let wanted = |line: &&Value| line["log_type"].as_str().unwrap().starts_with(log_type);
    set.iter().filter(wanted).map(|line| line["log"].clone()).collect()
}

fn with_time(mut event: Value, path: &[&str]) -> Value {
    let mut place = &mut event;
    for key in path {
        place = &mut place[*key];
    }
    *place = json!("2026-11-20T10:11:12Z");
    event
}

fn page(source: &str) -> String {
    std::fs::read_to_string(format!("{}/docs/sources/{source}.md", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn labelled_events_are_rows_or_refused_for_their_time() {
    let Some(set) = records("panther-labelled-events/rule_tests.ndjson.gz") else { return };
    for Labelled { source: name, log_type, events: count, timed, .. } in &LABELLED {
        let source = embedded(name).unwrap().source().unwrap();
        let events = events(&set, log_type);
        let (_, report) = decode(&source, lines(&events).as_bytes(), &options()).unwrap();
        assert_eq!(events.len(), *count, "{name}");
        assert_eq!((report.accepted, report.rejected), (*timed, *count as u64 - timed), "{name}: {report:?}");
        for error in errors(&report) {
            assert!(error.contains("field `timeStamp`: no time in "), "{name}: {error}");
        }
    }
}

#[test]
fn with_a_time_every_labelled_event_is_a_row_and_pages_tell_true_fill_rates() {
    let Some(set) = records("panther-labelled-events/rule_tests.ndjson.gz") else { return };
    let mut untrue = String::new();
    for Labelled { source: name, log_type, events: count, time, .. } in &LABELLED {
        let source = embedded(name).unwrap().source().unwrap();
        let events = events(&set, log_type).into_iter().map(|event| with_time(event, time));
        let (batches, report) = decode(&source, lines(events).as_bytes(), &options()).unwrap();
        assert_eq!((report.accepted, report.rejected), (*count as u64, 0), "{name}: {report:?}");
        let rows = rows(&batches);
        let page = page(name);
        for column in source.column_names().filter(|column| *column != "timeStamp") {
            let told = format!("| `{column}` | {} | ", filled(&rows, column));
            if !page.contains(&told) {
                writeln!(untrue, "{name}: {told}").unwrap();
            }
        }
    }
    assert!(untrue.is_empty(), "the pages should say:\n{untrue}");
}

#[test]
fn scenarios_are_rows_and_no_event_of_any_product_is_lost() {
    let Some(scenarios) = records("panther-labelled-events/scenarios.ndjson.gz") else { return };
    let Some(set) = records("panther-labelled-events/rule_tests.ndjson.gz") else { return };
    // The one record of Google holds two events.
    for (name, log_type, count, rows) in
        [("cloudtrail", "AWS.CloudTrail", 27, 27), ("okta", "Okta.", 20, 20), ("google-workspace", "GSuite.", 1, 2)]
    {
        let source = embedded(name).unwrap().source().unwrap();
        let wanted = |line: &&Value| line["log_type"].as_str().unwrap().starts_with(log_type);
        let events: Vec<_> = scenarios.iter().filter(wanted).map(|line| &line["event"]).collect();
        let (_, report) = decode(&source, lines(&events).as_bytes(), &options()).unwrap();
        assert_eq!((events.len(), report.accepted, report.rejected), (count, rows, 0), "{name}: {report:?}");
    }
    let all = lines(set.iter().map(|line| &line["log"]));
    for file in &super::super::EMBEDDED {
        let (batches, report) = decode(&file.source().unwrap(), all.as_bytes(), &options()).unwrap();
        let stored: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
        assert_eq!(report.accepted, stored as u64, "{}", file.name);
        assert!(report.accepted + report.rejected >= set.len() as u64, "{}: {report:?}", file.name);
    }
}
