//! What the line editor knows: words to complete, and when a statement is whole.

use std::collections::BTreeSet;

use rustyline::completion::Completer;
use rustyline::hint::HistoryHinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Highlighter, Hinter};

use super::statements::is_complete;
use crate::query::catalog::describe;

/// Words of SQL that are worth completing.
const KEYWORDS: &[&str] = &[
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COUNT",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "SHOW",
    "THEN",
    "TIMESTAMP",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Functions of ours and those that people look for.
const FUNCTIONS: &[&str] = &[
    "approx_distinct",
    "avg",
    "coalesce",
    "count_users",
    "date_bin",
    "date_trunc",
    "first_value",
    "ip_in",
    "lag",
    "last_value",
    "lead",
    "lower",
    "max",
    "merge_user_count",
    "min",
    "now",
    "percentile_cont",
    "rank",
    "round",
    "row_number",
    "substr",
    "sum",
    "to_timestamp",
    "upper",
];

/// Commands of the shell.
pub(super) const COMMANDS: &[&str] = &["\\d", "\\format", "\\help", "\\q", "\\timing"];

/// Helps the line editor.
#[derive(Helper, Hinter, Highlighter)]
pub(super) struct ShellHelper {
    #[rustyline(Hinter)]
    hinter: HistoryHinter,
    names: BTreeSet<String>,
    tables: Vec<&'static str>,
}

impl ShellHelper {
    pub(super) fn new() -> Self {
        let described = describe();
        let tables: Vec<&str> = described.iter().map(|table| table.name).collect();
        let columns = described.iter().flat_map(|table| table.columns.iter().map(|column| column.name.clone()));
        let names = tables.iter().map(|name| (*name).to_owned()).chain(columns).collect();
        Self { hinter: HistoryHinter::new(), names, tables }
    }

    /// Where the word at the cursor begins, and what it may become.
    fn candidates(&self, line: &str, pos: usize) -> (usize, Vec<String>) {
        let head = &line[..pos];
        if head.trim_start().starts_with('\\') {
            return self.command_candidates(head);
        }
        let start = after_last(head, |c| !c.is_ascii_alphanumeric() && c != '_');
        let word = &head[start..];
        if word.is_empty() {
            return (pos, Vec::new());
        }
        let quoted = head[..start].ends_with('"');
        let names = self
            .names
            .iter()
            .filter(|name| begins(name, word))
            .map(|name| if quoted { format!("{name}\"") } else { name.clone() });
        let mut found: Vec<String> = names.collect();
        if !quoted {
            // In the case in which the word was begun.
            let upper = word.starts_with(|c: char| c.is_ascii_uppercase());
            let cased = |word: &str| if upper { word.to_owned() } else { word.to_ascii_lowercase() };
            found.extend(KEYWORDS.iter().filter(|keyword| begins(keyword, word)).map(|keyword| cased(keyword)));
            found.extend(FUNCTIONS.iter().filter(|name| begins(name, word)).map(|name| format!("{name}(")));
        }
        found.dedup();
        (start, found)
    }

    fn command_candidates(&self, head: &str) -> (usize, Vec<String>) {
        let start = after_last(head, char::is_whitespace);
        let word = &head[start..];
        let of = |words: &mut dyn Iterator<Item = &'static str>| {
            words.filter(|w| begins(w, word)).map(str::to_owned).collect()
        };
        let found = match head.split_whitespace().next() {
            Some("\\d") if start > 0 => of(&mut self.tables.iter().copied()),
            Some("\\format") if start > 0 => of(&mut ["table", "csv", "ndjson", "json"].into_iter()),
            _ if head.trim_start().len() == word.len() => of(&mut COMMANDS.iter().copied()),
            _ => Vec::new(),
        };
        (start, found)
    }
}

/// Where the part begins that comes after the last character of a kind.
fn after_last(text: &str, of_kind: impl Fn(char) -> bool) -> usize {
    text.char_indices().rev().find(|(_, c)| of_kind(*c)).map_or(0, |(at, c)| at + c.len_utf8())
}

fn begins(name: &str, word: &str) -> bool {
    name.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

impl Completer for ShellHelper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line, pos))
    }
}

impl Validator for ShellHelper {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let input = context.input();
        let whole = input.trim_start().starts_with('\\') || is_bare_word(input) || is_complete(input);
        Ok(if whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Words that people try in a shell they do not know.
pub(super) fn is_bare_word(input: &str) -> bool {
    ["help", "exit", "quit"].contains(&input.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> Vec<String> {
        let (start, found) = ShellHelper::new().candidates(line, line.len());
        found.iter().map(|word| format!("{}{word}", &line[..start])).collect()
    }

    #[test]
    fn tables_columns_keywords_and_commands_are_completed() {
        assert_eq!(completed("select downl"), ["select downloadBytes"]);
        assert_eq!(
            completed("select * from act"),
            [
                "select * from actionName",
                "select * from activities",
                "select * from activity",
                "select * from activityId"
            ]
        );
        assert_eq!(
            completed("select \"use"),
            ["select \"user\"", "select \"userCount\"", "select \"userKey\"", "select \"users\""]
        );
        assert_eq!(completed("SEL"), ["SELECT"]);
        assert_eq!(completed("sel"), ["select"]);
        assert_eq!(completed("select ip_"), ["select ip_in("]);
        assert!(completed("select us").contains(&"select userKey".to_owned()));
        assert_eq!(completed("\\t"), ["\\timing"]);
        assert_eq!(completed("\\d ano"), ["\\d anomalies"]);
        assert_eq!(completed("\\format nd"), ["\\format ndjson"]);
        for nothing in ["", "select ", "\\timing x", "select ü"] {
            assert!(completed(nothing).is_empty(), "{nothing}");
        }
    }
}
