//! Which texts of a column are in the arena already.

use super::arena::Slot;

/// Values remembered for a column.
const ENTRIES: usize = 1 << ENTRY_BITS;
const ENTRY_BITS: u32 = 7;

/// A direct-mapped table from a value's key to its text. A value that lands on another's entry replaces
/// it: no chains, one comparison, and a column of unique values loses little.
#[derive(Debug, Clone)]
pub(super) struct Memo {
    entries: [Entry; ENTRIES],
    longest: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    key: u128,
    slot: Slot,
    /// Entries of earlier generations are void. Generation 0 is before the first.
    generation: u64,
}

impl Default for Memo {
    fn default() -> Self {
        Self { entries: [Entry::default(); ENTRIES], longest: 0 }
    }
}

impl Memo {
    /// The text of the value with this key, from `make` if it is not known in this generation.
    #[inline]
    pub(super) fn get(&mut self, key: u128, generation: u64, make: impl FnOnce() -> Slot) -> Slot {
        let entry = &mut self.entries[place(key)];
        if entry.key != key || entry.generation != generation {
            *entry = Entry { key, slot: make(), generation };
            self.longest = self.longest.max(entry.slot.staged_len());
        }
        entry.slot
    }

    /// Length that no staged text of the column exceeded so far.
    pub(super) fn longest(&self) -> u32 {
        self.longest
    }
}

/// Multiplicative hash of all bits: keys may differ in any of them.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart, and few bits of the product")]
fn place(key: u128) -> usize {
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - ENTRY_BITS)) as usize
}
