//! The records of an input, whatever it is written in.

use std::borrow::Cow;
use std::io::Read;

use crate::formats::input::json_records::{self, JsonRecords, Place, Unwrapper};
use crate::formats::input::{CsvObjects, DecodeError, Fault};

use super::source::Source;

/// How the records of a source are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// JSON: objects a line, in lists, or in documents.
    #[default]
    Json,
    /// CSV with a header line, whose names are the keys of each record.
    Csv,
}

/// What stands at a place.
pub(super) enum Found<'a> {
    /// The text of an object.
    Object(Cow<'a, [u8]>),
    /// Something else, and what is wrong with it.
    Fault(Fault),
}

pub(super) enum Records<'s, R> {
    Json(JsonRecords<'s, R>),
    Csv(CsvObjects<R>, Unwrapper<'s>),
}

impl<'s, R: Read> Records<'s, R> {
    pub(super) fn new(input: R, layout: Layout, source: &'s Source, max_record_bytes: usize) -> Self {
        match layout {
            Layout::Json => Self::Json(JsonRecords::new(input, source.unwrap(), max_record_bytes)),
            Layout::Csv => Self::Csv(CsvObjects::new(input, max_record_bytes), Unwrapper::new(source.unwrap())),
        }
    }

    /// The next record or fault, or none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Place, Found<'_>)>, DecodeError> {
        Ok(match self {
            Self::Json(records) => records.next()?.map(|(place, found)| match found {
                json_records::Found::Object(object) => (place, Found::Object(Cow::Borrowed(object))),
                json_records::Found::Fault(reason) => (place, Found::Fault(Fault::of_record(reason))),
            }),
            Self::Csv(records, unwrapper) => records.next()?.map(|(line, found)| {
                let found = match found {
                    Ok(object) => Found::Object(unwrapper.object_in(object).unwrap_or(Cow::Borrowed(object))),
                    Err(fault) => Found::Fault(fault),
                };
                (Place { line, element: None }, found)
            }),
        })
    }
}
