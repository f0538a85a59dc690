//! Records that are bad, odd or many.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{column, decode, errors, options, source};
use crate::domain::activity::lake_schema;
use crate::formats::input::{DecodeError, DecodeOptions, OnError, Threads, Workers};

const TIME: &str = r#""time":"2026-11-22T00:00:00Z""#;

#[test]
fn every_record_is_a_row_or_a_named_refusal() {
    let source = source("a AS city");
    let input = [
        &format!("{{{TIME},\"a\":\"1\"}}"),
        "{\"a\":\"no time\"}",
        "{\"time\":\"redacted\"}",
        "{\"time\":\"99999-01-01T00:00:00Z\"}",
        "{\"time\":\"0000-01-01T00:00:00Z\"}",
        "5",
        "\"text\"",
        "null",
        "[]",
        "{\"time\":",
        &format!("{{{TIME},\"a\":\"2\"}}}}"),
        &format!("{{{TIME},\"a\":\"2\"}} {{{TIME},\"a\":\"3\"}}"),
        &format!("{{{TIME},\"a\":\"\\ud800\"}}"),
        "",
        &format!("{{{TIME},\"a\":\"4\"}}"),
    ]
    .join("\n");
    let (batches, report) = decode(&source, input.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["1", "4"]);
    assert_eq!((report.accepted, report.rejected), (2, 11));
    assert_eq!(
        errors(&report),
        [
            "line 2, field `timeStamp`: no time in epoch_ms(time)",
            "line 3, field `timeStamp`: no time in epoch_ms(time)",
            "line 4, field `timeStamp`: no time in epoch_ms(time)",
            "line 5, field `timeStamp`: -62167219200000 ms since epoch is outside the years 0001 to 9999",
            "line 6: expected a json object",
            "line 7: expected a json object",
            "line 8: expected a json object",
            // Line 9 is a list of no records.
            "line 10: malformed json: EOF while parsing a value at byte 8",
            "line 11: malformed json: trailing characters at byte 40",
            "line 12: malformed json: trailing characters at byte 41",
            "line 13: malformed json: Encountered unexpected \\'\\\"\\' whilst parsing surrogate pair escape",
        ]
    );
    assert!(batches.iter().all(|batch| batch.schema() == lake_schema()));
}

#[test]
fn bytes_that_are_no_text_cost_their_record() {
    let source = source("a AS city");
    let mut input = format!("{{{TIME},\"a\":\"1\"}}\n{{{TIME},\"a\":\"").into_bytes();
    input.extend_from_slice(b"\xFF\"}\n");
    input.extend_from_slice(format!("{{{TIME},\"a\":\"3\"}}").as_bytes());
    let (batches, report) = decode(&source, &input, &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["1", "3"]);
    assert!(errors(&report)[0].starts_with("line 2: invalid utf-8"), "{:?}", errors(&report));
}

#[test]
fn without_skip_nothing_is_handed_out_after_a_bad_record() {
    let source = source("a AS city");
    let reject = DecodeOptions { on_error: OnError::Reject, ..options() };
    let input = format!("{{{TIME}}}\nnonsense\n{{{TIME}}}\n{{}}");
    match decode(&source, input.as_bytes(), &reject) {
        Err(DecodeError::Rejected(rejection)) => {
            assert_eq!(rejection.rejected, 2);
            assert_eq!(rejection.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [2, 4]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(decode(&source, b"{\"Records\":[]}", &reject), Err(DecodeError::Empty)));
}

#[test]
fn records_of_a_list_are_named_by_number() {
    let source = source("a AS city");
    let input = format!("{{\"Records\":[{{{TIME},\"a\":\"1\"}},{{}},7,{{{TIME},\"a\":\"4\"}}]}}");
    let (batches, report) = decode(&source, input.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["1", "4"]);
    assert_eq!(
        errors(&report),
        [
            "line 1, field `timeStamp`: no time in epoch_ms(time) (record 2 of its list)",
            "line 1: expected a json object (record 3 of its list)",
        ]
    );
}

#[test]
fn fields_of_another_type_read_as_null_and_simple_ones_as_text() {
    let source = source("a AS city, o.x AS region, n AS asn, t AS directory, list[1] AS fileName");
    for (fields, expected) in [
        (r#""a":1.50,"o":{"x":true},"n":"12","t":false,"list":[7]"#, ["1.50", "true", "12", "false", "7"]),
        (r#""a":{"b":1},"o":"HIDDEN","n":"x","t":"true","list":{}"#, ["-", "-", "-", "-", "-"]),
        (r#""a":[1],"o":[{"x":1}],"n":{},"t":1,"list":[{}]"#, ["-", "-", "-", "-", "-"]),
        (r#""a":null,"o":null,"n":null,"t":null,"list":[]"#, ["-", "-", "-", "-", "-"]),
        (r#""a":"é\n\u00e9\"","o":{},"n":12.0,"list":null"#, ["é\né\"", "-", "12", "-", "-"]),
    ] {
        let (batches, report) = decode(&source, format!("{{{TIME},{fields}}}").as_bytes(), &options()).unwrap();
        let found = ["city", "region", "asn", "directory", "fileName"].map(|name| column(&batches, name).concat());
        assert_eq!(found, expected, "{fields}");
        assert_eq!(report.rejected, 0);
    }
}

#[test]
fn bad_addresses_become_null_and_are_counted_by_column() {
    let source = source(
        "ip_address(a) AS sourceIP, coalesce(ip_address(a), ip_address(b)) AS targetId, \
                         CASE WHEN t THEN ip_address(b) END AS url",
    );
    let line = |rest: &str| format!("{{{TIME},{rest}}}\n");
    let input = [
        line(r#""a":"10.0.0.1:443","b":"[2001:DB8::1]:1""#),
        line(r#""a":"035.249.253.232","b":"10.0.0.2""#),
        line(r#""a":"sns.amazonaws.com","b":"256.0.0.1","t":true"#),
        line(r#""a":"","b":null,"t":true"#),
        line(r#""b":"x","t":false"#),
        "{\"a\":\"bad too, but this record has no time\"}\n".to_owned(),
    ];
    let (batches, report) = decode(&source, input.concat().as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "sourceIP"), ["10.0.0.1", "-", "-", "-", "-"]);
    assert_eq!(column(&batches, "targetId"), ["10.0.0.1", "10.0.0.2", "-", "-", "-"]);
    assert_eq!(column(&batches, "url"), ["-"; 5]);
    let nulled = [("sourceIP", 2), ("targetId", 2), ("url", 1)];
    assert_eq!(report.nulled, BTreeMap::from(nulled.map(|(name, rows)| (name.to_owned(), rows))));
    assert_eq!((report.accepted, report.rejected), (5, 1));
}

#[test]
fn what_cannot_be_computed_costs_its_record() {
    let source = source("CAST(a AS BIGINT) AS asn, 10 / n AS cspId, f * 1e300 AS noOfObjects");
    let line = |rest: &str| format!("{{{TIME},{rest}}}\n");
    let input = [
        line(r#""a":"1","n":5,"f":1"#),
        line(r#""a":"x","n":5"#),
        line(r#""a":"2","n":0"#),
        line(r#""a":"3","n":5,"f":1e300"#),
        line(r#""a":"4""#),
    ];
    let (batches, report) = decode(&source, input.concat().as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "asn"), ["1", "4"]);
    assert_eq!(column(&batches, "cspId"), ["2", "-"]);
    let fields: Vec<_> = report.errors.iter().map(|e| (e.line, e.field.clone().unwrap())).collect();
    assert_eq!(fields, [(2, "asn".to_owned()), (3, "cspId".to_owned()), (4, "noOfObjects".to_owned())]);
}

#[test]
fn many_batches_keep_their_order_and_their_places() {
    let source = source("a AS city");
    let record = |n: usize| match n % 1_000 {
        7 => "{}\n".to_owned(),
        8 => "nonsense\n".to_owned(),
        9 => format!("{{{TIME},\n"),
        _ => format!("{{{TIME},\"a\":\"{n}\"}}\n"),
    };
    let input: String = (1..=10_000).map(record).collect();
    let expected: Vec<_> = (1..=10_000).filter(|n| !(7..=9).contains(&(n % 1_000))).map(|n| n.to_string()).collect();
    for workers in [None, Some(Arc::new(Threads(3)) as Arc<dyn Workers>)] {
        let (batches, report) = decode(&source, input.as_bytes(), &DecodeOptions { workers, ..options() }).unwrap();
        assert!(batches.len() > 1);
        assert_eq!(column(&batches, "city"), expected);
        assert_eq!((report.accepted, report.rejected), (9_970, 30));
        let lines: Vec<_> = report.errors.iter().map(|error| error.line).collect();
        assert_eq!(lines[..7], [7, 8, 9, 1_007, 1_008, 1_009, 2_007]);
    }
}
