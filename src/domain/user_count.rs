//! The `userCount` metric: a `HyperLogLog` sketch of one user.
//!
//! Source of the rule: wire contract of the anomaly activities, section 3.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 1;
const HEADER_BYTES: u16 = 7;
const BUCKET_MASK: u16 = 0x7FF;
/// Largest rank that a register, a nibble, can hold.
const MAX_REGISTER: u8 = 15;

/// Base64 of the sketch that holds exactly this user, spelled as the source spells it.
#[must_use]
pub fn sketch_of_user(user: &str) -> String {
    // Only the reader can fail, and a slice in memory does not.
    let hash = murmur3::murmur3_x64_128(&mut Cursor::new(user.as_bytes()), 0).unwrap_or_default().to_le_bytes();
    let bucket = u16::from_be_bytes([hash[14], hash[15]]) & BUCKET_MASK;
    STANDARD.encode(one_register(bucket, rank(&hash)))
}

fn rank(hash: &[u8; 16]) -> u8 {
    let mut rank = 0;
    for byte in &hash[..8] {
        if *byte != 0 {
            return rank + byte.trailing_zeros().to_le_bytes()[0] + 1;
        }
        rank += 8;
    }
    rank
}

fn one_register(bucket: u16, rank: u8) -> Vec<u8> {
    let [high, low] = bucket.to_be_bytes();
    if rank > MAX_REGISTER {
        return vec![VERSION, 0, 0, 0, rank, high, low];
    }
    let [position_high, position_low] = (HEADER_BYTES + bucket / 2).to_be_bytes();
    let nibble = if bucket.is_multiple_of(2) { rank << 4 } else { rank };
    vec![VERSION, 0, 0, 1, 0, 0, 0, position_high, position_low, nibble]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_sketches() {
        assert_eq!(sketch_of_user("testdlpa1@reallymymail.com"), "AQAAAQAAAAIsAQ==");
        assert_eq!(sketch_of_user("Box"), "AQAAAQAAAACzEA==");
    }

    #[test]
    fn a_rank_beyond_a_nibble_overflows() {
        assert_eq!(one_register(1099, 16), [1, 0, 0, 0, 16, 4, 75]);
        assert_eq!(one_register(1099, 15), [1, 0, 0, 1, 0, 0, 0, 2, 44, 15]);
        assert_eq!(one_register(1098, 15), [1, 0, 0, 1, 0, 0, 0, 2, 44, 240]);
    }
}
