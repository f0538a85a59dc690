//! JSON objects of an input one by one, whatever holds them.
//!
//! One a line, listed by documents under a key, in arrays, or any of these one after the other; over
//! one line or many. What is held at a time is one object, never a document.
//!
//! How far a fault reaches depends on the layout, which the first end of a line tells. Where each
//! value stands on a line, a value that is cut off ends with its line. Where values go over lines, a
//! fault that leaves open where the next object begins ends the input: to guess could lose objects
//! without a word.

mod member;
mod walk;

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use self::walk::{LineEnd, Step, Walk};
use super::error::DecodeError;

/// Bytes asked of the reader at a time.
const CHUNK_BYTES: u64 = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const NO_OBJECT: &str = "expected a json object";

const CUT_OFF: &str = "cut off, or a line ends where none may";

const BRACKETS: &str = "brackets do not match";

/// What stands around the wanted objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unwrap {
    /// Keys of documents that list objects.
    pub(crate) lists: Vec<String>,
    /// Keys of wrappers whose object is wanted, as it is or as a text of JSON; the first that holds one counts.
    pub(crate) members: Vec<String>,
}

/// Takes wrappers off objects.
#[derive(Debug)]
pub(crate) struct Unwrapper<'u> {
    members: &'u [String],
    /// Keys as they stand in the text, to see quickly that an object has none.
    quoted: Vec<memmem::Finder<'static>>,
}

impl<'u> Unwrapper<'u> {
    pub(crate) fn new(unwrap: &'u Unwrap) -> Self {
        Self { members: &unwrap.members, quoted: quoted(&unwrap.members) }
    }

    /// The object in the wrapper, if this is one.
    pub(crate) fn object_in<'a>(&self, object: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        if self.quoted.iter().all(|key| key.find(object).is_none()) {
            return None;
        }
        member::object_of(object, self.members)
    }
}

fn quoted(keys: &[String]) -> Vec<memmem::Finder<'static>> {
    keys.iter().map(|key| memmem::Finder::new(&format!("\"{key}\"")).into_owned()).collect()
}

/// Where something begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line, from 1.
    pub(crate) line: u64,
    /// Number in its list, from 1.
    pub(crate) element: Option<u64>,
}

/// What begins at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// An object by its brackets; its inside is not checked.
    Object(&'a [u8]),
    /// Something else, and what is wrong with it.
    Fault(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// No line has ended yet.
    Unknown,
    /// Each value stands on a line.
    Lines,
    /// Values go over lines.
    Documents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Between values.
    Top,
    /// In a list, after so many elements.
    List { elements: u64, of_document: bool },
    /// In a document, after its list.
    Rest,
}

/// What a step found.
enum Event {
    /// Nothing to tell yet.
    GoOn,
    End,
    Object(Place, Range<usize>),
    Fault(Place, &'static str),
}

/// What became of a value that was walked over.
enum Walked {
    Value(Range<usize>),
    /// It is a document, and its list begins.
    ListBegins,
    Fault(&'static str),
}

/// Reads objects.
pub(crate) struct JsonRecords<'u, R> {
    reader: R,
    buffer: Vec<u8>,
    /// First byte of the buffer that is not taken.
    at: usize,
    /// Its line.
    line: u64,
    begun: bool,
    ended: bool,
    layout: Layout,
    inside: Inside,
    max_record_bytes: usize,
    unwrap: &'u Unwrap,
    /// Keys as they stand in the text, to see quickly that a line holds none.
    quoted_lists: Vec<memmem::Finder<'static>>,
    unwrapper: Unwrapper<'u>,
    /// An object that stood in a text.
    inner: Vec<u8>,
}

impl<R> fmt::Debug for JsonRecords<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonRecords").field("line", &self.line).field("inside", &self.inside).finish_non_exhaustive()
    }
}

impl<'u, R: Read> JsonRecords<'u, R> {
    pub(crate) fn new(reader: R, unwrap: &'u Unwrap, max_record_bytes: usize) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            at: 0,
            line: 1,
            begun: false,
            ended: false,
            layout: Layout::Unknown,
            inside: Inside::Top,
            max_record_bytes,
            unwrap,
            quoted_lists: quoted(&unwrap.lists),
            unwrapper: Unwrapper::new(unwrap),
            inner: Vec::new(),
        }
    }

    /// The next object or fault, or none at the end.
    ///
    /// # Errors
    /// Those of the reader; [`DecodeError::RecordTooLarge`]; [`DecodeError::Corrupt`] where it can no
    /// longer be told where objects begin.
    pub(crate) fn next(&mut self) -> Result<Option<(Place, Found<'_>)>, DecodeError> {
        loop {
            let event = match self.inside {
                Inside::Top => self.at_top()?,
                Inside::List { elements, of_document } => self.in_list(elements, of_document)?,
                Inside::Rest => self.in_rest()?,
            };
            match event {
                Event::GoOn => {}
                Event::End => return Ok(None),
                Event::Object(place, range) => return Ok(Some((place, Found::Object(self.unwrapped(range))))),
                Event::Fault(place, reason) => return Ok(Some((place, Found::Fault(reason)))),
            }
        }
    }

    fn at_top(&mut self) -> Result<Event, DecodeError> {
        let Some(first) = self.skip_to_value()? else { return Ok(Event::End) };
        let place = Place { line: self.line, element: None };
        match first {
            b'[' => {
                self.take(1);
                self.inside = Inside::List { elements: 0, of_document: false };
                Ok(Event::GoOn)
            }
            b'{' => {
                if let Some(line) = self.whole_line()? {
                    return Ok(Event::Object(place, line));
                }
                let unwrap = self.unwrap;
                Ok(match self.walk(Walk::default(), &unwrap.lists)? {
                    Walked::Value(range) => Event::Object(place, range),
                    Walked::ListBegins => {
                        self.inside = Inside::List { elements: 0, of_document: true };
                        Event::GoOn
                    }
                    Walked::Fault(reason) => Event::Fault(place, reason),
                })
            }
            _ if self.layout == Layout::Documents => Err(corrupt(self.line, "expected an object or a list")),
            _ => {
                self.skip_until(|byte| byte == b'\n')?;
                Ok(Event::Fault(place, NO_OBJECT))
            }
        }
    }

    fn in_list(&mut self, elements: u64, of_document: bool) -> Result<Event, DecodeError> {
        let place = Place { line: self.line, element: None };
        let first = self.skip(b',')?;
        if self.line > place.line {
            match self.layout {
                Layout::Unknown => self.layout = Layout::Documents,
                Layout::Documents => {}
                Layout::Lines => {
                    self.inside = Inside::Top;
                    return Ok(Event::Fault(place, CUT_OFF));
                }
            }
        }
        let element = Place { line: self.line, element: Some(elements + 1) };
        self.inside = Inside::List { elements: elements + 1, of_document };
        match first {
            None => {
                self.inside = Inside::Top;
                Ok(Event::Fault(place, CUT_OFF))
            }
            Some(b']') => {
                self.take(1);
                self.inside = if of_document { Inside::Rest } else { Inside::Top };
                Ok(Event::GoOn)
            }
            Some(b'}') => Err(corrupt(self.line, BRACKETS)),
            Some(first @ (b'{' | b'[' | b'"')) => Ok(match self.walk(Walk::default(), &[])? {
                Walked::Value(range) if first == b'{' => Event::Object(element, range),
                Walked::Value(_) | Walked::ListBegins => Event::Fault(element, NO_OBJECT),
                Walked::Fault(reason) => Event::Fault(element, reason),
            }),
            Some(_) => {
                self.skip_until(|byte| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace())?;
                Ok(Event::Fault(element, NO_OBJECT))
            }
        }
    }

    fn in_rest(&mut self) -> Result<Event, DecodeError> {
        let place = Place { line: self.line, element: None };
        let walked = self.walk(Walk::after_list(), &[])?;
        self.inside = Inside::Top;
        Ok(match walked {
            Walked::Value(_) | Walked::ListBegins => Event::GoOn,
            Walked::Fault(reason) => Event::Fault(place, reason),
        })
    }

    /// Takes a value, or as much of it as there is.
    fn walk(&mut self, mut walk: Walk, wanted: &[String]) -> Result<Walked, DecodeError> {
        loop {
            let line_end = if self.layout == Layout::Lines { LineEnd::Cuts } else { LineEnd::MayGoOn };
            let step = walk.go(&self.buffer[self.at..], wanted, line_end);
            if walk.went_on() && self.layout == Layout::Unknown {
                self.layout = Layout::Documents;
            }
            if walk.at() > self.max_record_bytes {
                return Err(DecodeError::RecordTooLarge { line: self.line, limit_bytes: self.max_record_bytes });
            }
            let from = self.at;
            match step {
                Step::More if self.fill()? => {}
                Step::More => {
                    self.take(self.buffer.len() - self.at);
                    self.inside = Inside::Top;
                    return Ok(Walked::Fault(CUT_OFF));
                }
                Step::End(bytes) => {
                    self.take(bytes);
                    return Ok(Walked::Value(from..from + bytes));
                }
                Step::List(bytes) => {
                    self.take(bytes);
                    return Ok(Walked::ListBegins);
                }
                Step::Cut(bytes) => {
                    self.take(bytes);
                    if self.layout == Layout::Documents {
                        return Err(corrupt(self.line, CUT_OFF));
                    }
                    self.layout = Layout::Lines;
                    self.inside = Inside::Top;
                    return Ok(Walked::Fault(CUT_OFF));
                }
                Step::Mismatch(bytes) => {
                    self.take(bytes);
                    if self.layout == Layout::Documents || self.inside != Inside::Top {
                        return Err(corrupt(self.line, BRACKETS));
                    }
                    self.skip_until(|byte| byte == b'\n')?;
                    return Ok(Walked::Fault(BRACKETS));
                }
            }
        }
    }

    /// The rest of the line, where each value stands on one and this one is no document with a list.
    /// Only its beginning is looked at, so it may be anything.
    fn whole_line(&mut self) -> Result<Option<Range<usize>>, DecodeError> {
        if self.layout != Layout::Lines {
            return Ok(None);
        }
        let mut seen = 0;
        let bytes = loop {
            let rest = &self.buffer[self.at..];
            match memchr(b'\n', &rest[seen..]) {
                Some(found) => break seen + found,
                None if rest.len() > self.max_record_bytes => return Ok(None),
                None => seen = rest.len(),
            }
            if !self.fill()? {
                break self.buffer.len() - self.at;
            }
        };
        let range = self.at..self.at + bytes;
        let line = &self.buffer[range.clone()];
        if bytes > self.max_record_bytes || self.quoted_lists.iter().any(|key| key.find(line).is_some()) {
            return Ok(None);
        }
        self.at = range.end;
        Ok(Some(range))
    }

    /// The object itself, or that of the wrapper it is.
    fn unwrapped(&mut self, range: Range<usize>) -> &[u8] {
        let object = self.buffer[range].trim_ascii_end();
        match self.unwrapper.object_in(object) {
            None => object,
            Some(Cow::Borrowed(inner)) => inner,
            Some(Cow::Owned(inner)) => {
                self.inner = inner;
                &self.inner
            }
        }
    }

    /// The first byte of the next value between values.
    fn skip_to_value(&mut self) -> Result<Option<u8>, DecodeError> {
        if !self.begun {
            self.begun = true;
            while self.buffer.len() < BYTE_ORDER_MARK.len() && self.fill()? {}
            if self.buffer.starts_with(BYTE_ORDER_MARK) {
                self.at = BYTE_ORDER_MARK.len();
            }
            // Blank lines before the first value tell nothing.
            return self.skip(b' ');
        }
        let line = self.line;
        let first = self.skip(b',')?;
        if self.line > line && self.layout == Layout::Unknown {
            self.layout = Layout::Lines;
        }
        Ok(first)
    }

    /// Leaves out white space and this byte; the first one after that.
    fn skip(&mut self, too: u8) -> Result<Option<u8>, DecodeError> {
        self.skip_until(|byte| !byte.is_ascii_whitespace() && byte != too)?;
        Ok(self.buffer.get(self.at).copied())
    }

    fn skip_until(&mut self, found: impl Fn(u8) -> bool) -> Result<(), DecodeError> {
        loop {
            let rest = &self.buffer[self.at..];
            let place = rest.iter().position(|byte| found(*byte));
            self.take(place.unwrap_or(rest.len()));
            if place.is_some() || !self.fill()? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        let taken = &self.buffer[self.at..self.at + bytes];
        self.line += memchr_iter(b'\n', taken).count() as u64;
        self.at += bytes;
    }

    /// Reads on, in the place of what was taken; false at the end.
    fn fill(&mut self) -> Result<bool, DecodeError> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let read = self.reader.by_ref().take(CHUNK_BYTES).read_to_end(&mut self.buffer).map_err(DecodeError::from)?;
        self.ended = read == 0;
        Ok(read > 0)
    }
}

fn corrupt(line: u64, reason: &str) -> DecodeError {
    DecodeError::Corrupt { what: "json document", source: format!("line {line}: {reason}").into() }
}

#[cfg(test)]
mod tests;
