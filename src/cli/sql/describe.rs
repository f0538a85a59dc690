//! `\d`: the tables, and the columns of one.

use std::fmt::Write as _;

use crate::query::catalog::describe as tables;
use crate::query::catalog::describe::TableDescription;

/// Every table with what its rows are, or the columns of the one that is named.
///
/// # Errors
/// A text when there is no such table.
pub(super) fn describe(name: Option<&str>) -> Result<String, String> {
    match name {
        None => {
            let line = |table: &TableDescription| vec![table.name.to_owned(), table.meaning.to_owned()];
            Ok(aligned(&tables().iter().map(line).collect::<Vec<_>>()))
        }
        Some(name) => {
            let name = name.trim_end_matches(';').trim_matches('"');
            let found = tables()
                .into_iter()
                .find(|table| table.name == name)
                .ok_or_else(|| format!("there is no table `{name}`; \\d lists the tables"))?;
            let lines = found.columns.iter().map(|column| {
                let unit = if column.unit.is_empty() { String::new() } else { format!(" ({})", column.unit) };
                let null = if column.nullable { "" } else { "not null" };
                vec![
                    column.name.clone(),
                    column.sql_type.to_owned(),
                    null.to_owned(),
                    format!("{}{unit}", column.meaning),
                ]
            });
            Ok(format!("{}\n\n{}", found.meaning, aligned(&lines.collect::<Vec<_>>())))
        }
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let width = if column + 1 == line.len() { 0 } else { width(column) + 2 };
            // Writing to a string does not fail.
            let _ = write!(text, "{cell:width$}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_columns_are_described() {
        let all = describe(None).unwrap();
        assert_eq!(all.lines().count(), tables().len());
        assert!(all.starts_with("activities  "), "{all}");
        let one = describe(Some("activities;")).unwrap();
        assert!(
            one.contains("downloadBytes           BIGINT                    not null  bytes downloaded (bytes)"),
            "{one}"
        );
        assert!(describe(Some("passwords")).unwrap_err().contains("no table `passwords`"));
    }
}
