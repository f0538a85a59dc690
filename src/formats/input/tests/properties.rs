use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, ColumnKind, ColumnType, TENANT_ID, USER_COUNT};
use crate::domain::day::{END_TIME_STAMP_MS, MIN_TIME_STAMP_MS};
use crate::domain::user_count::sketch_of_user;
use crate::domain::user_key::user_key;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|n| json!(f64::from(n) / 4.0)),
        any::<f64>().prop_filter("json has no others", |n| n.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

fn cell_of(column_type: ColumnType) -> BoxedStrategy<Value> {
    match column_type {
        ColumnType::Int64 => any::<i64>().prop_map(Value::from).boxed(),
        ColumnType::Float64 => {
            any::<f64>().prop_filter("json has no others", |n| n.is_finite()).prop_map(Value::from).boxed()
        }
        ColumnType::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        ColumnType::Utf8 => any::<String>().prop_map(Value::from).boxed(),
    }
}

/// A record of some columns in some order; some cells are null.
fn any_record() -> impl Strategy<Value = Vec<(String, Value)>> {
    let cells: Vec<_> = COLUMNS[1..]
        .iter()
        .map(|column| {
            let value = prop_oneof![3 => cell_of(column.column_type), 1 => Just(Value::Null)];
            proptest::option::of(value.prop_map(|value| (column.name.to_owned(), value)))
        })
        .collect();
    let id = proptest::option::of("[a-z]{1,8}".prop_map(|id| (ACTIVITY_ID.to_owned(), Value::from(id))));
    let other = proptest::option::of(any_json().prop_map(|value| ("other".to_owned(), value)));
    (MIN_TIME_STAMP_MS..END_TIME_STAMP_MS, cells, id, other)
        .prop_map(|(time, cells, id, other)| {
            let time = ("timeStamp".to_owned(), Value::from(time));
            cells.into_iter().chain([Some(time), id, other]).flatten().collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn text_of(record: &[(String, Value)]) -> String {
    let cells: Vec<String> =
        record.iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str()))).collect();
    format!("{{{}}}\n", cells.join(","))
}

/// What the contract makes of a given cell, written without the decoder's code.
fn stored(column: &crate::domain::activity::Column, given: Option<&Value>, user: Option<&str>) -> Value {
    let given = given.filter(|value| !value.is_null()).cloned();
    match column.kind {
        _ if column.name == TENANT_ID => json!(5618),
        _ if column.name == USER_COUNT => given.unwrap_or_else(|| {
            user.filter(|user| !user.trim().is_empty()).map_or(Value::Null, |user| json!(sketch_of_user(user)))
        }),
        ColumnKind::Metric => given.unwrap_or_else(|| match column.column_type {
            ColumnType::Float64 => json!(0.0),
            _ => json!(column.default_metric()),
        }),
        _ => given.unwrap_or(Value::Null),
    }
}

fn check_row(batch: &RecordBatch, row: usize, record: &[(String, Value)]) -> Result<(), TestCaseError> {
    let given = |name: &str| record.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let user = given("user").and_then(Value::as_str);
    for column in &COLUMNS {
        prop_assert_eq!(cell(batch, column.name, row), stored(column, given(column.name), user), "{}", column.name);
    }
    let key = user.map(user_key).filter(|key| !key.is_empty());
    prop_assert_eq!(cell(batch, "userKey", row), key.map_or(Value::Null, Value::from));
    if let Some(id) = given(ACTIVITY_ID) {
        prop_assert_eq!(&cell(batch, ACTIVITY_ID, row), id);
    }
    let time = given("timeStamp").and_then(Value::as_i64).unwrap();
    prop_assert_eq!(cell(batch, "day", row), json!(time.div_euclid(86_400_000)));
    Ok(())
}

/// Records as CSV with all columns, quoted only where they must be or where chance wants it.
fn csv_of(records: &[Vec<(String, Value)>], quote_all: bool) -> String {
    let mut names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    names.extend([ACTIVITY_ID, "other"]);
    let mut text = names.join(",");
    for record in records {
        let cells = names.iter().map(|name| {
            let value = record.iter().find(|(key, _)| key == name).map_or(&Value::Null, |(_, value)| value);
            let cell = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let quoted = quote_all || cell.contains(['"', ',', '\n', '\r']);
            if quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
        });
        text = text + "\r\n" + &cells.collect::<Vec<_>>().join(",");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_round_trip(records in vec(any_record(), 1..8)) {
        let text: String = records.iter().map(|record| text_of(record)).collect();
        let (report, batch) = decode(&text).unwrap();
        prop_assert_eq!(report.accepted, records.len() as u64);
        let others = records.iter().filter(|record| record.iter().any(|(key, _)| key == "other")).count() as u64;
        prop_assert_eq!(report.unknown_keys.values().sum::<u64>(), others);
        for (row, record) in records.iter().enumerate() {
            check_row(&batch, row, record)?;
        }
    }

    #[test]
    fn records_round_trip_through_csv(records in vec(any_record(), 1..8), quote_all in any::<bool>()) {
        let (report, batch) = collected(|mut sink| {
            decode_csv(csv_of(&records, quote_all).as_bytes(), &options(), &mut sink)
        }).unwrap();
        prop_assert_eq!(report.accepted, records.len() as u64);
        prop_assert_eq!(report.unknown_keys, [("other".to_owned(), records.len() as u64)].into());
        for (row, record) in records.iter().enumerate() {
            // CSV cannot tell the empty text from null.
            let told = |(_, value): &&(String, Value)| value.as_str() != Some("");
            check_row(&batch, row, &record.iter().filter(told).cloned().collect::<Vec<_>>())?;
        }
    }

    #[test]
    fn bad_records_among_good_ones_leave_no_trace(
        records in vec((any_record(), any::<Option<prop::sample::Index>>()), 1..12)
    ) {
        let mut text = String::new();
        for (record, spoiled) in &records {
            let mut record = record.clone();
            if let Some(place) = spoiled {
                // A list is no value of any column, and the unknown key is skipped whatever it holds.
                record.retain(|(key, _)| key != "other");
                let place = place.index(record.len());
                record[place].1 = json!([1]);
            }
            text += &text_of(&record);
        }
        let (report, batch) = decode_with(&text, &skipping()).unwrap();
        let good: Vec<_> = records.iter().filter(|(_, spoiled)| spoiled.is_none()).collect();
        prop_assert_eq!(report.accepted, good.len() as u64);
        prop_assert_eq!(report.rejected, (records.len() - good.len()) as u64);
        for (row, (record, _)) in good.into_iter().enumerate() {
            check_row(&batch, row, record)?;
        }
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in vec(any::<u8>(), 0..300), pieces in vec("[{}\\[\\]:,\"a\\\\u0-9.eE+ \n-]{0,20}", 0..5)) {
        let _ = decode_with(&bytes, &skipping());
        let _ = decode_with(pieces.join("{\"timeStamp\":1,\"user\":\""), &skipping());
        let mut nowhere = |_| Ok(());
        let _ = decode_csv(&*bytes, &skipping(), &mut nowhere);
        let _ = decode_csv(("timeStamp,user\n".to_owned() + &pieces.join(",")).as_bytes(), &skipping(), &mut nowhere);
        for head in [&b""[..], b"\xFF\xFF\xFF\xFF", b"ARROW1\0\0"] {
            let _ = decode_arrow(&*[head, &bytes].concat(), &skipping(), &mut nowhere);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_kept_or_refused_by_field(place in 1..COLUMNS.len(), value in any_json()) {
        let column = &COLUMNS[place];
        let whole = |n: f64| n.fract() == 0.0 && n.abs() < 2_f64.powi(53);
        let fits = value.is_null() || match column.column_type {
            ColumnType::Int64 => value.as_i64().is_some() || value.is_f64() && value.as_f64().is_some_and(whole),
            ColumnType::Float64 => value.is_number(),
            ColumnType::Boolean => value.is_boolean(),
            ColumnType::Utf8 => value.is_string(),
        };
        let record = [("timeStamp".to_owned(), json!(1)), (column.name.to_owned(), value.clone())];
        let decoded = decode(text_of(&record));
        if fits {
            let (_, batch) = decoded.unwrap();
            let kept = cell(&batch, column.name, 0);
            let expected = stored(column, Some(&value), None);
            if value.is_number() && column.name != TENANT_ID {
                prop_assert_eq!(kept.as_f64(), expected.as_f64());
                prop_assert!(!value.is_i64() || !kept.is_i64() || kept == value);
            } else if column.name != "user" {
                prop_assert_eq!(kept, expected);
            }
        } else {
            let rejection = rejection(decoded);
            prop_assert_eq!(rejection.errors[0].field.as_deref(), Some(column.name));
            prop_assert!(rejection.errors[0].reason.chars().count() <= 160);
        }
    }
}
