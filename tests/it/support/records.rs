//! Activities as input, and CSV read back by an independent reading of the rule.

use std::path::Path;

use serde_json::{Map, Value, json};

use anomalake::domain::activity::{COLUMNS, ColumnType};

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// An activity of a user at a time, named so that it is found again in the column `fileName`; its id is its name.
pub(crate) fn activity(time_ms: i64, user: &str, name: &str) -> Value {
    json!({ "timeStamp": time_ms, "user": user, "fileName": name, "activityId": name })
}

/// One record a line.
pub(crate) fn ndjson(records: &[Value]) -> String {
    records.iter().flat_map(|record| [record.to_string(), "\n".to_owned()]).collect()
}

/// The wire columns in order.
pub(crate) fn header() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.name).collect()
}

/// Records of a CSV text as cells: quotes hold commas, LFs and doubled quotes; every record ends at LF.
pub(crate) fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut cells, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut cells));
            }
            c => cell.push(c),
        }
    }
    assert!(cell.is_empty() && cells.is_empty() && !quoted, "the last record does not end in LF");
    records
}

/// Rows of the wire's CSV as input records; blank cells and `left_out` are absent.
pub(crate) fn records_of_csv(text: &str, left_out: &str) -> Vec<Value> {
    let rows = csv(text);
    let record = |row: &Vec<String>| {
        let given = COLUMNS.iter().zip(row).filter(|(column, cell)| column.name != left_out && !cell.is_empty());
        let cells = given.map(|(column, cell)| match column.column_type {
            ColumnType::Utf8 => (column.name.to_owned(), json!(cell)),
            _ => (column.name.to_owned(), serde_json::from_str(cell).unwrap()),
        });
        Value::Object(cells.collect::<Map<_, _>>())
    };
    rows.iter().skip(1).map(record).collect()
}

pub(crate) use super::seeded::Seeded;
