//! Records of CSV as JSON objects, for sources whose vendor exports both.

use std::io::Read;

use super::records::{Records, cells};
use super::text;
use crate::formats::input::error::DecodeError;
use crate::formats::input::report::Fault;

/// A line of its own that PowerShell's exports begin with.
const TYPE_LINE: &[u8] = b"#TYPE ";

/// The first line of a record, and its object or what is wrong with it.
type Line<'a> = (u64, Result<&'a [u8], Fault>);

/// Objects whose keys are the header's names and whose values are the cells' texts; empty cells are left out.
#[derive(Debug)]
pub(crate) struct CsvObjects<R> {
    records: Records<R>,
    /// The header's names as JSON; none before it was read.
    keys: Option<Vec<Vec<u8>>>,
    object: Vec<u8>,
}

impl<R: Read> CsvObjects<R> {
    pub(crate) fn new(reader: R, max_record_bytes: usize) -> Self {
        Self { records: Records::new(reader, max_record_bytes), keys: None, object: Vec::new() }
    }

    /// The next record's first line and its object or what is wrong with it, or none at the end.
    ///
    /// # Errors
    /// Those of the reader; [`DecodeError::RecordTooLarge`]; [`DecodeError::Corrupt`] for a bad header.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, DecodeError> {
        let keys = match &mut self.keys {
            Some(keys) => keys,
            none => match header(&mut self.records)? {
                Some(keys) => none.insert(keys),
                None => return Ok(None),
            },
        };
        let Some((line, record)) = self.records.next()? else { return Ok(None) };
        let written = write_object(record, keys, &mut self.object);
        Ok(Some((line, written.map(|()| self.object.as_slice()))))
    }
}

fn header<R: Read>(records: &mut Records<R>) -> Result<Option<Vec<Vec<u8>>>, DecodeError> {
    let Some((_, mut header)) = records.next()? else { return Ok(None) };
    if header.starts_with(TYPE_LINE) {
        match records.next()? {
            Some((_, next)) => header = next,
            None => return Ok(None),
        }
    }
    let mut keys = Vec::new();
    let read = text(header).and_then(|header| {
        cells(header, |_, name| {
            let mut key = Vec::new();
            write_text(name, &mut key);
            keys.push(key);
            Ok(())
        })
    });
    read.map_err(|fault| DecodeError::Corrupt { what: "csv header", source: fault.reason.into() })?;
    Ok(Some(keys))
}

fn write_object(record: &[u8], keys: &[Vec<u8>], object: &mut Vec<u8>) -> Result<(), Fault> {
    object.clear();
    object.push(b'{');
    let found = cells(text(record)?, |place, cell| {
        if let Some(key) = keys.get(place)
            && !cell.is_empty()
        {
            if object.len() > 1 {
                object.push(b',');
            }
            object.extend_from_slice(key);
            object.push(b':');
            write_text(cell, object);
        }
        Ok(())
    })?;
    object.push(b'}');
    if found == keys.len() {
        Ok(())
    } else {
        Err(Fault::of_record(format!("expected {} cells as the header has, not {found}", keys.len())))
    }
}

/// A text as JSON.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            // Other control characters, of which logs hold next to none.
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    type Read = (u64, Result<Value, String>);

    fn objects(text: &str) -> Result<Vec<Read>, DecodeError> {
        let mut objects = CsvObjects::new(text.as_bytes(), 200);
        let mut found = Vec::new();
        while let Some((line, object)) = objects.next()? {
            let object = object.map(|object| serde_json::from_slice(object).unwrap());
            found.push((line, object.map_err(|fault| fault.reason)));
        }
        Ok(found)
    }

    #[test]
    fn cells_stand_under_the_names_of_the_header() {
        let found = objects("a,\"b\"\"c\"\n1,\"{\"\"x\"\":\"\"\\y\t\r\n\"\"}\"\n,\n2\n").unwrap();
        let expected = [
            (2, Ok(json!({ "a": "1", "b\"c": "{\"x\":\"\\y\t\r\n\"}" }))),
            (4, Ok(json!({}))),
            (5, Err("expected 2 cells as the header has, not 1".to_owned())),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_type_line_is_passed_over_and_an_empty_input_has_no_records() {
        let found = objects("\u{feff}#TYPE Deserialized.Example\r\n\"a\"\r\n\"1\"\r\n").unwrap();
        assert_eq!(found, [(3, Ok(json!({ "a": "1" })))]);
        assert!(objects("").unwrap().is_empty() && objects("#TYPE x").unwrap().is_empty());
        assert!(matches!(objects("a\"b\n"), Err(DecodeError::Corrupt { what: "csv header", .. })));
    }

    proptest! {
        #[test]
        fn every_text_is_kept(cell in "\\PC*[\\x00-\\x1f\"]?\\PC*") {
            prop_assume!(!cell.is_empty());
            let found = objects(&format!("a\n\"{}\"\n", cell.replace('"', "\"\""))).unwrap();
            prop_assert_eq!(&found[0].1, &Ok(json!({ "a": cell })));
        }
    }
}
