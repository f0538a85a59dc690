//! The end of a JSON value, found by its brackets and strings alone.
//!
//! What is between the brackets is not checked: whoever reads the value finds its faults. So one bad
//! record among others in a document costs that record and not the document.

use std::ops::Range;

use memchr::memchr3;

/// Where a walk over a value has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The bytes end within the value.
    More,
    /// The value ends before this place.
    End(usize),
    /// The list under one of the wanted keys of the object begins before this place.
    List(usize),
    /// The line ends at this place, and the value cannot go on.
    Cut(usize),
    /// The bracket before this place closes what is not open.
    Mismatch(usize),
}

/// What the end of a line within a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// The value is cut off: each stands on a line of its own.
    Cuts,
    /// The value goes on, if what follows can follow.
    MayGoOn,
}

/// A walk over one value that can wait for more bytes.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// First byte not looked at yet, from the value's start.
    at: usize,
    /// Open brackets.
    open: Vec<u8>,
    /// Where the string that is being read begins, after its quote.
    string: Option<usize>,
    /// The latest string directly within the value.
    key: Option<Range<usize>>,
    /// The latest byte outside strings that is no white space.
    last: u8,
    /// Where the line ended after it.
    line_end: Option<usize>,
    went_on: bool,
}

impl Walk {
    /// A walk that begins within an object, after a list that is a value of it.
    pub(super) fn after_list() -> Self {
        Self { open: vec![b'{'], last: b']', ..Self::default() }
    }

    /// Bytes looked at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether a line ended within the value and the value went on.
    pub(super) fn went_on(&self) -> bool {
        self.went_on
    }

    /// Goes on over the value's bytes, of which there are as many as before or more.
    pub(super) fn go(&mut self, bytes: &[u8], wanted: &[String], line_end: LineEnd) -> Step {
        loop {
            let step = match self.string {
                Some(from) => self.in_string(bytes, from),
                None => self.between_strings(bytes, wanted, line_end),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn in_string(&mut self, bytes: &[u8], from: usize) -> Option<Step> {
        let Some(found) = memchr3(b'"', b'\\', b'\n', &bytes[self.at..]) else {
            self.at = bytes.len();
            return Some(Step::More);
        };
        let found = self.at + found;
        match bytes[found] {
            b'\n' => return Some(Step::Cut(found)),
            b'\\' if found + 1 == bytes.len() => {
                self.at = found;
                return Some(Step::More);
            }
            b'\\' => self.at = found + 2,
            _ => {
                self.at = found + 1;
                self.string = None;
                match self.open.len() {
                    0 => return Some(Step::End(self.at)),
                    1 => self.key = Some(from..found),
                    _ => {}
                }
            }
        }
        None
    }

    fn between_strings(&mut self, bytes: &[u8], wanted: &[String], line_end: LineEnd) -> Option<Step> {
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                b'\n' if line_end == LineEnd::Cuts => return Some(Step::Cut(self.at)),
                b'\n' => {
                    self.line_end.get_or_insert(self.at);
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            if let Some(line_end) = self.line_end.take() {
                if !self.can_go_on_with(byte) {
                    return Some(Step::Cut(line_end));
                }
                self.went_on = true;
            }
            self.at += 1;
            let before = std::mem::replace(&mut self.last, byte);
            match byte {
                b'"' => {
                    self.string = Some(self.at);
                    return None;
                }
                b'[' if before == b':' && self.open.len() == 1 && self.key_is_one_of(bytes, wanted) => {
                    return Some(Step::List(self.at));
                }
                b'{' | b'[' => self.open.push(byte),
                b'}' | b']' => {
                    // In ASCII both closing brackets come two after the opening ones.
                    if self.open.pop() != Some(byte - 2) {
                        return Some(Step::Mismatch(self.at));
                    }
                    if self.open.is_empty() {
                        return Some(Step::End(self.at));
                    }
                }
                _ => {}
            }
        }
        Some(Step::More)
    }

    fn key_is_one_of(&self, bytes: &[u8], wanted: &[String]) -> bool {
        let key = self.key.clone().and_then(|key| bytes.get(key));
        wanted.iter().any(|name| Some(name.as_bytes()) == key)
    }

    /// Whether a value may go on with this byte on a new line: writers begin one after an opening
    /// bracket, after a comma and before a closing bracket, and the byte must fit there.
    fn can_go_on_with(&self, byte: u8) -> bool {
        let in_object = self.open.last() == Some(&b'{');
        match self.last {
            b'{' => matches!(byte, b'"' | b'}'),
            b',' if in_object => byte == b'"',
            b'[' | b',' => !matches!(byte, b',' | b':' | b'}'),
            b':' => false,
            _ => matches!(byte, b',' | b'}' | b']'),
        }
    }
}
