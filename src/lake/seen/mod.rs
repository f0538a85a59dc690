//! Which activities a table has stored lately, by `activityId`: how a repeat is told from a new event.
//!
//! The table is the truth. What lies here is a cache with a place in the table's log ([`index`]): it is caught
//! up by reading the ids of the files added since, and made anew from the live files when it cannot be.
//! So an index that is lost, torn, stale or of another table never gives a wrong answer, and nothing here is
//! ever synced. One index per tenant and source, in `lake/tenant=…/seen/<source>/`: an id means something
//! only among those of who gave it, and a tenant's index goes with the tenant's folder.
//!
//! An id is remembered as 128 bits of its SHA-256 with the `ingestedAt` of its row. New ids wait in memory;
//! sorted runs of them lie on disk ([`run`]), merged like those of a log-structured tree ([`set`]), each behind a
//! filter in memory ([`filter`]). Rejected: `SQLite` (4 to 5 µs an id, a random page for each), an embedded
//! tree (nothing of it but sorted runs is needed, because the log of changes is the table's own).

mod filter;
mod gate;
mod index;
mod manifest;
mod merged;
mod rows;
mod run;
mod set;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::domain::day::DAY_MS;

pub use gate::{Claim, ClaimGuard, Claimed, Gate, IndexState, SeenIndexes};
pub use set::SeenSet;

/// How long a stored activity keeps a repeat of it from being stored, in ms: 7 days from its `ingestedAt`.
pub const WINDOW_MS: i64 = 7 * DAY_MS;

/// How long an index remembers, in ms. A day more than it is asked about, so that a clock that is set back does
/// not make it ask for what is forgotten already.
const KEPT_MS: i64 = WINDOW_MS + DAY_MS;

/// An activity's id: the first 128 bits of its SHA-256, so that nobody can make two ids that look the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash([u64; 2]);

/// Bytes of an id's hash.
const HASH_BYTES: usize = 16;

impl IdHash {
    /// The hash of an `activityId` as it is stored.
    #[must_use]
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let mut bytes = [0; HASH_BYTES];
        bytes.copy_from_slice(&digest[..HASH_BYTES]);
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        let bits = u128::from_be_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        Self([(bits >> 64) as u64, bits as u64])
    }

    fn to_bytes(self) -> [u8; HASH_BYTES] {
        ((u128::from(self.0[0]) << 64) | u128::from(self.0[1])).to_be_bytes()
    }
}

/// An id and when it was stored, in ms since epoch.
type Entry = (IdHash, i64);
