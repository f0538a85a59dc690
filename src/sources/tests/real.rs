//! Real logs, where they are at hand: each record is a row or a named refusal.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};

use super::{cloudtrail, column, decode, errors, lines, options, rows};

/// The records of a set, or none with the reason printed.
pub(super) fn records(set: &str) -> Option<Vec<Value>> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")).join(set);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: there is no {}", path.display());
        return None;
    };
    let mut text = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn labelled_events_are_rows_or_refused_for_their_time() {
    let Some(events) = records("panther-labelled-events/rule_tests.ndjson.gz") else { return };
    let logs: Vec<&Value> = events.iter().filter(|l| l["log_type"] == "AWS.CloudTrail").map(|l| &l["log"]).collect();
    let input = lines(&logs);
    let (batches, report) = decode(&cloudtrail(), input.as_bytes(), &options()).unwrap();
    let text = |log: &Value, key: &str| log[key].as_str().unwrap_or_default().to_owned();
    let timed = |log: &&&Value| text(log, "eventTime").starts_with("20") || log.get("@timestamp").is_some();
    let good: Vec<_> = logs.iter().filter(timed).collect();
    assert_eq!((logs.len(), report.accepted), (475, good.len() as u64));
    assert_eq!(report.rejected, (logs.len() - good.len()) as u64);
    assert!(errors(&report).iter().all(|error| error.contains("field `timeStamp`: no time in ")), "{report:?}");
    let or_null = |name: String| if name.is_empty() { "-".to_owned() } else { name };
    let names: Vec<_> = good.iter().map(|log| or_null(text(log, "eventName"))).collect();
    assert_eq!(column(&batches, "actionName"), names);
    let bad = |address: &str| !address.is_empty() && address.parse::<IpAddr>().is_err();
    let nulled = good.iter().filter(|log| bad(&text(log, "sourceIPAddress"))).count();
    assert_eq!(report.nulled.get("sourceIP"), Some(&(nulled as u64)));
}

/// In how many rows of a hundred a column has a value.
pub(super) fn filled(rows: &[Map<String, Value>], name: &str) -> String {
    // Ids that a source lacks begin with the time of their making.
    let made_now = format!("{:08x}", options().ingested_at_ms >> 16);
    let counts = |cell: &&Value| {
        let is_made = name == "activityId" && cell.as_str().is_some_and(|id| id.starts_with(&made_now));
        **cell != 0 && **cell != 0.0 && !is_made
    };
    let filled = rows.iter().filter_map(|row| row.get(name)).filter(counts).count();
    let share = f64::from(u32::try_from(filled).unwrap()) / f64::from(u32::try_from(rows.len()).unwrap());
    format!("{:.1} %", 100.0 * share)
}

/// Columns whose fill rate the page of the source tells.
const TOLD: [&str; 21] = [
    "actionName",
    "serviceName",
    "activityId",
    "accountId",
    "user",
    "profile",
    "sourceIP",
    "clientName",
    "clientOS",
    "clientCategory",
    "url",
    "targetId",
    "targetType",
    "noOfObjects",
    "fileFolderPath",
    "fileName",
    "fileType",
    "fileOwner",
    "fileSharingEnabled",
    "downloadBytes",
    "uploadBytes",
];

#[test]
fn the_page_of_the_source_tells_true_fill_rates() {
    let page = include_str!("../../../docs/sources/cloudtrail.md");
    let sets = ["invictus-aws-cloudtrail/cloudtrail.ndjson.gz", "stratus-detonation-logs/detonation-logs.ndjson.gz"];
    let Some(sets) = sets.into_iter().map(records).collect::<Option<Vec<_>>>() else { return };
    let rows: Vec<_> = sets
        .iter()
        .map(|records| rows(&decode(&cloudtrail(), lines(records).as_bytes(), &options()).unwrap().0))
        .collect();
    let line = |name: &&str| format!("| `{name}` | {} | {} |\n", filled(&rows[0], name), filled(&rows[1], name));
    let table = TOLD.iter().map(line).collect::<Vec<_>>().concat();
    assert!(page.contains(&table), "the page should say:\n{table}");
}
