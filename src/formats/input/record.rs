//! One JSON object into the columns, in one pass and without a tree of it.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::columns::{Booleans, Column, Columns, Numbers, Texts, slot_name};
use super::keys::{Key, Keys};
use super::report::{Fault, excerpt};

/// Whole numbers from here on may have been rounded when they are written as decimals.
pub(super) const EXACT_FLOAT_END: f64 = 9_007_199_254_740_992.0;

/// Writes the cells of one object into the row at hand. On a fault the row is half written.
pub(super) fn read_record(text: &str, keys: &mut Keys, columns: &mut Columns) -> Result<(), Fault> {
    let mut field = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let row = columns.rows();
    let read = json
        .deserialize_map(RecordVisitor { keys, columns, row, field: &mut field })
        .and_then(|()| json.end())
        .map_err(|error| reason_of(&error));
    read.map_err(|reason| match field {
        Some(slot) => Fault::of_field(slot_name(slot), reason),
        None => Fault::of_record(reason),
    })
}

/// The parser's words without its line, which is always 1 here.
pub(crate) fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let words = text.strip_suffix(&place).unwrap_or(&text);
    match error.classify() {
        Category::Data => words.to_owned(),
        Category::Syntax | Category::Eof | Category::Io => {
            format!("malformed json: {words} at byte {}", error.column())
        }
    }
}

struct RecordVisitor<'r> {
    keys: &'r mut Keys,
    columns: &'r mut Columns,
    row: usize,
    /// Slot of the cell being read, for the report of a fault.
    field: &'r mut Option<usize>,
}

impl<'de> Visitor<'de> for RecordVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { keys, columns, row, field } = self;
        let mut seen = 0_u64;
        keys.begin_record();
        loop {
            *field = None;
            let Some(key) = map.next_key_seed(KeySeed(keys))? else { return Ok(()) };
            let Key::Known(slot) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            *field = Some(slot);
            if seen & (1 << slot) != 0 {
                return Err(de::Error::custom("given twice in one record"));
            }
            seen |= 1 << slot;
            match columns.column(slot) {
                Column::Int(cells) => map.next_value_seed(CellSeed { cells, row })?,
                Column::Float(cells) => map.next_value_seed(CellSeed { cells, row })?,
                Column::Bool(cells) => map.next_value_seed(CellSeed { cells, row })?,
                Column::Text(cells) => map.next_value_seed(CellSeed { cells, row })?,
            }
        }
    }
}

struct KeySeed<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Key, E> {
        Ok(self.0.find(key))
    }
}

/// A column that takes the JSON values of its type; false means that it does not take this one.
pub(super) trait Cells {
    const EXPECTED: &'static str;

    fn integer(&mut self, _row: usize, _value: i64) -> bool {
        false
    }

    fn float(&mut self, _row: usize, _value: f64) -> bool {
        false
    }

    fn boolean(&mut self, _row: usize, _value: bool) -> bool {
        false
    }

    fn text(&mut self, _row: usize, _value: &str) -> bool {
        false
    }
}

impl Cells for Numbers<i64> {
    const EXPECTED: &'static str = "an integer of 64 bits";

    fn integer(&mut self, row: usize, value: i64) -> bool {
        self.set(row, value);
        true
    }

    fn float(&mut self, row: usize, value: f64) -> bool {
        let exact = whole_number(value);
        if let Some(value) = exact {
            self.set(row, value);
        }
        exact.is_some()
    }
}

/// The integer that a float stands for beyond doubt.
#[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
pub(super) fn whole_number(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() < EXACT_FLOAT_END).then_some(value as i64)
}

impl Cells for Numbers<f64> {
    const EXPECTED: &'static str = "a number";

    #[allow(clippy::cast_precision_loss, reason = "a JSON number stands for the nearest double")]
    fn integer(&mut self, row: usize, value: i64) -> bool {
        self.set(row, value as f64);
        true
    }

    fn float(&mut self, row: usize, value: f64) -> bool {
        self.set(row, value);
        true
    }
}

impl Cells for Booleans {
    const EXPECTED: &'static str = "true or false";

    fn boolean(&mut self, row: usize, value: bool) -> bool {
        self.set(row, value);
        true
    }
}

impl Cells for Texts {
    const EXPECTED: &'static str = "a string";

    fn text(&mut self, row: usize, value: &str) -> bool {
        self.set(row, value)
    }
}

struct CellSeed<'c, C> {
    cells: &'c mut C,
    row: usize,
}

impl<'de, C: Cells> DeserializeSeed<'de> for CellSeed<'_, C> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<C: Cells> CellSeed<'_, C> {
    fn taken<E: de::Error>(taken: bool, found: impl FnOnce() -> String) -> Result<(), E> {
        if taken { Ok(()) } else { Err(E::custom(format_args!("expected {}, not {}", C::EXPECTED, found()))) }
    }
}

impl<'de, C: Cells> Visitor<'de> for CellSeed<'_, C> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(C::EXPECTED)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        Self::taken(self.cells.boolean(self.row, value), || value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        Self::taken(self.cells.integer(self.row, value), || value.to_string())
    }

    #[allow(clippy::cast_precision_loss, reason = "only a column of doubles takes what exceeds 2^63")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        let taken = match i64::try_from(value) {
            Ok(value) => self.cells.integer(self.row, value),
            Err(_) => self.cells.float(self.row, value as f64),
        };
        Self::taken(taken, || value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        Self::taken(self.cells.float(self.row, value), || format!("{value:?}"))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        Self::taken(self.cells.text(self.row, value), || format!("the string \"{}\"", excerpt(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Self::taken(false, || "a list".to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Self::taken(false, || "an object".to_owned())
    }
}
