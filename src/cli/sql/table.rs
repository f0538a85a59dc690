//! Rows as a table for people: page by page, cells and lines of bounded width, nothing that steers a
//! terminal.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;

use crate::cli::output::printable;

/// Rows of a page: their widest cells decide the widths of its columns.
const PAGE_ROWS: usize = 500;

/// Longest cell, in characters; the rest is left out and marked.
const MAX_CELL: usize = 60;

/// Cells are not made shorter than this to fit a line.
const MIN_CELL: usize = 8;

/// What a column takes beside its cells: a bar and two spaces.
const FRAME: usize = 3;

/// Columns of the answer of `EXPLAIN`, whose texts have many lines.
const EXPLAINED: [&str; 2] = ["plan_type", "plan"];

/// Gathers rows into pages.
#[derive(Debug)]
pub(super) struct Table {
    /// Characters of a line, where there is a bound.
    width: Option<usize>,
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Rows of earlier pages.
    before: usize,
}

impl Table {
    /// A table on a terminal of this width, or without a bound.
    pub(super) const fn new(width: Option<usize>) -> Self {
        Self { width, names: Vec::new(), rows: Vec::new(), before: 0 }
    }

    /// Takes rows and returns the pages that are full.
    ///
    /// # Errors
    /// When a value cannot be formatted.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
        self.learn(&batch.schema());
        if self.names == EXPLAINED {
            return plans(batch);
        }
        let options = FormatOptions::default();
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let mut pages = Vec::new();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| Ok(shortened(&column.value(row).try_to_string()?, MAX_CELL)));
            self.rows.push(cells.collect::<Result<_, ArrowError>>()?);
            if self.rows.len() == PAGE_ROWS {
                pages.push(self.page()?);
            }
        }
        Ok(pages)
    }

    /// The last page; the empty table's header where there is no row at all.
    ///
    /// # Errors
    /// As [`Table::push`].
    pub(super) fn finish(&mut self, schema: Option<SchemaRef>) -> Result<String, ArrowError> {
        if let Some(schema) = schema {
            self.learn(&schema);
        }
        if self.names.is_empty() || self.names == EXPLAINED || (self.rows.is_empty() && self.before > 0) {
            return Ok(String::new());
        }
        self.page()
    }

    fn learn(&mut self, schema: &Schema) {
        if self.names.is_empty() {
            self.names = schema.fields().iter().map(|field| shortened(field.name(), MAX_CELL)).collect();
        }
    }

    fn page(&mut self) -> Result<String, ArrowError> {
        let first = self.before + 1;
        let mut rows = std::mem::take(&mut self.rows);
        self.before += rows.len();
        let Some(width) = self.width else { return grid(&self.names, &rows) };
        let Some(widths) = fitting(&self.names, &rows, width) else {
            return Ok(records(&self.names, &rows, first, width));
        };
        for row in &mut rows {
            for (cell, width) in row.iter_mut().zip(&widths) {
                *cell = shortened(cell, *width);
            }
        }
        let names: Vec<String> = self.names.iter().zip(&widths).map(|(name, width)| shortened(name, *width)).collect();
        grid(&names, &rows)
    }
}

/// Plans with their lines, of whatever width: cut short they would tell nothing.
fn plans(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::default();
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let plan = |row: usize| {
        let cells = columns.iter().map(|column| column.value(row).try_to_string()).collect::<Result<Vec<_>, _>>()?;
        let lines = cells.iter().flat_map(|cell| cell.lines()).map(|line| printable(line) + "\n");
        Ok(lines.collect::<String>())
    };
    (0..batch.num_rows()).map(plan).collect()
}

/// The text as it may be shown, at most `max` characters of it.
fn shortened(text: &str, max: usize) -> String {
    let text = printable(text);
    if text.chars().nth(max).is_none() {
        return text;
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Widths of cells with which a line fits, the widest columns cut first; none where even short cells do not fit.
fn fitting(names: &[String], rows: &[Vec<String>], width: usize) -> Option<Vec<usize>> {
    let longest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).chain(names.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..names.len()).map(longest).collect();
    let room = width.checked_sub(1 + FRAME * names.len())?;
    let mut most = MAX_CELL;
    while widths.iter().sum::<usize>() > room {
        most -= 1;
        if most < MIN_CELL {
            return None;
        }
        for width in &mut widths {
            *width = (*width).min(most);
        }
    }
    Some(widths)
}

/// Rows side by side.
fn grid(names: &[String], rows: &[Vec<String>]) -> Result<String, ArrowError> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    let column = |index: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.get(index).map(String::as_str)).collect::<StringArray>())
    };
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, (0..names.len()).map(column).collect())?;
    Ok(format!("{}\n", pretty_format_batches(&[batch])?))
}

/// One line for each value, for rows that are too wide.
fn records(names: &[String], rows: &[Vec<String>], first: usize, width: usize) -> String {
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(width / 2);
    let mut text = String::new();
    for (number, row) in (first..).zip(rows) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "-[ {number} ]-");
        for (name, cell) in names.iter().zip(row) {
            let (name, cell) =
                (shortened(name, widest), shortened(cell, width.saturating_sub(widest + 3).max(MIN_CELL)));
            let _ = writeln!(text, "{name:widest$} | {cell}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn batch(texts: &[Option<&str>]) -> RecordBatch {
        let numbers: Int64Array = (0..i64::try_from(texts.len()).unwrap()).collect();
        let texts: StringArray = texts.iter().copied().collect();
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef), ("text", Arc::new(texts) as ArrayRef)])
            .unwrap()
    }

    fn shown(width: Option<usize>, batches: &[RecordBatch]) -> Vec<String> {
        let mut table = Table::new(width);
        let mut pages: Vec<String> = batches.iter().flat_map(|batch| table.push(batch).unwrap()).collect();
        pages.push(table.finish(batches.first().map(RecordBatch::schema)).unwrap());
        pages
    }

    #[test]
    fn cells_are_short_and_cannot_steer_the_terminal() {
        let long = "x".repeat(200);
        let page = shown(None, &[batch(&[Some("a\u{1b}[2J\nb"), None, Some(&long)])]).concat();
        assert!(!page.contains('\u{1b}') && page.contains("a\\u{1b}[2J\\nb"), "{page}");
        assert!(page.lines().all(|line| line.chars().count() < 80), "{page}");
        assert!(page.contains(&format!("{}…", "x".repeat(MAX_CELL - 1))), "{page}");
    }

    #[test]
    fn lines_fit_the_terminal_or_become_records() {
        let wide = [batch(&[Some("some text that is rather long"), Some("short")])];
        for width in 20..100 {
            let page = shown(Some(width), &wide).concat();
            assert!(page.lines().all(|line| line.chars().count() <= width), "{width}: {page}");
        }
        insta::assert_snapshot!(shown(Some(30), &wide).concat(), @r"
        +---+------------------------+
        | n | text                   |
        +---+------------------------+
        | 0 | some text that is rat… |
        | 1 | short                  |
        +---+------------------------+
        ");
        insta::assert_snapshot!(shown(Some(14), &wide).concat(), @r"
        -[ 1 ]-
        n    | 0
        text | some te…
        -[ 2 ]-
        n    | 1
        text | short
        ");
    }

    #[test]
    fn plans_keep_their_lines() {
        let column = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
        let plan = [("plan_type", column("physical_plan")), ("plan", column("Sort\n  Scan: \u{1b}[2J"))];
        let shown = shown(Some(10), &[RecordBatch::try_from_iter(plan).unwrap()]).concat();
        assert_eq!(shown, "physical_plan\nSort\n  Scan: \\u{1b}[2J\n");
    }

    #[test]
    fn pages_come_as_they_are_full_and_an_empty_table_has_its_header() {
        let many = vec![Some("a"); PAGE_ROWS + 3];
        let pages = shown(None, &[batch(&many), batch(&many)]);
        let rows: Vec<usize> = pages.iter().map(|page| page.lines().count() - 4).collect();
        assert_eq!(rows, [PAGE_ROWS, PAGE_ROWS, 6]);
        let full = vec![Some("a"); PAGE_ROWS];
        assert_eq!(shown(None, &[batch(&full)])[1], "", "no second header without rows");
        assert!(shown(None, &[batch(&[])])[0].contains("| n | text |"));
        assert_eq!(shown(None, &[]), [""]);
    }
}
