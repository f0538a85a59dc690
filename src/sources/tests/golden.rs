//! The samples in `data/samples`, one of each source, mapped. The snapshots were read by people, cell by cell.

use std::fmt::Write as _;

use super::super::{EMBEDDED, EmbeddedSource, Layout, decode_source};
use super::{errors, options, rows};
use crate::formats::input::DecodeOptions;

/// Columns that are the same in every row, or follow from `user`.
const LEFT_OUT: [&str; 10] = [
    "day",
    "ingestedAt",
    "monitoringStatusMetric",
    "objectType",
    "proxyServerTime",
    "proxyTotalTime",
    "shnProcessTimestamp",
    "tenantId",
    "userCount",
    "userKey",
];

fn sample(name: &str) -> (Layout, Vec<u8>) {
    let file =
        |ending: &str| std::fs::read(format!("{}/data/samples/{name}.{ending}", env!("CARGO_MANIFEST_DIR"))).ok();
    let json = file("json").or_else(|| file("ndjson")).map(|json| (Layout::Json, json));
    json.or_else(|| file("csv").map(|csv| (Layout::Csv, csv))).unwrap_or_else(|| panic!("{name} has no sample"))
}

/// Rows as lines of what they hold, and what was refused.
fn mapped(file: &EmbeddedSource) -> String {
    let (layout, sample) = sample(file.name);
    let options = DecodeOptions { source: file.name.to_owned(), ..options() };
    let mut batches = Vec::new();
    let report = decode_source(sample.as_slice(), layout, &file.source().unwrap(), &options, &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    let report = report.unwrap();
    let mut text = String::new();
    // Ids that a source lacks begin with the time of their making.
    let made_now = format!("{:08x}", options.ingested_at_ms >> 16);
    for (row, number) in rows(&batches).into_iter().zip(1..) {
        writeln!(text, "row {number}").unwrap();
        // Zero is what a metric is without a value.
        let told = |name: &str, value: &serde_json::Value| {
            let made = name == "activityId" && value.as_str().is_some_and(|id| id.starts_with(&made_now));
            !made
                && !LEFT_OUT.contains(&name)
                && *value != 0
                && *value != 0.0
                && !(name.ends_with("ount") && *value == 1)
        };
        for (name, value) in row.iter().filter(|(name, value)| told(name, value)) {
            writeln!(text, "  {name}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap();
        }
    }
    writeln!(text, "accepted {}, rejected {}, nulled {:?}", report.accepted, report.rejected, report.nulled).unwrap();
    for error in errors(&report) {
        writeln!(text, "  {error}").unwrap();
    }
    text
}

#[test]
fn samples_become_the_rows_that_were_reviewed() {
    for file in &EMBEDDED {
        insta::assert_snapshot!(file.name, mapped(file));
    }
}

#[test]
fn secrets_in_other_fields_do_not_get_in() {
    for file in &EMBEDDED {
        let (_, sample) = sample(file.name);
        assert!(String::from_utf8(sample).unwrap().contains("SECRET"), "{} tries it", file.name);
        assert!(!mapped(file).contains("SECRET"), "{}", file.name);
    }
}
