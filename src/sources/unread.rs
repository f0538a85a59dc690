//! Which keys of records a source does not read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use arrow::datatypes::{DataType, Fields};
use serde_json::{Map, Value};

use super::input::{Found, Layout, Records};
use super::source::Source;
use crate::formats::input::{DecodeError, MAX_UNKNOWN_KEYS, OTHER_KEYS};

/// In how many records each key stands that the source does not read, by its path. Distinct paths beyond
/// [`MAX_UNKNOWN_KEYS`] are counted under [`OTHER_KEYS`]; records that are no JSON are passed over.
///
/// # Errors
/// Those of the reader, and where it can no longer be told where records begin.
pub fn unread_keys<R: Read>(
    input: R,
    layout: Layout,
    source: &Source,
    max_record_bytes: usize,
) -> Result<BTreeMap<String, u64>, DecodeError> {
    let mut records = Records::new(input, layout, source, max_record_bytes);
    let schema = source.shape().decoded();
    let mut counts = BTreeMap::new();
    while let Some((_, found)) = records.next()? {
        let Found::Object(object) = found else { continue };
        let Ok(Value::Object(object)) = serde_json::from_slice(&object) else { continue };
        let mut unread = BTreeSet::new();
        of_object(&object, schema.fields(), "", &mut unread);
        for path in unread {
            let apart = counts.contains_key(&path) || counts.len() < MAX_UNKNOWN_KEYS;
            *counts.entry(if apart { path } else { OTHER_KEYS.to_owned() }).or_default() += 1;
        }
    }
    Ok(counts)
}

fn of_object(object: &Map<String, Value>, fields: &Fields, path: &str, unread: &mut BTreeSet<String>) {
    for (key, value) in object {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match fields.find(key) {
            Some((_, field)) => of_value(value, field.data_type(), path, unread),
            None => {
                unread.insert(path);
            }
        }
    }
}

fn of_value(value: &Value, read_as: &DataType, path: String, unread: &mut BTreeSet<String>) {
    match (value, read_as) {
        (Value::Object(object), DataType::Struct(fields)) => of_object(object, fields, &path, unread),
        (Value::Array(list), DataType::List(element)) => {
            for value in list {
                of_value(value, element.data_type(), format!("{path}[]"), unread);
            }
        }
        (Value::Null, _) => {}
        // Declared, but of another type in this record.
        (Value::Object(_) | Value::Array(_), _) | (_, DataType::Struct(_) | DataType::List(_)) => {
            unread.insert(path);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_read_are_counted_by_record() {
        let source = "--: source s\n--: unwrap Records[]\n--: text time, a.b, list[].k, o.x\n\
                      SELECT epoch_ms(time) AS timeStamp FROM record";
        let source = Source::parse(source).unwrap();
        let input = r#"{"Records":[{"time":"x","a":{"b":1,"c":2},"list":[{"k":1,"z":1},{"z":2},5],"o":null},
            {"new":{"deep":1},"a":{"c":3},"o":"text","list":{}}, 7, {"a":}, {"time": {"b": 1}}]}"#;
        let found = unread_keys(input.as_bytes(), Layout::Json, &source, 1_000).unwrap();
        let found: Vec<_> = found.iter().map(|(path, records)| format!("{path} {records}")).collect();
        assert_eq!(found, ["a.c 2", "list 1", "list[] 1", "list[].z 1", "new 1", "o 1", "time 1"]);
        let found = unread_keys(&b"time,w\n1,2\n"[..], Layout::Csv, &source, 1_000).unwrap();
        assert_eq!(found, BTreeMap::from([("w".to_owned(), 1)]));
    }
}
