//! A Bloom filter over a run's ids, so that an id which is not there costs no read.

use super::IdHash;

/// Bits for each id: one in 120 ids that are not there passes.
const BITS: u64 = 10;

/// Largest filter, in bytes. Runs of more than 13 million ids get fewer bits an id, and so more reads.
const MAX_BYTES: u64 = 16 << 20;

/// The filter.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    probes: u64,
}

impl Filter {
    /// An empty filter for about so many ids.
    pub(super) fn new(ids: u64) -> Self {
        let words = (ids.saturating_mul(BITS).min(MAX_BYTES * 8) / 64).max(1);
        // The best number is the bits of an id times ln 2.
        let probes = (words * 64 * 7 / 10 / ids.max(1)).clamp(1, 7);
        Self { words: vec![0; usize::try_from(words).unwrap_or(1)], probes }
    }

    pub(super) fn insert(&mut self, id: IdHash) {
        for probe in 0..self.probes {
            let (word, bit) = self.place(id, probe);
            self.words[word] |= bit;
        }
    }

    /// False only for an id that was not inserted.
    pub(super) fn may_hold(&self, id: IdHash) -> bool {
        (0..self.probes).all(|probe| {
            let (word, bit) = self.place(id, probe);
            self.words[word] & bit != 0
        })
    }

    /// The hash is uniform, so its halves serve as the two hashes of double hashing.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of words, or masked")]
    fn place(&self, id: IdHash, probe: u64) -> (usize, u64) {
        let hash = id.0[1].wrapping_add(probe.wrapping_mul(id.0[0] | 1));
        let word = (u128::from(hash) * self.words.len() as u128) >> 64;
        // Other bits than those that chose the word.
        (word as usize, 1 << (hash.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58))
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_held_and_little_else() {
        let id = |n: u32| IdHash::of(&n.to_string());
        let mut filter = Filter::new(10_000);
        (0..10_000).for_each(|n| filter.insert(id(n)));
        assert!((0..10_000).all(|n| filter.may_hold(id(n))));
        let passed = (10_000..110_000).filter(|n| filter.may_hold(id(*n))).count();
        assert!(passed < 2_000, "{passed} of 100000 passed");
        assert_eq!(filter.bytes(), 12_496);
    }

    #[test]
    fn a_filter_of_very_many_ids_is_bounded() {
        let filter = Filter::new(1 << 30);
        assert_eq!((filter.bytes() as u64, filter.probes), (MAX_BYTES, 1));
    }
}
