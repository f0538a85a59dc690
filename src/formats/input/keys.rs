//! Keys of records: which column a key names, and how often keys that name none occur.

use std::borrow::Cow;
use std::collections::HashMap;

use super::columns::{SLOT_COUNT, slot_name};
use super::report::{DecodeReport, MAX_UNKNOWN_KEY_BYTES, MAX_UNKNOWN_KEYS, OTHER_KEYS};

/// What a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// A column, by its slot.
    Known(usize),
    /// Nothing that is stored.
    Unknown,
}

/// Finds keys. Records of one source repeat their keys in one order, so the key that followed the
/// last one in an earlier record is tried first and hashing is left to the exceptions.
#[derive(Debug)]
pub(super) struct Keys {
    /// Columns by slot, then unknown names in order of appearance.
    names: Vec<Cow<'static, str>>,
    index: HashMap<Cow<'static, str>, usize>,
    /// The key that last followed each key; place 0 is the record's start, others are moved by one.
    followers: Vec<usize>,
    /// Place in `followers` of the key before.
    place: usize,
    /// Accepted records that carried each unknown name, and, at the end, all beyond the bound.
    counts: Vec<u64>,
    /// Unknown names of the record at hand.
    pending: Vec<usize>,
}

/// Stands in `pending` for a name beyond the bound.
const OTHER: usize = usize::MAX;

impl Keys {
    pub(super) fn new() -> Self {
        let names: Vec<_> = (0..SLOT_COUNT).map(|slot| Cow::Borrowed(slot_name(slot))).collect();
        let index = names.iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
        Self { followers: (0..=SLOT_COUNT).collect(), names, index, place: 0, counts: Vec::new(), pending: Vec::new() }
    }

    /// A new record begins; unknown keys of one that was not accepted are forgotten.
    pub(super) fn begin_record(&mut self) {
        self.place = 0;
        self.pending.clear();
    }

    /// The record at hand was accepted.
    pub(super) fn accept_record(&mut self) {
        for key in self.pending.drain(..) {
            let place = if key == OTHER { 0 } else { key - SLOT_COUNT + 1 };
            if self.counts.len() <= place {
                self.counts.resize(place + 1, 0);
            }
            self.counts[place] += 1;
        }
    }

    pub(super) fn find(&mut self, key: &str) -> Key {
        let guess = self.followers[self.place];
        let found = match self.names.get(guess) {
            Some(name) if name == key => Some(guess),
            _ => self.look_up(key),
        };
        if let Some(found) = found {
            return self.found(found);
        }
        self.pending.push(OTHER);
        Key::Unknown
    }

    /// The column that followed the last key in an earlier record, and its name's length, if the text begins with that
    /// name and a quote.
    pub(super) fn expected(&mut self, text: &[u8]) -> Option<(Key, usize)> {
        let guess = self.followers[self.place];
        let name = self.names[..SLOT_COUNT].get(guess)?.as_bytes();
        let len = name.len();
        let expected = text.get(len) == Some(&b'"') && text.starts_with(name);
        expected.then(|| (self.found(guess), len))
    }

    fn found(&mut self, found: usize) -> Key {
        self.followers[self.place] = found;
        self.place = found + 1;
        if found < SLOT_COUNT {
            return Key::Known(found);
        }
        self.pending.push(found);
        Key::Unknown
    }

    #[cold]
    fn look_up(&mut self, key: &str) -> Option<usize> {
        if let Some(found) = self.index.get(key) {
            return Some(*found);
        }
        if self.names.len() >= SLOT_COUNT + MAX_UNKNOWN_KEYS || key.len() > MAX_UNKNOWN_KEY_BYTES {
            return None;
        }
        let new = self.names.len();
        self.names.push(Cow::Owned(key.to_owned()));
        self.index.insert(Cow::Owned(key.to_owned()), new);
        self.followers.push(new + 1);
        Some(new)
    }

    /// Adds the counts of accepted records to a report.
    pub(super) fn report(&self, report: &mut DecodeReport) {
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = match place.checked_sub(1) {
                Some(unknown) => &self.names[SLOT_COUNT + unknown],
                None => OTHER_KEYS,
            };
            report.count_unknown(name, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(keys: &Keys) -> Vec<(String, u64)> {
        let mut report = DecodeReport::default();
        keys.report(&mut report);
        report.unknown_keys.into_iter().collect()
    }

    #[test]
    fn order_changes_are_followed() {
        let mut keys = Keys::new();
        for order in [["timeStamp", "x", "user"], ["user", "x", "timeStamp"], ["x", "user", "timeStamp"]] {
            for _ in 0..2 {
                keys.begin_record();
                for key in order {
                    let expected = crate::domain::activity::column_index(key).map_or(Key::Unknown, Key::Known);
                    assert_eq!(keys.find(key), expected);
                }
                keys.accept_record();
            }
        }
        assert_eq!(counts(&keys), [("x".to_owned(), 6)]);
    }

    #[test]
    fn a_column_is_expected_after_the_key_that_it_followed_before() {
        let mut keys = Keys::new();
        for key in ["user", "x\"y", "city"] {
            keys.find(key);
        }
        keys.begin_record();
        let user = crate::domain::activity::column_index("user").unwrap();
        assert_eq!(keys.expected(b"use"), None);
        assert_eq!(keys.expected(b"users\""), None);
        assert_eq!(keys.expected(b"user\":"), Some((Key::Known(user), 4)));
        assert_eq!(keys.expected(b"x\"y\":"), None, "an unknown name may hold a quote");
    }

    #[test]
    fn refused_records_do_not_count() {
        let mut keys = Keys::new();
        keys.begin_record();
        keys.find("a");
        keys.begin_record();
        keys.find("b");
        keys.accept_record();
        assert_eq!(counts(&keys), [("b".to_owned(), 1)]);
    }

    #[test]
    fn names_are_bounded_in_number_and_length() {
        let mut keys = Keys::new();
        keys.begin_record();
        for i in 0..MAX_UNKNOWN_KEYS + 5 {
            assert_eq!(keys.find(&format!("key{i}")), Key::Unknown);
        }
        assert_eq!(keys.find(&"k".repeat(MAX_UNKNOWN_KEY_BYTES + 1)), Key::Unknown);
        assert_eq!(keys.find("user"), Key::Known(54));
        keys.accept_record();
        let counts = counts(&keys);
        assert_eq!(counts.len(), MAX_UNKNOWN_KEYS + 1);
        assert!(counts.contains(&(OTHER_KEYS.to_owned(), 6)));
    }
}
