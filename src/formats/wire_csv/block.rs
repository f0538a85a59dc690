//! Staging: the cells of a block of rows, column by column.

use arrow::array::{
    Array, BooleanArray, ByteView, Float64Array, GenericStringArray, Int64Array, MAX_INLINE_VIEW_LEN, OffsetSizeTrait,
    StringViewArray,
};
use arrow::buffer::{Buffer, NullBuffer};

use super::arena::{Arena, SLACK, Slot};
use crate::domain::csv_cell;
use crate::formats::columns::Column;

/// Rows staged at once: enough to spread the set-up of 56 columns, few enough that texts and slots stay
/// in the first two levels of cache.
pub(super) const MAX_ROWS: usize = 128;

/// Texts longer than this are not staged but written straight to the output, which bounds the arena.
const MAX_STAGED: usize = 256;

/// Length that marks a slot as text to be written straight; its offset is the number of the column.
const DIRECT: u32 = u32::MAX;

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
    views: Vec<u128>,
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
            views: Vec::with_capacity(MAX_ROWS),
        }
    }

    /// Stages `rows` rows (at most [`MAX_ROWS`], at least one) from row `start` on.
    pub(super) fn stage(&mut self, columns: &[Column<'_>], start: usize, rows: usize) {
        self.arena.clear();
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
                out[position..position + len].copy_from_slice(&texts[offset..offset + len]);
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
        let nulls = nulls_in(array.nulls(), start, self.rows);
        if nulls.is_none() && values.iter().fold(0, |differs, value| differs | (value ^ values[0])) == 0 {
            let slot = self.arena.integer(values[0], cell.separator);
            return self.constant(slot);
        }
        self.end_literal();
        let mut last: Option<Option<i64>> = None;
        let mut slot = Slot::default();
        self.varying(|arena, row| {
            let value = nulls.is_none_or(|nulls| nulls.is_valid(start + row)).then(|| values[row]);
            if last != Some(value) {
                last = Some(value);
                slot = match value {
                    Some(value) => arena.integer(value, cell.separator),
                    None => arena.empty(cell.separator),
                };
            }
            slot
        });
    }

    fn doubles(&mut self, array: &Float64Array, start: usize, cell: Cell) {
        let values = &array.values()[start..start + self.rows];
        let nulls = nulls_in(array.nulls(), start, self.rows);
        let first = values[0].to_bits();
        if nulls.is_none() && values.iter().fold(0, |differs, value| differs | (value.to_bits() ^ first)) == 0 {
            let slot = self.arena.double(values[0], cell.separator);
            return self.constant(slot);
        }
        self.end_literal();
        let mut last: Option<Option<u64>> = None;
        let mut slot = Slot::default();
        self.varying(|arena, row| {
            let value = nulls.is_none_or(|nulls| nulls.is_valid(start + row)).then(|| values[row]);
            if last != Some(value.map(f64::to_bits)) {
                last = Some(value.map(f64::to_bits));
                slot = match value {
                    Some(value) => arena.double(value, cell.separator),
                    None => arena.empty(cell.separator),
                };
            }
            slot
        });
    }

    fn booleans(&mut self, array: &BooleanArray, start: usize, cell: Cell) {
        let nulls = nulls_in(array.nulls(), start, self.rows);
        let values = array.values().slice(start, self.rows);
        let trues = values.count_set_bits();
        if nulls.is_none() && (trues == 0 || trues == self.rows) {
            let text: &[u8] = if trues == 0 { b"false" } else { b"true" };
            let slot = self.arena.bare(text, cell.separator);
            return self.constant(slot);
        }
        self.end_literal();
        let spellings = [
            self.arena.bare(b"false", cell.separator),
            self.arena.bare(b"true", cell.separator),
            self.arena.empty(cell.separator),
        ];
        self.varying(|_, row| {
            let valid = nulls.is_none_or(|nulls| nulls.is_valid(start + row));
            spellings[if valid { usize::from(values.value(row)) } else { 2 }]
        });
    }

    fn views(&mut self, array: &StringViewArray, start: usize, cell: Cell) {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        views.extend_from_slice(&array.views()[start..start + self.rows]);
        if let Some(nulls) = nulls_in(array.nulls(), start, self.rows) {
            for (row, view) in views.iter_mut().enumerate() {
                *view = if nulls.is_valid(start + row) { *view } else { 0 };
            }
        }
        let buffers = array.data_buffers();
        let first = views[0];
        if views.iter().fold(0, |differs, view| differs | (view ^ first)) == 0 {
            let slot = view_cell(&mut self.arena, first, buffers, cell);
            self.constant(slot);
        } else {
            self.end_literal();
            let mut last = first;
            let mut slot = view_cell(&mut self.arena, first, buffers, cell);
            self.varying(|arena, row| {
                if views[row] != last {
                    last = views[row];
                    slot = view_cell(arena, last, buffers, cell);
                }
                slot
            });
        }
        self.views = views;
    }

    fn strings<O: OffsetSizeTrait>(&mut self, array: &GenericStringArray<O>, start: usize, cell: Cell) {
        let text = |row| if array.is_null(start + row) { "" } else { array.value(start + row) };
        let first = text(0);
        let slot = text_cell(&mut self.arena, first.as_bytes(), cell);
        if (1..self.rows).all(|row| text(row) == first) {
            return self.constant(slot);
        }
        self.end_literal();
        let (mut last, mut slot) = (first, slot);
        self.varying(|arena, row| {
            let text = text(row);
            if text != last {
                last = text;
                slot = text_cell(arena, text.as_bytes(), cell);
            }
            slot
        });
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
        self.varying(|_, _| slot);
    }

    /// Adds a segment with a slot for every row.
    #[inline]
    fn varying(&mut self, mut cell: impl FnMut(&mut Arena, usize) -> Slot) {
        let mut longest = 0;
        let slots = self.slots[self.segments..].iter_mut().step_by(self.stride).take(self.rows);
        for (row, slot) in slots.enumerate() {
            *slot = cell(&mut self.arena, row);
            longest = longest.max(if slot.len == DIRECT { 0 } else { slot.len });
        }
        self.row_bound += longest as usize;
        self.segments += 1;
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

/// Bytes of output that are made ready at once.
const GROWTH: usize = 16 * 1024;

/// The null buffer, if it has a null among these rows.
fn nulls_in(nulls: Option<&NullBuffer>, start: usize, rows: usize) -> Option<&NullBuffer> {
    nulls.filter(|nulls| nulls.null_count() > 0 && nulls.inner().slice(start, rows).count_set_bits() < rows)
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
