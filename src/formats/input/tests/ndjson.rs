use super::*;
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, ColumnKind};
use crate::domain::day::{END_TIME_STAMP_MS, MIN_TIME_STAMP_MS};
use crate::formats::input::report::MAX_LISTED_ERRORS;

/// The one fault of a one-record input.
fn fault(line: &str) -> (Option<String>, String) {
    let rejection = rejection(decode(line));
    assert_eq!((rejection.rejected, rejection.stopped_early), (1, false));
    let error = rejection.errors.into_iter().next().unwrap();
    assert_eq!(error.line, 1);
    (error.field, error.reason)
}

fn fault_of(field: &str, reason: &str) -> (Option<String>, String) {
    (Some(field.to_owned()), reason.to_owned())
}

#[test]
fn the_least_record_gets_its_defaults() {
    let (report, batch) = decode(r#"{"timeStamp":1596840000000}"#).unwrap();
    assert_eq!(batch.schema(), lake_schema());
    for column in &COLUMNS {
        let expected = match (column.kind, column.name) {
            (ColumnKind::Time, _) => json!(1_596_840_000_000_i64),
            (ColumnKind::Tenant, _) => json!(5618),
            (ColumnKind::Metric, "userCount") | (ColumnKind::Dimension, _) => Value::Null,
            (ColumnKind::Metric, "noOfObjects") => json!(0.0),
            (ColumnKind::Metric, "count" | "eventCount") => json!(1),
            (ColumnKind::Metric, _) => json!(0),
        };
        assert_eq!(cell(&batch, column.name, 0), expected, "{}", column.name);
    }
    assert_eq!(cell(&batch, "userKey", 0), Value::Null);
    assert_eq!(cell(&batch, "source", 0), json!("activities"));
    assert_eq!(cell(&batch, "ingestedAt", 0), json!(INGESTED_AT));
    assert_eq!(cell(&batch, "raw", 0), Value::Null);
    assert_eq!(cell(&batch, "day", 0), json!(18_481));
    let day = report.days.keys().next().unwrap().to_string();
    assert_eq!(day, "2020-08-07");
    assert_eq!(report.tenant_id_replaced, 0);
}

#[test]
fn user_key_and_sketch_are_derived_and_a_given_sketch_stays() {
    let (_, batch) = decode(lines(&[
        json!({"timeStamp": 0, "user": " Box "}),
        json!({"timeStamp": 0, "user": "Box", "userCount": null}),
        json!({"timeStamp": 0, "user": "Box", "userCount": "mine"}),
        json!({"timeStamp": 0, "user": "", "userCount": ""}),
    ]))
    .unwrap();
    let column = |name| (0..4).map(|row| cell(&batch, name, row)).collect::<Vec<_>>();
    assert_eq!(column("userKey"), [json!("box"), json!("box"), json!("box"), Value::Null]);
    assert_eq!(column("userCount")[1..], [json!("AQAAAQAAAACzEA=="), json!("mine"), json!("")]);
    assert_eq!(column("user")[0], json!(" Box "));
}

#[test]
fn ids_are_kept_or_made_in_input_order() {
    let (_, batch) = decode(lines(&[
        json!({"timeStamp": 0}),
        json!({"timeStamp": 0, "activityId": "mine"}),
        json!({"timeStamp": 0, "activityId": null}),
        json!({"timeStamp": 0, "activityId": ""}),
    ]))
    .unwrap();
    let ids: Vec<_> = (0..4).map(|row| cell(&batch, ACTIVITY_ID, row).as_str().unwrap().to_owned()).collect();
    assert_eq!(ids[1], "mine");
    assert!(ids[0] < ids[2] && ids[2] < ids[3], "{ids:?}");
    assert_eq!(uuid::Uuid::parse_str(&ids[3]).unwrap().get_version_num(), 7);
}

#[test]
fn another_tenant_is_replaced_and_counted() {
    let (report, batch) = decode(lines(&[
        json!({"timeStamp": 0, "tenantId": 5618}),
        json!({"timeStamp": 0, "tenantId": 1}),
        json!({"timeStamp": 0}),
    ]))
    .unwrap();
    assert_eq!(report.tenant_id_replaced, 1);
    assert!((0..3).all(|row| cell(&batch, "tenantId", row) == json!(5618)));
    assert_eq!(fault(r#"{"timeStamp":0,"tenantId":"5618"}"#).0.unwrap(), "tenantId");
}

#[test]
fn unknown_keys_are_counted_and_skipped_whatever_they_hold() {
    let text = r#"{"deep":{"a":[{"user":"x"},[1]]},"timeStamp":1,"Deep":"\ud800"}
{"timeStamp":2,"deep":1}
{"timeStamp":"bad","deep":1}"#;
    let (report, batch) = decode_with(text, &skipping()).unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(report.unknown_keys, [("Deep".to_owned(), 1), ("deep".to_owned(), 2)].into());
    assert_eq!(cell(&batch, "user", 0), Value::Null);
}

#[test]
fn blank_lines_crlf_and_a_byte_order_mark() {
    let text = "\u{FEFF}\r\n\n{\"timeStamp\":1}\r\n \t \n  {\"timeStamp\":2}  \n\n{\"timeStamp\":3}";
    let (_, batch) = decode(text).unwrap();
    assert_eq!((0..3).map(|row| cell(&batch, "timeStamp", row)).collect::<Vec<_>>(), [json!(1), json!(2), json!(3)]);
    let rejection = rejection(decode("\r\n\n{\"timeStamp\":1}\n\n{}\n"));
    assert_eq!(rejection.errors[0].line, 5);
}

#[test]
fn escapes_and_surrogates() {
    let (_, batch) =
        decode(r#"{"timeSt\u0061mp":1,"user":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000\u2028","url":"é"}"#).unwrap();
    assert_eq!(cell(&batch, "user", 0), json!("\"\\/\u{8}\u{c}\n\r\té😀\0\u{2028}"));
    assert_eq!(cell(&batch, "url", 0), json!("é"));
    for lone in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x", r"\ud800\u0041"] {
        let (field, reason) = fault(&format!("{{\"timeStamp\":1,\"user\":\"{lone}\"}}"));
        assert_eq!(field.as_deref(), Some("user"), "{lone}");
        assert!(reason.starts_with("malformed json"), "{reason}");
    }
}

#[test]
fn invalid_utf_8_is_a_fault_of_the_record() {
    let mut text = b"{\"timeStamp\":1,\"x\":\"\xFF\"}\n".to_vec();
    text.extend_from_slice(b"{\"timeStamp\":1}");
    let (report, _) = decode_with(text, &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected), (1, 1));
    assert_eq!(report.errors[0].reason, "invalid utf-8 after byte 20");
}

#[test]
fn a_key_may_stand_once() {
    assert_eq!(fault(r#"{"timeStamp":1,"user":"a","user":"a"}"#), fault_of("user", "given twice in one record"));
    assert_eq!(fault(r#"{"timeStamp":1,"timeStamp":null}"#).0.unwrap(), "timeStamp");
    assert_eq!(fault(r#"{"timeStamp":1,"activityId":"a","activityId":"a"}"#).0.unwrap(), "activityId");
}

#[test]
fn time_stamps_are_milliseconds_within_four_digit_years() {
    assert_eq!(fault("{}"), fault_of("timeStamp", "required"));
    assert_eq!(fault(r#"{"timeStamp":null}"#), fault_of("timeStamp", "required"));
    for bad in [MIN_TIME_STAMP_MS - 1, END_TIME_STAMP_MS, i64::MIN, i64::MAX, 1_596_840_000_000_000] {
        let (field, reason) = fault(&format!("{{\"timeStamp\":{bad}}}"));
        assert_eq!(field.as_deref(), Some("timeStamp"));
        assert!(reason.contains("outside the years"), "{reason}");
    }
    // Seconds are not guessed: they are milliseconds of January 1970, and the days show it.
    let (report, _) = decode(r#"{"timeStamp":1596840000}"#).unwrap();
    assert_eq!(report.days.keys().next().unwrap().to_string(), "1970-01-19");
    for (edge, day) in [(MIN_TIME_STAMP_MS, "0001-01-01"), (END_TIME_STAMP_MS - 1, "9999-12-31")] {
        let (report, _) = decode(format!("{{\"timeStamp\":{edge}}}")).unwrap();
        assert_eq!(report.days.keys().next().unwrap().to_string(), day);
    }
}

#[test]
fn wrong_types_name_field_and_value() {
    let with = |cell: &str| fault(&format!("{{\"timeStamp\":1,{cell}}}"));
    let integer = |found| format!("expected an integer of 64 bits, not {found}");
    assert_eq!(with(r#""asn":"1""#), fault_of("asn", &integer(r#"the string "1""#)));
    assert_eq!(with(r#""asn":1.5"#), fault_of("asn", &integer("1.5")));
    assert_eq!(with(r#""asn":9223372036854775808"#), fault_of("asn", &integer("9223372036854775808")));
    assert_eq!(with(r#""asn":9007199254740993.0"#), fault_of("asn", &integer("9007199254740992.0")));
    assert_eq!(with(r#""asn":true"#), fault_of("asn", &integer("true")));
    assert_eq!(with(r#""asn":[1]"#), fault_of("asn", &integer("a list")));
    assert_eq!(with(r#""asn":{"a":1}"#), fault_of("asn", &integer("an object")));
    assert_eq!(with(r#""user":7"#), fault_of("user", "expected a string, not 7"));
    assert_eq!(with(r#""directory":"true""#), fault_of("directory", "expected true or false, not the string \"true\""));
    assert_eq!(with(r#""noOfObjects":"1""#), fault_of("noOfObjects", "expected a number, not the string \"1\""));
    assert_eq!(
        with(r#""noOfObjects":1e400"#),
        fault_of("noOfObjects", "malformed json: number out of range at byte 34")
    );
    assert_eq!(with(r#""activityId":7"#), fault_of("activityId", "expected a string, not 7"));
}

#[test]
fn numbers_keep_their_value() {
    let (_, batch) = decode(concat!(
        r#"{"timeStamp":1.0,"asn":-9223372036854775808,"cspId":9223372036854775807,"fileSize":1e3,"instanceId":-0.0,"#,
        r#""noOfObjects":18446744073709551615}"#
    ))
    .unwrap();
    assert_eq!(cell(&batch, "timeStamp", 0), json!(1));
    assert_eq!(cell(&batch, "asn", 0), json!(i64::MIN));
    assert_eq!(cell(&batch, "cspId", 0), json!(i64::MAX));
    assert_eq!(cell(&batch, "fileSize", 0), json!(1000));
    assert_eq!(cell(&batch, "instanceId", 0), json!(0));
    assert_eq!(cell(&batch, "noOfObjects", 0), json!(18_446_744_073_709_551_615_f64));
}

#[test]
fn malformed_json_is_told_with_its_place_and_without_its_text() {
    for (line, reason) in [
        (r#"{"timeStamp":1"#, "malformed json: EOF while parsing an object at byte 14"),
        (r#"{"timeStamp":1,}"#, "malformed json: trailing comma at byte 16"),
        (r#"{"timeStamp":1} {}"#, "malformed json: trailing characters at byte 17"),
        ("[1]", "expected a json object"),
        ("\"secret\"", "expected a json object"),
    ] {
        assert_eq!(fault(line), (None, reason.to_owned()));
    }
}

#[test]
fn reasons_hold_little_of_a_value_and_no_control_characters() {
    let (_, reason) = fault(&format!("{{\"timeStamp\":1,\"asn\":\"\\u001b[2J{}\"}}", "a".repeat(1000)));
    assert!(!reason.contains('\u{1b}') && reason.contains("\\u{1b}[2Jaaa"), "{reason}");
    assert!(reason.matches('a').count() < 80 && reason.ends_with("…\""), "{reason}");
}

#[test]
fn rejection_stops_at_the_twentieth_error_and_skipping_does_not() {
    let text = "{\"timeStamp\":1}\n".to_owned() + &"{}\n".repeat(50);
    let rejected = rejection(decode(&text));
    assert_eq!(rejected.errors.len(), MAX_LISTED_ERRORS);
    assert_eq!((rejected.rejected, rejected.stopped_early, rejected.errors[19].line), (20, true, 21));
    let message = DecodeError::Rejected(rejected).to_string();
    assert_eq!(message, "20 bad records or more; the first: line 2, field `timeStamp`: required");

    let (report, batch) = decode_with(&text, &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected, report.errors.len(), batch.num_rows()), (1, 50, 20, 1));
    let (report, batch) = decode_with("{}\n", &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected, batch.num_rows()), (0, 1, 0));
}

#[test]
fn a_bad_record_leaves_no_trace() {
    let good = json!({"timeStamp": 1, "user": "good", "asn": 1, "noOfObjects": 1.5, "directory": true});
    let bad = r#"{"timeStamp":2,"user":"bad","city":"x","asn":9,"noOfObjects":9.5,"directory":false,"activityId":7}"#;
    let text = format!("{bad}\n{good}\n{bad}\n{bad}\n{good}\n{bad}\n");
    let (report, batch) = decode_with(text, &skipping()).unwrap();
    assert_eq!((report.accepted, report.rejected), (2, 4));
    for row in 0..2 {
        for (key, value) in good.as_object().unwrap() {
            assert_eq!(&cell(&batch, key, row), value);
        }
        assert_eq!(cell(&batch, "city", row), Value::Null);
    }
}

#[test]
fn no_records_is_its_own_error() {
    for text in ["", "\n", " \r\n\t\n", "\u{FEFF}"] {
        assert!(matches!(decode(text), Err(DecodeError::Empty)), "{text:?}");
    }
}

#[test]
fn a_closed_sink_ends_the_decoding() {
    let ended = decode_ndjson(&b"{\"timeStamp\":1}"[..], &options(), &mut |_| Err(SinkClosed));
    assert!(matches!(ended, Err(DecodeError::SinkClosed(SinkClosed))));
}
