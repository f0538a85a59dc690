//! The header of a source file: lines that begin with `--:`, so that the file is SQL as a whole.
//!
//! ```text
//! --: source NAME                 once; what `?source=` says and the column `source` holds
//! --: about ONE LINE              for people
//! --: unwrap KEY[]                documents list records under this key
//! --: unwrap KEY                  records are wrapped under this key, or stand there as a text of JSON
//! --: unnest KEY[]                a row for each object of this list of a record; `KEY` is that object then
//! --: keys also-lower-case        the outermost keys are read in lower case too
//! --: default COLUMN LITERAL      for rows in which the `SELECT` gives nothing
//! --: text PATH, …                fields to read, by type: also int, float, bool
//! ```
//!
//! A path is keys with dots between; a key that ends in `[]` holds a list. A key with a dot, a comma,
//! brackets or a blank in it is written in double quotes.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::error::{Position, SourceError};
use super::fields::{Fields, Key};
use super::shape::Shape;
use crate::domain::activity::{ColumnType, TENANT_ID, TIME_STAMP, USER_COUNT};
use crate::formats::input::json_records::Unwrap;
use crate::formats::input::{NATIVE_SOURCE, slot_of, slot_type};

/// Begins each line of the header.
const MARK: &str = "--:";

/// Longest name of a source, in bytes.
const MAX_NAME_BYTES: usize = 64;

const KEYWORDS: &str = "source, about, unwrap, unnest, keys, default, text, int, float, bool";

/// The one way to read other keys than the declared.
const ALSO_LOWER_CASE: &str = "also-lower-case";

/// What the header says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) unwrap: Unwrap,
    /// By slot of the column.
    pub(super) defaults: Vec<(usize, ScalarValue)>,
    pub(super) shape: Shape,
}

/// A piece of a header line and where it stands.
#[derive(Debug, Clone, Copy)]
struct Piece<'t> {
    text: &'t str,
    at: Position,
}

impl<'t> Piece<'t> {
    fn error(self, reason: impl Into<String>) -> SourceError {
        SourceError::new(self.at, reason)
    }

    /// What is left after this many bytes.
    fn after(self, bytes: usize) -> Self {
        let (before, text) = self.text.split_at(bytes);
        let column = self.at.column + before.chars().count() as u64;
        Self { text, at: Position { column, ..self.at } }
    }

    fn trimmed(self) -> Self {
        let start = self.text.len() - self.text.trim_start().len();
        let rest = self.after(start);
        Self { text: rest.text.trim_end(), ..rest }
    }

    /// The first word and the rest.
    fn word(self) -> (Self, Self) {
        let this = self.trimmed();
        let end = this.text.find(char::is_whitespace).unwrap_or(this.text.len());
        (Self { text: &this.text[..end], ..this }, this.after(end).trimmed())
    }

    /// Parts between commas that are outside of double quotes.
    fn parts(self) -> Vec<Self> {
        let mut parts = Vec::new();
        let (mut from, mut quoted) = (0, false);
        for (place, c) in self.text.char_indices() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => {
                    parts.push(Self { text: &self.text[from..place], at: self.after(from).at }.trimmed());
                    from = place + 1;
                }
                _ => {}
            }
        }
        parts.push(self.after(from).trimmed());
        parts
    }

    /// A path of keys: each with whether it holds a list.
    fn path(self) -> Result<Vec<Key>, SourceError> {
        let mut path = Vec::new();
        let mut rest = self;
        loop {
            let (name, after) = rest.key()?;
            let list = after.text.starts_with("[]");
            rest = if list { after.after(2) } else { after };
            path.push(Key { name: name.to_owned(), list });
            match rest.text.chars().next() {
                None => return Ok(path),
                Some('.') => rest = rest.after(1),
                Some(_) => return Err(rest.error("expected a dot or the end of the path")),
            }
        }
    }

    /// The first key of a path, and what follows.
    fn key(self) -> Result<(&'t str, Self), SourceError> {
        if let Some(quoted) = self.text.strip_prefix('"') {
            let end = quoted.find('"').ok_or_else(|| self.error("the quote is not closed"))?;
            return Ok((&quoted[..end], self.after(end + 2)));
        }
        let ends = |c: char| matches!(c, '.' | '[' | ']' | '"') || c.is_whitespace();
        let end = self.text.find(ends).unwrap_or(self.text.len());
        if end == 0 {
            return Err(self.error("expected a key"));
        }
        Ok((&self.text[..end], self.after(end)))
    }
}

/// Reads the header.
pub(super) fn parse_header(text: &str) -> Result<Header, SourceError> {
    let mut name = None;
    let mut about = String::new();
    let mut unwrap = Unwrap::default();
    let mut defaults = Vec::new();
    let mut fields = Fields::default();
    let (mut unnest, mut lower_case_too) = (None, false);
    for (line, number) in text.lines().zip(1..) {
        let line = Piece { text: line, at: Position { line: number, column: 1 } }.trimmed();
        if !line.text.starts_with(MARK) {
            continue;
        }
        let (keyword, rest) = line.after(MARK.len()).word();
        if rest.text.is_empty() {
            let reason = format!("`{}` needs something after it; keywords are {KEYWORDS}", keyword.text);
            return Err(keyword.error(reason));
        }
        match keyword.text {
            "source" if name.is_some() => return Err(keyword.error("the source is named twice")),
            "source" => name = Some(source_name(rest)?),
            "about" => rest.text.clone_into(&mut about),
            "unwrap" => add_unwrap(rest, &mut unwrap)?,
            "unnest" if unnest.is_some() => return Err(keyword.error("only one list of a record can be unnested")),
            "unnest" => unnest = Some((unnested_key(rest)?, rest.at)),
            "keys" if rest.text == ALSO_LOWER_CASE => lower_case_too = true,
            "keys" => return Err(rest.error(format!("expected `{ALSO_LOWER_CASE}`"))),
            "default" => add_default(rest, &mut defaults)?,
            "text" => add_fields(rest, &DataType::Utf8, &mut fields)?,
            "int" => add_fields(rest, &DataType::Int64, &mut fields)?,
            "float" => add_fields(rest, &DataType::Float64, &mut fields)?,
            "bool" => add_fields(rest, &DataType::Boolean, &mut fields)?,
            other => return Err(keyword.error(format!("unknown keyword `{other}`; known are {KEYWORDS}"))),
        }
    }
    let start = Position { line: 1, column: 1 };
    let name = name.ok_or_else(|| SourceError::new(start, "the header lacks a line `--: source NAME`"))?;
    if fields.is_empty() {
        return Err(SourceError::new(start, "the header names no fields to read, as in `--: text PATH, PATH`"));
    }
    let (key, at) = unnest.map_or((None, start), |(key, at)| (Some(key), at));
    let shape = Shape::new(fields.into_arrow(), key.as_deref(), lower_case_too);
    let shape = shape.map_err(|reason| SourceError::new(at, reason))?;
    Ok(Header { name, about, unwrap, defaults, shape })
}

fn unnested_key(given: Piece<'_>) -> Result<String, SourceError> {
    match given.path()?.as_slice() {
        [key] if key.list => Ok(key.name.clone()),
        _ => Err(given.error("expected one list of the outermost object, as in `--: unnest events[]`")),
    }
}

fn source_name(given: Piece<'_>) -> Result<String, SourceError> {
    let name = given.text;
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        && name.len() <= MAX_NAME_BYTES;
    if !fits {
        return Err(given.error("a name is a lower-case letter, then such letters, digits, `-` and `_`, at most 64"));
    }
    if name == NATIVE_SOURCE {
        return Err(given.error(format!("`{NATIVE_SOURCE}` is the name of the lake's own columns")));
    }
    Ok(name.to_owned())
}

fn add_unwrap(given: Piece<'_>, unwrap: &mut Unwrap) -> Result<(), SourceError> {
    let path = given.path()?;
    let [key] = path.as_slice() else {
        return Err(given.error("only a key of the outermost object can be unwrapped"));
    };
    if key.list { &mut unwrap.lists } else { &mut unwrap.members }.push(key.name.clone());
    Ok(())
}

fn add_default(given: Piece<'_>, defaults: &mut Vec<(usize, ScalarValue)>) -> Result<(), SourceError> {
    let (column, value) = given.word();
    let slot =
        slot_of(column.text).ok_or_else(|| column.error(format!("there is no activity column `{}`", column.text)))?;
    if [TIME_STAMP, TENANT_ID, USER_COUNT].contains(&column.text) || defaults.iter().any(|(given, _)| *given == slot) {
        return Err(column.error("this column can have no default, or has one already"));
    }
    let literal = match slot_type(slot) {
        ColumnType::Utf8 => quoted(value.text).map(ScalarValue::from),
        ColumnType::Int64 => value.text.parse::<i64>().ok().map(ScalarValue::from),
        ColumnType::Float64 => value.text.parse::<f64>().ok().filter(|n| n.is_finite()).map(ScalarValue::from),
        ColumnType::Boolean => value.text.parse::<bool>().ok().map(ScalarValue::from),
    };
    let literal = literal.ok_or_else(|| {
        let expected = match slot_type(slot) {
            ColumnType::Utf8 => "a text in single quotes",
            ColumnType::Int64 => "an integer",
            ColumnType::Float64 => "a number",
            ColumnType::Boolean => "true or false",
        };
        value.error(format!("expected {expected}"))
    })?;
    defaults.push((slot, literal));
    Ok(())
}

/// A text in single quotes, in which a doubled quote stands for one.
fn quoted(literal: &str) -> Option<String> {
    let inner = literal.strip_prefix('\'')?.strip_suffix('\'')?;
    let single = inner.replace("''", "");
    (!single.contains('\'')).then(|| inner.replace("''", "'"))
}

fn add_fields(given: Piece<'_>, data_type: &DataType, fields: &mut Fields) -> Result<(), SourceError> {
    for part in given.parts() {
        fields.add(&part.path()?, data_type).map_err(|reason| part.error(reason))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_header(text).unwrap_err().to_string()
    }

    #[test]
    fn a_header_says_what_is_read() {
        let header = parse_header(
            "-- A remark.\n--: source my-app\n--: about My app: all of it\n--: unwrap Records[]\n--: unwrap event\n\
             --: default cspId 12\n--: default sourceIdentifier 'it''s'\n--: default deviceManaged true\n\
             --: text id, actor.name, \"a.b, c\".d\n  --: int sizes[], items[].size\n--: float ratio\n--: bool ok\nSELECT 1",
        )
        .unwrap();
        assert_eq!((header.name.as_str(), header.about.as_str()), ("my-app", "My app: all of it"));
        assert_eq!(header.unwrap.lists, ["Records"]);
        assert_eq!(header.unwrap.members, ["event"]);
        let defaults: Vec<_> = header.defaults.iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(defaults, ["12", "it's", "true"]);
        let fields: Vec<_> =
            header.shape.seen().fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        let expected = [
            "id Utf8",
            "actor Struct(\"name\": Utf8)",
            "a.b, c Struct(\"d\": Utf8)",
            "sizes List(Int64)",
            "items List(Struct(\"size\": Int64))",
            "ratio Float64",
            "ok Boolean",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn errors_name_line_and_column() {
        let rest = "--: source s\n--: text a\n";
        for (text, expected) in [
            ("--: text a", "line 1, column 1: the header lacks"),
            ("--: source s", "line 1, column 1: the header names no fields"),
            ("--: source", "line 1, column 5: `source` needs"),
            ("\n--:  colour red", "line 2, column 6: unknown keyword `colour`"),
            ("--: source A", "line 1, column 12: a name is"),
            ("--: source activities", "line 1, column 12: `activities`"),
            (&format!("{rest}--: source t"), "line 3, column 5: the source is named twice"),
            (&format!("{rest}--: unwrap a.b"), "line 3, column 12: only a key"),
            (&format!("{rest}--: default colour 'x'"), "line 3, column 13: there is no activity column `colour`"),
            (&format!("{rest}--: default cspId '1'"), "line 3, column 19: expected an integer"),
            (&format!("{rest}--: default region x"), "line 3, column 20: expected a text in single quotes"),
            (&format!("{rest}--: default region 'a'b'"), "line 3, column 20: expected a text in single quotes"),
            (&format!("{rest}--: default noOfObjects NaN"), "line 3, column 25: expected a number"),
            (&format!("{rest}--: default tenantId 1"), "line 3, column 13: this column can have no default"),
            (&format!("{rest}--: default cspId 1\n--: default cspId 2"), "line 4, column 13: this column"),
            (&format!("{rest}--: text b, é, a.c"), "line 3, column 16: `a` is"),
            (&format!("{rest}--: text b, b"), "line 3, column 13: `b` is"),
            (&format!("{rest}--: text b[], b[].c"), "line 3, column 15: `b` is"),
            (&format!("{rest}--: text b[].c, b.d"), "line 3, column 17: `b` is"),
            (&format!("{rest}--: text b,"), "line 3, column 12: expected a key"),
            (&format!("{rest}--: text b..c"), "line 3, column 12: expected a key"),
            (&format!("{rest}--: text b c"), "line 3, column 11: expected a dot"),
            (&format!("{rest}--: unnest b"), "line 3, column 12: expected one list"),
            (&format!("{rest}--: unnest b[]"), "line 3, column 12: `b` is no declared list of objects"),
            (&format!("{rest}--: text b[]\n--: unnest b[]"), "line 4, column 12: `b` is no declared list of objects"),
            (&format!("{rest}--: unnest b[]\n--: unnest c[]"), "line 4, column 5: only one list"),
            (&format!("{rest}--: keys any"), "line 3, column 10: expected `also-lower-case`"),
            (&format!("{rest}--: text \"b"), "line 3, column 10: the quote is not closed"),
        ] {
            let found = error(text);
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }
}
