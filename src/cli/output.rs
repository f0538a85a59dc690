//! What commands print on stdout: tables for people, JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use super::CommandError;

/// How lists and details are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ListFormat {
    /// Aligned columns, for people.
    Table,
    /// JSON, for programs.
    Json,
}

/// The choice between a table and JSON.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct FormatArgs {
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    pub format: ListFormat,
}

/// Prints on stdout. A reader that has gone away has seen enough, so that is no failure.
///
/// # Errors
/// When stdout cannot be written for another reason.
pub fn print(text: &str) -> Result<(), CommandError> {
    print_more(text).map(drop)
}

/// As [`print`], and says whether anybody still reads: a command that goes on for ever ends with its reader.
///
/// # Errors
/// As [`print`].
pub fn print_more(text: &str) -> Result<bool, CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(CommandError::io("cannot write to stdout", error)),
        Ok(()) => Ok(true),
    }
}

/// Prints a list: as a table with these headings, or as a JSON array.
///
/// # Errors
/// As [`print`].
pub fn list<T: Serialize>(
    format: ListFormat,
    values: &[T],
    headings: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> Result<(), CommandError> {
    match format {
        ListFormat::Json => json(&values),
        ListFormat::Table => {
            let rows = std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect());
            print(&table(&rows.chain(values.iter().map(cells)).collect::<Vec<_>>()))
        }
    }
}

/// Prints one thing: as a line for each field, or as a JSON object.
///
/// # Errors
/// As [`print`].
pub fn details<T: Serialize>(
    format: ListFormat,
    value: &T,
    fields: impl Fn(&T) -> Vec<(&'static str, Option<String>)>,
) -> Result<(), CommandError> {
    match format {
        ListFormat::Json => json(value),
        ListFormat::Table => {
            let shown = fields(value).into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
            print(&table(&shown.collect::<Vec<_>>()))
        }
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`print`].
pub fn json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let mut text = serde_json::to_string_pretty(value).map_err(CommandError::failed)?;
    text.push('\n');
    print(&text)
}

/// Rows with aligned columns, two spaces apart.
fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of =
        |column| rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The text without characters that could steer a terminal.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_debug()) } else { shown.push(c) }
    }
    shown
}

/// A number with its noun.
pub fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_cells_cannot_steer_the_terminal() {
        let rows = [["id", "name"], ["5618", "a\u{1b}[2J\nb"], ["7", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "id    name\n5618  a\\u{1b}[2J\\nb\n7\n");
    }
}
