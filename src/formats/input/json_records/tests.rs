use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::formats::input::error::DecodeError;

/// Gives its bytes in pieces of a few, so that values lie across reads.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.len().min(buf.len()).min(self.1);
        buf[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

fn unwrap() -> Unwrap {
    Unwrap { lists: vec!["Records".to_owned()], members: vec!["event".to_owned(), "detail".to_owned()] }
}

/// `line[#element] text` or `line[#element] !reason` for each thing found.
fn try_found(input: &[u8]) -> Result<Vec<String>, DecodeError> {
    let unwrap = unwrap();
    let mut records = JsonRecords::new(Trickle(input, 7), &unwrap, 200);
    let mut found = Vec::new();
    while let Some((place, what)) = records.next()? {
        let element = place.element.map(|n| format!("#{n}")).unwrap_or_default();
        let what = match what {
            Found::Object(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Found::Fault(reason) => format!("!{reason}"),
        };
        found.push(format!("{}{element} {what}", place.line));
    }
    Ok(found)
}

fn found(input: &str) -> Vec<String> {
    try_found(input.as_bytes()).unwrap()
}

fn corrupt_at(input: &str) -> String {
    match try_found(input.as_bytes()) {
        Err(DecodeError::Corrupt { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_are_records() {
    assert_eq!(found("{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3} "), ["1 {\"a\":1}", "2 {\"b\":2}", "4 {\"c\":3}"]);
    assert_eq!(found("\u{feff}\n\n{\"a\":1}"), ["3 {\"a\":1}"]);
    assert_eq!(found("{\"a\":1}{\"b\":2}"), ["1 {\"a\":1}", "1 {\"b\":2}"], "as delivery streams join them");
    assert!(found("").is_empty() && found(" \n\n").is_empty());
}

#[test]
fn documents_and_lists_are_taken_apart() {
    let one_line = "{\"Records\":[{\"a\":1},{\"b\":\"]}\\\"\"}]}";
    let records = ["1#1 {\"a\":1}", "1#2 {\"b\":\"]}\\\"\"}"];
    assert_eq!(found(one_line), records);
    assert_eq!(found("{ \"x\": [1], \"Records\" : [ {\"a\":1} ], \"y\": {\"Records\":[]} }"), ["1#1 {\"a\":1}"]);
    let twice = found(&format!("{one_line}{one_line}"));
    assert_eq!(twice, [records, records].concat(), "documents one after the other");
    assert_eq!(found(&format!("{one_line}\n{one_line}\n{{\"c\":3}}\n{one_line}")).len(), 7);
    assert_eq!(found("[{\"a\":1},\n {\"b\":2}]"), ["1#1 {\"a\":1}", "2#2 {\"b\":2}"]);
    let pretty = "{\n  \"Records\": [\n    {\n      \"a\": [\n        1,\n        2\n      ]\n    },\n    {}\n  ]\n}\n";
    assert_eq!(found(pretty), ["3#1 {\n      \"a\": [\n        1,\n        2\n      ]\n    }", "9#2 {}"]);
    assert_eq!(found(&format!("{pretty}{pretty}")).len(), 4);
    assert_eq!(found("{\n\"a\": 1\n}\n{\n\"b\": 2\n}\n"), ["1 {\n\"a\": 1\n}", "4 {\n\"b\": 2\n}"]);
    assert!(found("{\"Records\":[]}").is_empty());
}

#[test]
fn other_keys_are_no_documents() {
    for record in
        ["{\"records\":[{}]}", "{\"x\":{\"Records\":[{}]}}", "{\"Records\":{}}", "{\"x\":\"Records\",\"y\":[{}]}"]
    {
        assert_eq!(found(record), [format!("1 {record}")]);
        assert_eq!(found(&format!("{{}}\n{record}")), ["1 {}".to_owned(), format!("2 {record}")]);
    }
}

#[test]
fn wrappers_give_their_member() {
    assert_eq!(
        found("{\"t\":\"x\",\"event\":{\"a\":1},\"u\":2}\n{\"detail\":{\"b\":2}}"),
        ["1 {\"a\":1}", "2 {\"b\":2}"]
    );
    assert_eq!(found("[{\"detail\":{\"a\":1},\"event\":{\"b\":2}}]"), ["1#1 {\"b\":2}"]);
    assert_eq!(
        found("{\"event\":\" {\\\"a\\\":1}\"}\n{\"event\":5,\"detail\":\"{}\"}"),
        ["1 {\"a\":1}", "2 {}"],
        "a text of JSON"
    );
    for as_is in ["{\"event\":\"no\"}", "{\"x\":{\"event\":{}}}", "{\"a\":\"event\"}", "{\"event\":{},nonsense}"] {
        assert_eq!(found(as_is), [format!("1 {as_is}")]);
    }
}

#[test]
fn a_broken_line_costs_that_line() {
    assert_eq!(
        found("{\"a\":1}\n{\"a\":\n{\"b\":2}\nnonsense {\n5\n{\"a\":\"x\n{\"c\":3}\n"),
        [
            "1 {\"a\":1}",
            // Reading these two tells what is wrong with them.
            "2 {\"a\":",
            "3 {\"b\":2}",
            "4 !expected a json object",
            "5 !expected a json object",
            "6 {\"a\":\"x",
            "7 {\"c\":3}",
        ]
    );
    // The first line decides the layout, so it must not be taken for the start of a document.
    for first in ["{\"a\":", "{\"a\":1", "{\"a\":\"x", "{\"a\":1,", "{\"a\":[1]", "{\"Records\":[{\"a\":1"] {
        let rest = found(&format!("{first}\n{{\"b\":2}}\n{{\"c\":3}}\n")).split_off(1);
        assert_eq!(rest, ["2 {\"b\":2}", "3 {\"c\":3}"], "{first}");
    }
    let documents = "{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":2},{\"c\":\n{\"Records\":[{\"d\":4},\n{\"Records\":[{\"e\":5}]}\n";
    assert_eq!(
        found(documents),
        [
            "1#1 {\"a\":1}".to_owned(),
            "2#1 {\"b\":2}".to_owned(),
            format!("2#2 !{CUT_OFF}"),
            "3#1 {\"d\":4}".to_owned(),
            format!("3 !{CUT_OFF}"),
            "4#1 {\"e\":5}".to_owned(),
        ]
    );
    assert_eq!(found("{\"a\":[}}\n{}"), ["1 !brackets do not match", "2 {}"]);
}

#[test]
fn elements_that_are_no_objects_are_named_and_passed_over() {
    assert_eq!(
        found("[1, \"a]\", null, [{}], {\"a\":1}, -2.5e3]"),
        [
            "1#1 !expected a json object",
            "1#2 !expected a json object",
            "1#3 !expected a json object",
            "1#4 !expected a json object",
            "1#5 {\"a\":1}",
            "1#6 !expected a json object",
        ]
    );
}

#[test]
fn an_input_that_is_cut_off_says_so() {
    for cut in ["{\"Records\":[{\"a\":1},{\"b\"", "{\"Records\":[{\"a\":1}", "{\"Records\":[{\"a\":1}]", "[{\"a\":1},"]
    {
        let found = found(cut);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].ends_with(CUT_OFF), "{found:?}");
    }
}

#[test]
fn a_document_that_cannot_be_followed_ends_the_input() {
    assert_eq!(corrupt_at("{\n\"Records\": [\n{\"a\": 1]\n}\n]}"), format!("line 3: {BRACKETS}"));
    assert_eq!(corrupt_at("{\n\"Records\": [\n{\"a\": \n{\"b\": 1}\n]}"), format!("line 3: {CUT_OFF}"));
    assert_eq!(corrupt_at("{\"Records\":[{}}"), format!("line 1: {BRACKETS}"));
    assert!(corrupt_at("{\n\"a\": 1\n}\n]\n{}").starts_with("line 4: "));
}

#[test]
fn what_is_held_is_bounded() {
    let large = "x".repeat(300);
    for (input, line) in [
        (format!("{{}}\n{{\"a\":\"{large}\"}}"), 2),
        (format!("{{\"Records\":[\n{{\"a\":\"{large}\"}}]}}"), 2),
        (format!("{{\"a\":\"{large}\",\"Records\":[]}}"), 1),
        (format!("{{\"Records\":[],\"a\":\"{large}\"}}"), 1),
        (format!("[\"{large}\"]"), 1),
    ] {
        let result = try_found(input.as_bytes());
        assert!(
            matches!(result, Err(DecodeError::RecordTooLarge { line: at, limit_bytes: 200 }) if at == line),
            "{input}"
        );
    }
    let many = vec!["{\"a\":1}"; 1_000].join(",");
    assert_eq!(found(&format!("{{\"Records\":[{many}]}}")).len(), 1_000, "documents may be larger than a record");
    let lines = format!("{{\"a\":1}}\n{{\"Records\":[{many}]}}\n{{\"a\":1}}\n");
    assert_eq!(found(&lines).len(), 1_002, "also where each stands on a line");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Map, Value};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\{}\\[\\],:\n é]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-z\"\\\\{\\[]{0,4}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn every_way_to_hold_objects_gives_the_same_objects(
        values in prop::collection::vec(json(), 1..6),
        chunk in 1_usize..40,
    ) {
        let objects: Vec<_> = values.into_iter().map(|value| serde_json::json!({ "v": value })).collect();
        let compact: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let pretty: Vec<String> = objects.iter().map(|o| serde_json::to_string_pretty(o).unwrap()).collect();
        let document = serde_json::json!({ "Records": &objects });
        let wrapped: Vec<_> = objects.iter().map(|o| serde_json::json!({ "event": o }).to_string()).collect();
        for text in [
            compact.join("\n"),
            compact.concat(),
            pretty.join("\n"),
            wrapped.join("\n"),
            document.to_string(),
            format!("{{}}\n{document}").split_off(3),
            serde_json::to_string_pretty(&document).unwrap(),
            serde_json::to_string_pretty(&objects).unwrap(),
        ] {
            let unwrap = unwrap();
            let mut records = JsonRecords::new(Trickle(text.as_bytes(), chunk), &unwrap, 1 << 20);
            let mut read = Vec::new();
            while let Some((_, what)) = records.next().unwrap() {
                let Found::Object(bytes) = what else { panic!("{what:?} in {text}") };
                read.push(serde_json::from_slice::<serde_json::Value>(bytes).unwrap());
            }
            prop_assert_eq!(&read, &objects, "{}", text);
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\\n ae1".to_vec()), 0..80)) {
        let _ = try_found(&bytes);
    }
}
