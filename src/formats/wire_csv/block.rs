//! Staging: the cells of a block of rows, column by column.

use arrow::array::{
    Array, BooleanArray, ByteView, Float64Array, GenericStringArray, Int64Array, MAX_INLINE_VIEW_LEN, OffsetSizeTrait,
    StringViewArray,
};
use arrow::buffer::{Buffer, NullBuffer};

use super::arena::{Arena, DIRECT, SLACK, Slot};
use super::memo::Memo;
use crate::domain::csv_cell;
use crate::formats::columns::Column;

/// Rows staged at once: enough for long sequential reads of each column and to spread the set-up of 56 columns,
/// few enough that texts and slots stay in the second level of cache. The choice is not a sharp one: 128 and 512
/// measured within the noise of 256.
pub(super) const MAX_ROWS: usize = 256;

/// Texts longer than this are not staged but written straight to the output, which bounds the arena.
const MAX_STAGED: usize = 256;

/// A block of rows as segments: the cell of a column whose value varies, or the joined cells of
/// neighbouring columns that are constant in the block.
#[derive(Debug)]
pub(super) struct Block {
    arena: Arena,
    /// Row by row, `stride` slots a row, of which the first `segments` are in use.
    slots: Vec<Slot>,
    stride: usize,
    segments: usize,
    /// Bytes that no row exceeds, long texts aside.
    row_bound: usize,
    /// Constant cells that no segment holds yet.
    literal: Slot,
    rows: usize,
    memos: Vec<Memo>,
    generation: u64,
}

impl Block {
    pub(super) fn new(columns: usize, escape_formulas: bool) -> Self {
        Self {
            arena: Arena::new(escape_formulas),
            slots: vec![Slot::default(); MAX_ROWS * columns],
            stride: columns,
            segments: 0,
            row_bound: 0,
            literal: Slot::default(),
            rows: 0,
            memos: vec![Memo::default(); columns],
            generation: 1,
        }
    }

    /// Forgets the texts. To be called before rows of another batch, whose keys mean other texts.
    pub(super) fn forget(&mut self) {
        self.arena.clear();
        self.generation += 1;
    }

    /// Stages `rows` rows (at most [`MAX_ROWS`], at least one) from row `start` on.
    pub(super) fn stage(&mut self, columns: &[Column<'_>], start: usize, rows: usize) {
        if self.arena.len() > MAX_KEPT {
            self.forget();
        }
        self.segments = 0;
        self.row_bound = SLACK;
        self.rows = rows;
        self.literal = Slot::default();
        for (index, column) in columns.iter().enumerate() {
            let cell = Cell { index, separator: if index + 1 == columns.len() { b'\n' } else { b',' } };
            match *column {
                Column::Integer(array) => self.integers(array, start, cell),
                Column::Double(array) => self.doubles(array, start, cell),
                Column::Boolean(array) => self.booleans(array, start, cell),
                Column::View(array) => self.views(array, start, cell),
                Column::Utf8(array) => self.strings(array, start, cell),
                Column::LargeUtf8(array) => self.strings(array, start, cell),
            }
        }
        self.end_literal();
    }

    /// Appends row `row` of the block to `out` at `position` and returns the position after it. What lies
    /// behind that position in `out` is garbage.
    #[inline]
    pub(super) fn append(
        &self,
        row: usize,
        columns: &[Column<'_>],
        start: usize,
        out: &mut Vec<u8>,
        mut position: usize,
    ) -> usize {
        grow(out, position + self.row_bound);
        let texts = self.arena.bytes();
        for slot in &self.slots[row * self.stride..][..self.segments] {
            let (offset, len) = (slot.offset as usize, slot.len as usize);
            if len <= SLACK {
                out[position..position + SLACK].copy_from_slice(&texts[offset..offset + SLACK]);
            } else if slot.len == DIRECT {
                position = self.append_long(offset, columns, start + row, out, position);
                continue;
            } else {
                let (from, to) = (&texts[offset..offset + len + SLACK], &mut out[position..position + len + SLACK]);
                let pieces = from.as_chunks::<SLACK>().0.iter();
                for (to, from) in to.as_chunks_mut::<SLACK>().0.iter_mut().zip(pieces) {
                    *to = *from;
                }
            }
            position += len;
        }
        position
    }

    #[cold]
    fn append_long(
        &self,
        index: usize,
        columns: &[Column<'_>],
        row: usize,
        out: &mut Vec<u8>,
        position: usize,
    ) -> usize {
        let text = columns[index].text(row).unwrap_or_default().as_bytes();
        out.truncate(position);
        let prefix = match text.first() {
            Some(&first) if self.arena.escapes(first) => "'",
            _ => "",
        };
        csv_cell::write_quoted(prefix, text, out);
        out.push(if index + 1 == columns.len() { b'\n' } else { b',' });
        let end = out.len();
        grow(out, end + self.row_bound);
        end
    }

    fn integers(&mut self, array: &Int64Array, start: usize, cell: Cell) {
        let values = &array.values()[start..start + self.rows];
        let key = |row: usize| u128::from(values[row].cast_unsigned());
        self.keyed(key, array.nulls(), start, cell, |arena, key| {
            #[expect(clippy::cast_possible_truncation, reason = "keys are made from 64 bits")]
            arena.integer((key as u64).cast_signed(), cell.separator)
        });
    }

    fn doubles(&mut self, array: &Float64Array, start: usize, cell: Cell) {
        let values = &array.values()[start..start + self.rows];
        let key = |row: usize| u128::from(values[row].to_bits());
        self.keyed(key, array.nulls(), start, cell, |arena, key| {
            #[expect(clippy::cast_possible_truncation, reason = "keys are made from 64 bits")]
            arena.double(f64::from_bits(key as u64), cell.separator)
        });
    }

    fn booleans(&mut self, array: &BooleanArray, start: usize, cell: Cell) {
        let nulls = Nulls::among(array.nulls(), start, self.rows);
        let values = array.values().slice(start, self.rows);
        let trues = values.count_set_bits();
        let constant: Option<&[u8]> = match nulls {
            Nulls::All => Some(b""),
            Nulls::None if trues == 0 => Some(b"false"),
            Nulls::None if trues == self.rows => Some(b"true"),
            _ => None,
        };
        if let Some(text) = constant {
            let slot = self.arena.bare(text, cell.separator);
            return self.constant(slot);
        }
        self.end_literal();
        let [no, yes, null] = ["false", "true", ""].map(|text| self.arena.bare(text.as_bytes(), cell.separator));
        self.bound(no.len);
        self.varying(|_, row| match nulls {
            Nulls::Some(nulls) if nulls.is_null(start + row) => null,
            _ if values.value(row) => yes,
            _ => no,
        });
    }

    fn views(&mut self, array: &StringViewArray, start: usize, cell: Cell) {
        let views = &array.views()[start..start + self.rows];
        let buffers = array.data_buffers();
        let make = |arena: &mut Arena, view| view_cell(arena, view, buffers, cell);
        self.keyed(|row| views[row], array.nulls(), start, cell, make);
    }

    /// Cells of values with keys: equal keys of a column stand for equal texts for as long as texts are kept.
    #[inline]
    fn keyed(
        &mut self,
        key: impl Fn(usize) -> u128,
        nulls: Option<&NullBuffer>,
        start: usize,
        cell: Cell,
        mut make: impl FnMut(&mut Arena, u128) -> Slot,
    ) {
        match Nulls::among(nulls, start, self.rows) {
            Nulls::None => self.keyed_or_null(key, cell, make),
            Nulls::All => {
                let slot = self.arena.empty(cell.separator);
                self.constant(slot);
            }
            Nulls::Some(nulls) => {
                let key = |row| if nulls.is_valid(start + row) { key(row) } else { NULL };
                self.keyed_or_null(
                    key,
                    cell,
                    |arena, key| {
                        if key == NULL { arena.empty(cell.separator) } else { make(arena, key) }
                    },
                );
            }
        }
    }

    #[inline]
    fn keyed_or_null(
        &mut self,
        key: impl Fn(usize) -> u128,
        cell: Cell,
        mut make: impl FnMut(&mut Arena, u128) -> Slot,
    ) {
        let first = key(0);
        // Two looks spare most varying columns the full pass.
        let constant = key(self.rows - 1) == first
            && key(self.rows / 2) == first
            && (0..self.rows).fold(0, |differs, row| differs | (key(row) ^ first)) == 0;
        if constant {
            let slot = make(&mut self.arena, first);
            return self.constant(slot);
        }
        self.end_literal();
        let mut memos = std::mem::take(&mut self.memos);
        let (memo, generation) = (&mut memos[cell.index], self.generation);
        self.varying(|arena, row| {
            let key = key(row);
            memo.get(key, generation, || make(arena, key))
        });
        self.bound(memo.longest());
        self.memos = memos;
    }

    fn strings<O: OffsetSizeTrait>(&mut self, array: &GenericStringArray<O>, start: usize, cell: Cell) {
        let text = |row| if array.is_null(start + row) { "" } else { array.value(start + row) };
        let first = text(0);
        let slot = text_cell(&mut self.arena, first.as_bytes(), cell);
        if (1..self.rows).all(|row| text(row) == first) {
            return self.constant(slot);
        }
        self.end_literal();
        let (mut last, mut slot, mut longest) = (first, slot, slot.staged_len());
        self.varying(|arena, row| {
            let text = text(row);
            if text != last {
                last = text;
                slot = text_cell(arena, text.as_bytes(), cell);
                longest = longest.max(slot.staged_len());
            }
            slot
        });
        self.bound(longest);
    }

    /// Joins a constant cell to the literal, or makes it a segment of its own if it is a long text.
    fn constant(&mut self, slot: Slot) {
        if slot.len == DIRECT {
            self.end_literal();
            self.fill(slot);
        } else if self.literal.len == 0 {
            self.literal = slot;
        } else {
            self.literal.len += slot.len;
        }
    }

    fn end_literal(&mut self) {
        if self.literal.len > 0 {
            let literal = std::mem::take(&mut self.literal);
            self.fill(literal);
        }
    }

    fn fill(&mut self, slot: Slot) {
        self.bound(slot.staged_len());
        self.varying(|_, _| slot);
    }

    /// Adds a segment with a slot for every row.
    #[inline]
    fn varying(&mut self, mut cell: impl FnMut(&mut Arena, usize) -> Slot) {
        let slots = self.slots[self.segments..].iter_mut().step_by(self.stride).take(self.rows);
        for (row, slot) in slots.enumerate() {
            *slot = cell(&mut self.arena, row);
        }
        self.segments += 1;
    }

    /// Counts the longest staged text of a segment.
    fn bound(&mut self, longest: u32) {
        self.row_bound += longest as usize;
    }
}

/// Which column a cell belongs to, and what ends it.
#[derive(Clone, Copy)]
struct Cell {
    index: usize,
    separator: u8,
}

fn grow(out: &mut Vec<u8>, len: usize) {
    if out.len() < len {
        // Zeroes in steps that the cache holds.
        out.resize(len + GROWTH, 0);
    }
}

/// Key of null: no view, as no text is 4 GiB long, and no integer or double, which have 64 bits.
const NULL: u128 = u128::MAX;

/// Bytes of texts kept from block to block of a batch.
const MAX_KEPT: usize = 256 * 1024;

/// Bytes of output that are made ready at once.
const GROWTH: usize = 16 * 1024;

/// Nulls among the rows of a block.
#[derive(Clone, Copy)]
enum Nulls<'a> {
    None,
    Some(&'a NullBuffer),
    All,
}

impl<'a> Nulls<'a> {
    fn among(nulls: Option<&'a NullBuffer>, start: usize, rows: usize) -> Self {
        let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
            return Self::None;
        };
        match nulls.inner().slice(start, rows).count_set_bits() {
            0 => Self::All,
            valid if valid == rows => Self::None,
            _ => Self::Some(nulls),
        }
    }
}

#[inline]
fn view_cell(arena: &mut Arena, view: u128, buffers: &[Buffer], cell: Cell) -> Slot {
    let ByteView { length, buffer_index, offset, .. } = ByteView::from(view);
    if length <= MAX_INLINE_VIEW_LEN {
        return arena.inline(view >> 32, length as usize, cell.separator);
    }
    text_cell(arena, &buffers[buffer_index as usize][offset as usize..][..length as usize], cell)
}

#[inline]
fn text_cell(arena: &mut Arena, text: &[u8], cell: Cell) -> Slot {
    if text.len() > MAX_STAGED {
        #[expect(clippy::cast_possible_truncation, reason = "columns are few")]
        return Slot { offset: cell.index as u32, len: DIRECT };
    }
    arena.text(text, cell.separator)
}
