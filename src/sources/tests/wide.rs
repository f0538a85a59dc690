//! Records of several rows, keys in two spellings, texts of JSON, and CSV.

use std::sync::Arc;

use super::super::{Layout, Source, decode_source};
use super::{column, decode, errors, options, parsed, rows};
use crate::formats::input::{DecodeError, OnError};

const TIME: &str = r#""time":"2026-11-20T10:00:00Z""#;

fn unnesting() -> Arc<Source> {
    let text = "--: source test\n--: unnest events[]\n--: text time, id, user, events[].name, events[].time\n\
                SELECT coalesce(epoch_ms(events.time), epoch_ms(time)) AS timeStamp, id AS activityId,\n\
                user AS city, events.name AS actionName FROM record";
    parsed(text)
}

#[test]
fn a_record_of_several_events_is_several_rows_that_its_ids_tell_apart() {
    let input = [
        format!(r#"{{{TIME},"id":"a","user":"u","events":[{{"name":"1"}},{{"name":"2"}},{{"name":"3"}}]}}"#),
        format!(r#"{{{TIME},"id":"b","events":[{{"name":"4"}}]}}"#),
        format!(r#"{{{TIME},"id":"c","events":[]}}"#),
        format!(r#"{{{TIME},"id":"d","events":null}}"#),
        format!(r#"{{{TIME},"id":"e","events":"text"}}"#),
        format!(r#"{{{TIME},"id":"f","events":[null,{{"name":"5"}}]}}"#),
    ];
    let (batches, report) = decode(&unnesting(), input.join("\n").as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "activityId"), ["a", "a#2", "a#3", "b", "c", "d", "e", "f", "f#2"]);
    assert_eq!(column(&batches, "actionName"), ["1", "2", "3", "4", "-", "-", "-", "-", "5"]);
    assert_eq!(column(&batches, "city")[..4], ["u", "u", "u", "-"]);
    assert_eq!((report.accepted, report.rejected), (9, 0));
}

#[test]
fn a_bad_event_costs_its_row_and_is_named() {
    let input = concat!(
        r#"{"id":"a","events":[{"time":"2026-11-20T10:00:00Z"},{"time":"x"},{"time":"2026-11-20T10:00:01Z"}]}"#,
        "\n{\n",
        r#"{"id":"b","events":[{"time":"x"}]}"#
    );
    let (batches, report) = decode(&unnesting(), input.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "activityId"), ["a", "a#3"]);
    assert_eq!((report.accepted, report.rejected), (2, 3));
    let no_time = "field `timeStamp`: no time in coalesce(epoch_ms(events.time), epoch_ms(time))";
    let told = errors(&report);
    assert_eq!(told[0], format!("line 1, {no_time} (row 2 of its record)"));
    assert!(told[1].starts_with("line 2: "), "{told:?}");
    assert_eq!(told[2], format!("line 3, {no_time}"));
}

#[test]
fn memory_is_bounded_however_many_rows_a_record_becomes() {
    // 200 kB that each of 5,000 rows repeats: a gigabyte, if all were there at once.
    let events = vec![r#"{"name":"x"}"#; 5_000].join(",");
    let record = format!(r#"{{{TIME},"id":"a","user":"{}","events":[{events}]}}"#, "u".repeat(200_000));
    let (mut largest, mut count) = (0, 0);
    let report = decode_source(record.as_bytes(), Layout::Json, &unnesting(), &options(), &mut |batch| {
        largest = largest.max(batch.get_array_memory_size());
        count += batch.num_rows();
        Ok(())
    });
    assert_eq!((report.unwrap().accepted, count), (5_000, 5_000));
    assert!(largest < 32 << 20, "{largest} bytes in one batch");
}

#[test]
fn nothing_of_a_record_is_handed_out_after_a_bad_row() {
    let reject = crate::formats::input::DecodeOptions { on_error: OnError::Reject, ..options() };
    let input = r#"{"id":"a","events":[{"time":"x"},{"time":"2026-11-20T10:00:01Z"}]}"#;
    assert!(matches!(decode(&unnesting(), input.as_bytes(), &reject), Err(DecodeError::Rejected(_))));
}

#[test]
fn outermost_keys_are_read_in_lower_case_too_where_the_source_says_so() {
    let text = |more: &str| {
        format!(
            "--: source test\n{more}--: text Time, Who.Name, List[].Name, List[].Value, id\n--: int Size\n\
             SELECT epoch_ms(Time) AS timeStamp, Who.Name AS city, value_of(List, 'Name', 'b', 'Value') AS region,\n\
             Size AS asn, id AS country FROM record"
        )
    };
    let both = parsed(&text("--: keys also-lower-case\n"));
    let input = [
        r#"{"Time":"2026-11-20T10:00:00Z","Who":{"Name":"1"},"List":[{"Name":"b","Value":"x"}],"Size":1,"id":"I"}"#,
        r#"{"time":"2026-11-20T10:00:00Z","who":{"Name":"2"},"list":[{"Name":"b","Value":"y"}],"size":2,"id":"J"}"#,
        r#"{"time":"2026-11-20T10:00:00Z","who":{"name":"no"},"Who":{"Name":"3"},"size":2,"Size":3}"#,
    ]
    .join("\n");
    let (batches, report) = decode(&both, input.as_bytes(), &options()).unwrap();
    let found = ["city", "region", "asn", "country"].map(|name| column(&batches, name));
    assert_eq!(found, [["1", "2", "3"], ["x", "y", "-"], ["1", "2", "3"], ["I", "J", "-"]]);
    assert_eq!(report.rejected, 0);
    let exact = parsed(&text(""));
    assert_eq!(decode(&exact, input.as_bytes(), &options()).unwrap().1.accepted, 1);
}

#[test]
fn records_stand_in_texts_of_json_and_in_csv() {
    let text = "--: source test\n--: unwrap Data\n--: text time, a\n--: int n\n\
                SELECT epoch_ms(time) AS timeStamp, a AS city, n AS asn FROM record";
    let source = parsed(text);
    let inner = format!(r#"{{{TIME},"a":"x\"y\n"}}"#);
    let quoted = serde_json::Value::from(inner.clone()).to_string();
    let json = format!(
        "{{\"Id\":1,\"Data\":{quoted}}}\n{{\"Data\":{inner}}}\n{{{TIME},\"a\":\"bare\",\"Data\":\"no\"}}\n{{\"Data\":\"{{\"}}"
    );
    let (batches, report) = decode(&source, json.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["x\"y\n", "x\"y\n", "bare"]);
    assert_eq!(errors(&report), ["line 4: malformed json: EOF while parsing an object at byte 1"]);

    let csv = format!(
        "Id,Data,a,time,n\n1,\"{}\",,,\n2,,bare,2026-11-20 10:00:00,7\n3,,cells\n4,{{,x,,\n",
        inner.replace('"', "\"\"")
    );
    let mut batches = Vec::new();
    let report = decode_source(csv.as_bytes(), Layout::Csv, &source, &options(), &mut |batch| {
        batches.push(batch);
        Ok(())
    });
    let report = report.unwrap();
    assert_eq!(column(&batches, "city"), ["x\"y\n", "bare"]);
    assert_eq!(column(&batches, "asn"), ["-", "7"]);
    let told = errors(&report);
    assert_eq!(told[0], "line 4: expected 5 cells as the header has, not 3");
    assert!(told[1].starts_with("line 5: malformed json"), "{told:?}");
    assert_eq!(rows(&batches).len(), 2);
}

#[test]
fn empty_texts_are_null_and_joined_texts_leave_out_what_is_missing() {
    let text = "--: source test\n--: text time, a, b, c\n\
                SELECT epoch_ms(time) AS timeStamp, a AS city, joined('.', a, b) AS region,\n\
                location_id(a, country_code(b), c) AS locationId, country_code(b) AS country FROM record";
    let source = parsed(text);
    let record = |rest: &str| format!("{{{TIME}{rest}}}");
    let input = [
        record(r#","a":"x","b":"Brazil","c":"z""#),
        record(r#","a":"","b":"br","c":"""#),
        record(r#","a":"x""#),
        record(r#","a":"","b":"""#),
    ];
    let (batches, _) = decode(&source, input.join("\n").as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["x", "-", "x", "-"]);
    assert_eq!(column(&batches, "region"), ["x.Brazil", "br", "x", "-"]);
    assert_eq!(column(&batches, "locationId"), ["x::BR::z", "::BR::", "x::::", "-"]);
    assert_eq!(column(&batches, "country"), ["BR", "BR", "-", "-"]);
}
