use std::fs;
use std::path::Path;

use super::*;
use crate::domain::activity::{COLUMNS, ColumnType};

/// A vector's text, or none (with a note) where the shared files are not at hand.
fn vector(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors").join(name);
    let text = fs::read_to_string(&path);
    if text.is_err() {
        println!("skipped: no vector {name} beside the checkout");
    }
    text.ok()
}

#[test]
fn the_quoting_vector_decodes_cell_by_cell() {
    let Some(text) = vector("activities-quoting.ndjson") else { return };
    let (report, batch) = decode(&text).unwrap();
    assert_eq!((report.accepted, report.rejected, report.tenant_id_replaced), (400, 0, 0));
    assert!(report.unknown_keys.is_empty());
    for (row, line) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        for column in &COLUMNS {
            let (given, stored) = (&record[column.name], cell(&batch, column.name, row));
            match column.column_type {
                ColumnType::Float64 => assert_eq!(given.as_f64(), stored.as_f64(), "{} row {row}", column.name),
                _ => assert_eq!(given, &stored, "{} row {row}", column.name),
            }
        }
    }
}

/// Cells of a line of the published sample, which has no quotes within quotes.
fn csv_cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

#[test]
fn the_published_sample_gets_its_user_counts_back() {
    let Some(csv) = vector("activities-sample.csv") else { return };
    let rows: Vec<Vec<String>> = csv.lines().skip(1).map(csv_cells).collect();
    let records: Vec<Value> = rows
        .iter()
        .map(|cells| {
            let given =
                COLUMNS.iter().zip(cells).filter(|(column, cell)| column.name != "userCount" && !cell.is_empty());
            given
                .map(|(column, cell)| match column.column_type {
                    ColumnType::Utf8 => (column.name.to_owned(), json!(cell)),
                    _ => (column.name.to_owned(), serde_json::from_str(cell).unwrap()),
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect();
    let (report, batch) = decode(lines(&records)).unwrap();
    assert_eq!(report.accepted, 11);
    for (row, cells) in rows.iter().enumerate() {
        for (column, expected) in COLUMNS.iter().zip(cells) {
            let stored = match cell(&batch, column.name, row) {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            };
            assert_eq!(&stored, expected, "{} row {row}", column.name);
        }
    }
}
