//! The plain records of which most inputs consist, into the columns without a general parser.
//!
//! Plain is: one object on its line without a control character or a backslash, of strings, numbers, `true`, `false` and
//! `null`. Whatever is not, or not sound, is left to [`read_record`](super::record::read_record), so that one place
//! alone says what is wrong. A record that is taken here fills the same cells as there.

use memchr::memchr;

use super::columns::{Column, Columns};
use super::keys::{Key, Keys};
use super::record::Cells;

/// Most digits of a number that are certain to fit into 64 bits.
const MAX_DIGITS: usize = 18;

/// Writes the cells of a plain record into the row at hand. None when it is not plain: the row is half written then.
pub(super) fn read_plain_record(text: &str, keys: &mut Keys, columns: &mut Columns) -> Option<()> {
    // Counted, not looked for: that way many bytes are looked at together.
    if text.bytes().filter(|byte| *byte < b' ' || *byte == b'\\').count() > 0 {
        return None;
    }
    let row = columns.rows();
    let mut seen = 0_u64;
    let mut rest = Rest { text, at: 0 };
    keys.begin_record();
    rest.take(b'{')?;
    loop {
        match rest.key(keys)? {
            Key::Known(slot) => {
                let bit = 1 << slot;
                if seen & bit != 0 {
                    return None;
                }
                seen |= bit;
                rest.cell(columns.column(slot), row)?;
            }
            Key::Unknown => rest.skip_value()?,
        }
        match rest.next()? {
            b',' => rest.skip_space(),
            b'}' => break,
            _ => return None,
        }
    }
    (rest.at == text.len()).then_some(())
}

/// A number, as the general parser understands it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Integer(i64),
    Float(f64),
}

/// What is left of a record.
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn bytes(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn next(&mut self) -> Option<u8> {
        let next = self.bytes().first().copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes().starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Many writers put one space behind a comma and a colon.
    fn skip_space(&mut self) {
        self.at += usize::from(self.bytes().first() == Some(&b' '));
    }

    /// A string, from behind its opening quote to behind its closing one.
    fn string(&mut self) -> Option<&'t str> {
        let end = self.at + memchr(b'"', self.bytes())?;
        let string = self.text.get(self.at..end);
        self.at = end + 1;
        string
    }

    /// A key, its colon included.
    fn key(&mut self, keys: &mut Keys) -> Option<Key> {
        self.take(b'"')?;
        let key = if let Some((key, len)) = keys.expected(self.bytes()) {
            self.at += len + 1;
            key
        } else {
            keys.find(self.string()?)
        };
        self.take(b':')?;
        self.skip_space();
        Some(key)
    }

    fn cell(&mut self, column: &mut Column, row: usize) -> Option<()> {
        let taken = match (*self.bytes().first()?, column) {
            (b'"', Column::Text(cells)) => {
                self.at += 1;
                cells.set(row, self.string()?)
            }
            (b'-' | b'0'..=b'9', Column::Int(cells)) => self.number(row, cells)?,
            (b'-' | b'0'..=b'9', Column::Float(cells)) => self.number(row, cells)?,
            (b't', Column::Bool(cells)) => {
                self.word("true")?;
                cells.boolean(row, true)
            }
            (b'f', Column::Bool(cells)) => {
                self.word("false")?;
                cells.boolean(row, false)
            }
            (b'n', _) => return self.word("null"),
            _ => false,
        };
        taken.then_some(())
    }

    fn number(&mut self, row: usize, cells: &mut impl Cells) -> Option<bool> {
        let bytes = self.bytes();
        let (number, len) = number(bytes)?;
        self.at += len;
        Some(match number {
            Number::Integer(value) => cells.integer(row, value),
            Number::Float(value) => cells.float(row, value),
        })
    }

    fn skip_value(&mut self) -> Option<()> {
        match *self.bytes().first()? {
            b'"' => {
                self.at += 1;
                self.string().map(drop)
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => {
                self.at += number(self.bytes())?.1;
                Some(())
            }
            _ => None,
        }
    }
}

/// The number that a text begins with, and its length. None for what JSON does not allow, and for what is left to the
/// general parser: zero with a sign, many digits, and what no double can hold.
fn number(text: &[u8]) -> Option<(Number, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let (whole, digits) = digits(&text[sign..]);
    if digits == 0 || digits > MAX_DIGITS || (digits > 1 && text[sign] == b'0') {
        return None;
    }
    let mut end = sign + digits;
    if !matches!(text.get(end), Some(b'.' | b'e' | b'E')) {
        let value = if sign == 1 { -whole } else { whole };
        return (value != 0 || sign == 0).then_some((Number::Integer(value), end));
    }
    if text[end] == b'.' {
        let (_, decimals) = self::digits(&text[end + 1..]);
        if decimals == 0 {
            return None;
        }
        end += 1 + decimals;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let (_, digits) = self::digits(&text[end + 1 + sign..]);
        if digits == 0 {
            return None;
        }
        end += 1 + sign + digits;
    }
    let value: f64 = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
    value.is_finite().then_some((Number::Float(value), end))
}

/// The digits that a text begins with: their value if there are at most [`MAX_DIGITS`], and their number.
fn digits(text: &[u8]) -> (i64, usize) {
    let mut value = 0_i64;
    let mut count = 0;
    for digit in text.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        count += 1;
    }
    (value, count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::columns::WireBatch;
    use super::super::record::read_record;
    use super::super::report::DecodeReport;
    use super::*;

    /// What a record becomes by the one reader or the other: its cells, and its unknown keys.
    #[derive(Debug, PartialEq)]
    struct Became {
        cells: String,
        unknown: Vec<(String, u64)>,
    }

    fn became(keys: &mut Keys, columns: &mut Columns) -> Became {
        columns.accept_row();
        keys.accept_record();
        let mut report = DecodeReport::default();
        keys.report(&mut report);
        let WireBatch { columns, .. } = columns.finish().unwrap();
        Became { cells: format!("{columns:?}"), unknown: report.unknown_keys.into_iter().collect() }
    }

    fn plainly(text: &str) -> Option<Became> {
        let (mut keys, mut columns) = (Keys::new(), Columns::default());
        read_plain_record(text, &mut keys, &mut columns)?;
        Some(became(&mut keys, &mut columns))
    }

    fn generally(text: &str) -> Option<Became> {
        let (mut keys, mut columns) = (Keys::new(), Columns::default());
        read_record(text, &mut keys, &mut columns).ok()?;
        Some(became(&mut keys, &mut columns))
    }

    #[test]
    fn plain_records_are_taken_and_become_the_same() {
        for text in [
            r#"{"timeStamp":1,"user":"ann","deviceManaged":true,"directory":false,"noOfObjects":1.5,"city":null}"#,
            r#"{"timeStamp": -12, "user": "", "other": 1e3, "more": "x", "yes": true, "no": false, "none": null}"#,
            r#"{"user":"Ännchen 😀","timeStamp":999999999999999999,"noOfObjects":3}"#,
            r#"{"timeStamp":0,"noOfObjects":-0.25e-3,"count":2.0}"#,
        ] {
            assert_eq!(plainly(text), generally(text), "{text}");
            assert!(plainly(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_or_not_sound_is_left_alone() {
        for text in [
            "",
            "{",
            "{}",
            r#"{"timeStamp":1"#,
            r#"{"timeStamp":1}x"#,
            r#"{"timeStamp":1,}"#,
            r#"{"timeStamp":1,"timeStamp":1}"#,
            r#"{"timeStamp":01}"#,
            r#"{"timeStamp":-0}"#,
            r#"{"timeStamp":-}"#,
            r#"{"timeStamp":1.}"#,
            r#"{"timeStamp":1e}"#,
            r#"{"timeStamp":1.5}"#,
            r#"{"timeStamp":1234567890123456789}"#,
            r#"{"timeStamp":1e999}"#,
            r#"{"timeStamp":"1"}"#,
            r#"{"timeStamp":tru}"#,
            r#"{"user":1}"#,
            r#"{"user":"a\n"}"#,
            "{\"user\":\"a\tb\"}",
            r#"{"user":"a}"#,
            r#"{"other":{"a":1}}"#,
            r#"{"other":[]}"#,
            r#"{"other":-}"#,
            r#"{"user" :"a"}"#,
            r#"{"us"er":"a"}"#,
            r#"["user"]"#,
        ] {
            assert_eq!(plainly(text), None, "{text}");
        }
    }

    /// Texts that are records or nearly so.
    fn near_records() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            Just("timeStamp".to_owned()),
            Just("user".to_owned()),
            Just("noOfObjects".to_owned()),
            Just("count".to_owned()),
            Just("deviceManaged".to_owned()),
            "[a-zé]{0,3}"
        ];
        let value = prop_oneof![
            any::<i64>().prop_map(|value| value.to_string()),
            any::<f64>().prop_map(|value| format!("{value:?}")),
            any::<f64>().prop_map(|value| format!("{value:e}")),
            r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?",
            r#""[^"]{0,8}""#,
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            Just("[1]".to_owned()),
        ];
        let pairs = proptest::collection::vec((key, value, "[:]|: | :"), 0..6);
        (pairs, "[,]|, |,,", "|}|x").prop_map(|(pairs, comma, end)| {
            let pairs: Vec<String> =
                pairs.into_iter().map(|(key, value, colon)| format!("\"{key}\"{colon}{value}")).collect();
            format!("{{{}}}{end}", pairs.join(&comma))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_taken_becomes_what_the_general_parser_makes_of_it(text in near_records()) {
            if let Some(became) = plainly(&text) {
                prop_assert_eq!(Some(became), generally(&text));
            }
        }
    }
}
