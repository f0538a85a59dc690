//! Texts of cells, each with its separator, in memory that is reused from block to block.

use crate::domain::{csv_cell, java_double};

/// Widest copy of a fixed size. Bytes up to this far behind a text may be read and overwritten.
pub(super) const SLACK: usize = 32;

/// Place of a text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Length that marks a slot as text to be written straight; its offset is the number of the column.
pub(super) const DIRECT: u32 = u32::MAX;

impl Slot {
    /// Bytes in the arena.
    #[inline]
    pub(super) fn staged_len(self) -> u32 {
        if self.len == DIRECT { 0 } else { self.len }
    }
}

/// Writes cells one behind the other. Short texts are moved in copies of a fixed size, which may leave
/// garbage behind the text for the next one to overwrite: a copy whose size is known costs a
/// fraction of one whose size is not.
#[derive(Debug)]
pub(super) struct Arena {
    /// All of it is initialised; texts fill the first `used` bytes.
    bytes: Vec<u8>,
    used: usize,
    number: Vec<u8>,
    escape_formulas: bool,
}

impl Arena {
    pub(super) fn new(escape_formulas: bool) -> Self {
        Self { bytes: Vec::new(), used: 0, number: Vec::new(), escape_formulas }
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Whether a text with this first byte is to be kept from being a formula.
    pub(super) fn escapes(&self, first: u8) -> bool {
        self.escape_formulas && csv_cell::starts_formula(first)
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes room for `len` bytes and the slack.
    #[inline]
    fn reserve(&mut self, len: usize) {
        let needed = self.used + len + SLACK;
        if needed > self.bytes.len() {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
    }

    #[inline]
    fn slot(&mut self, end: usize) -> Slot {
        let offset = self.used;
        self.used = end;
        #[expect(clippy::cast_possible_truncation, reason = "a block's texts stay far below 4 GiB")]
        Slot { offset: offset as u32, len: (end - offset) as u32 }
    }

    /// An empty cell.
    #[inline]
    pub(super) fn empty(&mut self, separator: u8) -> Slot {
        self.bare(b"", separator)
    }

    /// A text that needs no quotes.
    #[inline]
    pub(super) fn bare(&mut self, text: &[u8], separator: u8) -> Slot {
        self.reserve(text.len() + 1);
        copy(text, &mut self.bytes[self.used..]);
        let end = self.used + text.len();
        self.bytes[end] = separator;
        self.slot(end + 1)
    }

    #[inline]
    pub(super) fn integer(&mut self, value: i64, separator: u8) -> Slot {
        self.bare(itoa::Buffer::new().format(value).as_bytes(), separator)
    }

    pub(super) fn double(&mut self, value: f64, separator: u8) -> Slot {
        let mut text = std::mem::take(&mut self.number);
        text.clear();
        java_double::write_java_double(value, &mut text);
        let slot = self.bare(&text, separator);
        self.number = text;
        slot
    }

    /// A text of at most 12 bytes that comes as the low bytes of `data`; all bytes above are zero.
    #[inline]
    pub(super) fn inline(&mut self, data: u128, len: usize, separator: u8) -> Slot {
        let text = data.to_le_bytes();
        let padded = (data | (u128::MAX << (8 * len))).to_le_bytes();
        if self.escapes(padded[0]) {
            return self.quoted(b"\"'", &text[..len], separator);
        }
        if any_special(&padded) {
            return self.quoted(b"\"", &text[..len], separator);
        }
        self.reserve(16);
        let cell = &mut self.bytes[self.used..self.used + 17];
        cell[..16].copy_from_slice(&text);
        cell[len] = separator;
        self.slot(self.used + len + 1)
    }

    /// Any text.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8], separator: u8) -> Slot {
        if text.first().is_some_and(|&first| self.escapes(first)) {
            return self.quoted(b"\"'", text, separator);
        }
        let special = match text.len() {
            16..=csv_cell::MAX_BARE_UNITS => any_special_at_ends::<16>(text),
            8..16 => any_special_at_ends::<8>(text),
            _ => csv_cell::is_long(text) || text.iter().copied().any(csv_cell::is_special),
        };
        if special { self.quoted(b"\"", text, separator) } else { self.bare(text, separator) }
    }

    fn quoted(&mut self, opening: &[u8], text: &[u8], separator: u8) -> Slot {
        self.reserve(2 * text.len() + 4);
        let mut end = self.used;
        self.bytes[end..end + opening.len()].copy_from_slice(opening);
        end += opening.len();
        if contains_quote(text) {
            for &byte in text {
                self.bytes[end] = byte;
                end += 1;
                if byte == b'"' {
                    self.bytes[end] = b'"';
                    end += 1;
                }
            }
        } else {
            copy(text, &mut self.bytes[end..]);
            end += text.len();
        }
        self.bytes[end] = b'"';
        self.bytes[end + 1] = separator;
        self.slot(end + 2)
    }
}

/// A fold, not `any`: without an early exit it becomes a few vector instructions.
#[inline]
fn any_special<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes.iter().fold(false, |special, &byte| special | csv_cell::is_special(byte))
}

/// Looks at the first and the last `N` bytes, which are all of a text of `N` to `2 * N` bytes.
#[inline]
fn any_special_at_ends<const N: usize>(text: &[u8]) -> bool {
    text.first_chunk::<N>().is_some_and(any_special) || text.last_chunk::<N>().is_some_and(any_special)
}

#[inline]
fn contains_quote(text: &[u8]) -> bool {
    let is_quote = |byte: &u8| *byte == b'"';
    let (chunks, rest) = text.as_chunks::<16>();
    chunks.iter().any(|chunk| chunk.iter().fold(false, |found, byte| found | is_quote(byte)))
        || rest.iter().any(is_quote)
}

/// Copies `text` to the start of `target`, which must be as long at least.
///
/// Pieces of a fixed size, the last one overlapping the one before: faster than the general copy up to
/// a few hundred bytes.
#[inline]
fn copy(text: &[u8], target: &mut [u8]) {
    let len = text.len();
    if len >= 16 {
        pieces::<16>(text, target);
    } else if len >= 8 {
        pieces::<8>(text, target);
    } else if len >= 4 {
        pieces::<4>(text, target);
    } else {
        for (to, from) in target.iter_mut().zip(text) {
            *to = *from;
        }
    }
}

#[inline]
fn pieces<const N: usize>(text: &[u8], target: &mut [u8]) {
    let target = &mut target[..text.len()];
    let (whole, _) = text.as_chunks::<N>();
    let (targets, _) = target.as_chunks_mut::<N>();
    for (to, from) in targets.iter_mut().zip(whole) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (text.last_chunk::<N>(), target.last_chunk_mut::<N>()) {
        *to = *from;
    }
}
