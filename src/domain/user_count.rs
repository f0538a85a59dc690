//! `userCount`: a mergeable sketch of who acted, as Apache Druid's `hyperUnique` stores it (HLLCV1).
//!
//! Source of the rule: wire contract of the anomaly activities, section 3.
//!
//! # Layout
//! A header of 7 bytes, then the registers. Numbers are big-endian.
//!
//! | bytes | meaning |
//! |---|---|
//! | 0 | version, 1 |
//! | 1 | register offset: added to every register |
//! | 2–3 | number of registers that are not zero |
//! | 4 | greatest rank that no register could hold (overflow), 0 if none |
//! | 5–6 | bucket of that rank |
//!
//! There are 2048 registers of 4 bits; two share a byte, the even bucket in the high nibble. Fewer than
//! 128 registers in use are stored sparsely: for each byte that is not zero its position, counted from
//! the start of the header (u16), and the byte. Otherwise all 1024 bytes follow.
//!
//! A register holds at most offset + 15. A rank beyond that goes to the overflow fields, which hold one
//! rank only, the greatest. For one user that is one hash in 32,768, and the sketch is then a bare header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 1;
const HEADER_LEN: u8 = 7;
const BUCKET_MASK: u16 = 0x7FF;
const MAX_REGISTER: u8 = 15;

/// Base64 of the sketch that holds `user` alone.
///
/// Without a user there is no sketch: callers write nothing for an absent or empty name.
#[must_use]
pub fn sketch_of_user(user: &str) -> String {
    let place = Place::of(user.as_bytes());
    let [bucket_high, bucket_low] = place.bucket.to_be_bytes();
    if place.rank > MAX_REGISTER {
        return STANDARD.encode([VERSION, 0, 0, 0, place.rank, bucket_high, bucket_low]);
    }
    let [position_high, position_low] = (u16::from(HEADER_LEN) + place.bucket / 2).to_be_bytes();
    let nibbles = if place.bucket.is_multiple_of(2) { place.rank << 4 } else { place.rank };
    STANDARD.encode([VERSION, 0, 0, 1, 0, 0, 0, position_high, position_low, nibbles])
}

/// Which register a hash falls into, and the value it asks for.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    bucket: u16,
    rank: u8,
}

impl Place {
    fn of(mut utf8: &[u8]) -> Self {
        let Ok(hash) = murmur3::murmur3_x64_128(&mut utf8, 0) else { unreachable!("reading a slice cannot fail") };
        Self::of_hash(hash.to_le_bytes())
    }

    /// Bucket: the last 11 bits. Rank: 1 + the zero bits before the first one in bytes 0 to 7, taken in
    /// order with each byte's lowest bit first; that is the number's trailing zeros in little-endian
    /// order. Without any bit it is 64, not 65: eight times eight.
    fn of_hash(hash: [u8; 16]) -> Self {
        let [b0, b1, b2, b3, b4, b5, b6, b7, .., b14, b15] = hash;
        let zeros = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]).trailing_zeros();
        let rank = if zeros == 64 { 64 } else { zeros + 1 };
        #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
        Self { bucket: u16::from_be_bytes([b14, b15]) & BUCKET_MASK, rank: rank as u8 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_of_the_contract() {
        assert_eq!(Place::of(b"testdlpa1@reallymymail.com"), Place { bucket: 1099, rank: 1 });
        assert_eq!(sketch_of_user("testdlpa1@reallymymail.com"), "AQAAAQAAAAIsAQ==");
        assert_eq!(sketch_of_user("Box"), "AQAAAQAAAACzEA==");
    }

    #[test]
    fn a_great_rank_overflows_into_the_header() {
        let user =
            (0..1_000_000).map(|n| format!("user{n}")).find(|user| Place::of(user.as_bytes()).rank > 15).unwrap();
        let Place { bucket, rank } = Place::of(user.as_bytes());
        let sketch = STANDARD.decode(sketch_of_user(&user)).unwrap();
        assert_eq!(sketch[..5], [1, 0, 0, 0, rank]);
        assert_eq!(sketch[5..], bucket.to_be_bytes());
    }

    /// The contract's words, byte by byte.
    fn rank_by_bytes(hash: [u8; 16]) -> u32 {
        let mut rank = 0;
        for byte in &hash[..8] {
            if *byte == 0 {
                rank += 8;
            } else {
                return rank + byte.trailing_zeros() + 1;
            }
        }
        rank
    }

    proptest! {
        #[test]
        fn rank_follows_the_words(tail: [u8; 16], zeros in 0..=8_usize, shift in 0..8_u32) {
            let mut hash = tail;
            hash[..zeros].fill(0);
            hash[zeros.min(8)] <<= shift;
            prop_assert_eq!(u32::from(Place::of_hash(hash).rank), rank_by_bytes(hash));
        }

        #[test]
        fn a_sketch_holds_exactly_its_register(user in ".{1,40}") {
            let Place { bucket, rank } = Place::of(user.as_bytes());
            prop_assume!(rank <= MAX_REGISTER);
            let sketch = STANDARD.decode(sketch_of_user(&user)).unwrap();
            prop_assert_eq!(&sketch[..7], &[1, 0, 0, 1, 0, 0, 0]);
            let position = u16::from_be_bytes([sketch[7], sketch[8]]) - 7;
            let found = if sketch[9].trailing_zeros() >= 4 { (position * 2, sketch[9] >> 4) } else { (position * 2 + 1, sketch[9]) };
            prop_assert_eq!(found, (bucket, rank));
        }
    }
}
