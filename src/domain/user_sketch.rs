//! Unions of [`userCount`](super::user_count) sketches, and how many users they hold.
//!
//! The layout is that of [`user_count`](super::user_count). In memory a register holds its whole rank, whatever offset
//! and overflow it was stored with, so that a union is the greater rank of each register.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 7;
const REGISTERS: usize = 2048;
const DENSE_LEN: usize = HEADER_LEN + REGISTERS / 2;
const MAX_NIBBLE: u8 = 15;

/// Registers in use from which on a sketch is stored densely.
const DENSE_FROM: usize = 128;

/// Registers in use from which on they are kept in an array.
const ARRAY_FROM: usize = 512;

/// A text that is no sketch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a userCount is no HLLCV1 sketch in Base64")]
pub struct NotASketch;

/// The union of sketches; empty at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSketch(Ranks);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ranks {
    /// Registers in use, in order.
    Few(Vec<(u16, u8)>),
    Many(Box<[u8; REGISTERS]>),
}

impl Default for UserSketch {
    fn default() -> Self {
        Self(Ranks::Few(Vec::new()))
    }
}

impl UserSketch {
    /// Adds the users of a sketch in Base64; the empty text holds none.
    ///
    /// # Errors
    /// [`NotASketch`]; the union is as before.
    pub fn add_base64(&mut self, text: &str) -> Result<(), NotASketch> {
        if text.is_empty() {
            return Ok(());
        }
        self.add_bytes(&STANDARD.decode(text).map_err(|_| NotASketch)?)
    }

    /// Adds the users of a sketch.
    ///
    /// # Errors
    /// [`NotASketch`]; the union is as before.
    pub fn add_bytes(&mut self, sketch: &[u8]) -> Result<(), NotASketch> {
        let [VERSION, offset, _, _, overflow, high, low, payload @ ..] = sketch else { return Err(NotASketch) };
        let overflow_register = u16::from_be_bytes([*high, *low]);
        if usize::from(overflow_register) >= REGISTERS || *offset > 64 || *overflow > 64 {
            return Err(NotASketch);
        }
        let mut ranks = Vec::new();
        let mut pair = |place: usize, byte: u8| {
            for (register, nibble) in [(2 * place, byte >> 4), (2 * place + 1, byte & MAX_NIBBLE)] {
                if nibble > 0 {
                    ranks.push((register, offset + nibble));
                }
            }
        };
        if sketch.len() == DENSE_LEN {
            payload.iter().enumerate().for_each(|(place, byte)| pair(place, *byte));
        } else {
            let (entries, rest) = payload.as_chunks::<3>();
            if !rest.is_empty() {
                return Err(NotASketch);
            }
            for [high, low, byte] in entries {
                let place = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(HEADER_LEN);
                let place = place.filter(|place| *place < REGISTERS / 2).ok_or(NotASketch)?;
                pair(place, *byte);
            }
        }
        if *offset > 0 {
            (0..REGISTERS).for_each(|register| self.raise(register, *offset));
        }
        for (register, rank) in ranks {
            self.raise(register, rank);
        }
        if *overflow > 0 {
            self.raise(usize::from(overflow_register), *overflow);
        }
        Ok(())
    }

    fn raise(&mut self, register: usize, rank: u8) {
        match &mut self.0 {
            Ranks::Many(ranks) => {
                if let Some(own) = ranks.get_mut(register) {
                    *own = rank.max(*own);
                }
            }
            Ranks::Few(ranks) => {
                let Ok(key) = u16::try_from(register) else { return };
                match ranks.binary_search_by_key(&key, |(register, _)| *register) {
                    Ok(at) => ranks[at].1 = rank.max(ranks[at].1),
                    Err(at) => ranks.insert(at, (key, rank)),
                }
                if ranks.len() >= ARRAY_FROM {
                    self.0 = Ranks::Many(self.ranks());
                }
            }
        }
    }

    fn ranks(&self) -> Box<[u8; REGISTERS]> {
        match &self.0 {
            Ranks::Many(ranks) => ranks.clone(),
            Ranks::Few(few) => {
                let mut ranks = Box::new([0; REGISTERS]);
                for (register, rank) in few {
                    ranks[usize::from(*register)] = *rank;
                }
                ranks
            }
        }
    }

    /// Whether it holds nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.0, Ranks::Few(ranks) if ranks.is_empty())
    }

    /// Memory that it takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.0 {
            Ranks::Few(ranks) => ranks.capacity() * size_of::<(u16, u8)>(),
            Ranks::Many(_) => REGISTERS,
        }
    }

    /// About how many users it holds: exact for few, within about 2.3 % (one standard error) for many. The estimate
    /// and its corrections are those of Apache Druid.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        const M: f64 = 2048.0;
        const SPACE: f64 = 18_446_744_073_709_551_616.0;
        let ranks = self.ranks();
        let sum: f64 = ranks.iter().map(|rank| 0.5_f64.powi(i32::from(*rank))).sum();
        let zeros = ranks.iter().map(|rank| f64::from(u8::from(*rank == 0))).sum::<f64>();
        let raw = 0.7213 / (1.0 + 1.079 / M) * M * M / sum;
        if raw <= 2.5 * M && zeros > 0.0 {
            M * (M / zeros).ln()
        } else if raw > SPACE / 30.0 {
            -SPACE * (1.0 - raw / SPACE).max(f64::MIN_POSITIVE).ln()
        } else {
            raw
        }
    }

    /// The sketch in its stored form, in Base64; the empty text where it holds nobody.
    #[must_use]
    pub fn to_base64(&self) -> String {
        if self.is_empty() { String::new() } else { STANDARD.encode(self.to_bytes()) }
    }

    /// The sketch in its stored form. Of ranks that no register can hold the greatest is kept as it is and the others
    /// are capped.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let ranks = self.ranks();
        let offset = ranks.iter().copied().min().unwrap_or(0);
        let (top, greatest) = ranks
            .iter()
            .copied()
            .enumerate()
            .fold((0, 0), |most: (usize, u8), (register, rank)| if rank > most.1 { (register, rank) } else { most });
        let overflows = greatest > offset + MAX_NIBBLE;
        let nibble = |register: usize| {
            let rank = if overflows && register == top { 0 } else { ranks[register] };
            rank.saturating_sub(offset).min(MAX_NIBBLE)
        };
        let used = (0..REGISTERS).filter(|register| nibble(*register) > 0).count();
        let [used_high, used_low] = u16::try_from(used).unwrap_or(u16::MAX).to_be_bytes();
        let [top_high, top_low] = u16::try_from(if overflows { top } else { 0 }).unwrap_or_default().to_be_bytes();
        let overflow = if overflows { greatest } else { 0 };
        let mut bytes = vec![VERSION, offset, used_high, used_low, overflow, top_high, top_low];
        for place in 0..REGISTERS / 2 {
            let byte = nibble(2 * place) << 4 | nibble(2 * place + 1);
            if used >= DENSE_FROM {
                bytes.push(byte);
            } else if byte > 0 {
                let position = u16::try_from(HEADER_LEN + place).unwrap_or(u16::MAX);
                bytes.extend_from_slice(&position.to_be_bytes());
                bytes.push(byte);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::user_count::sketch_of_user;
    use super::*;

    fn of(users: impl IntoIterator<Item = usize>) -> UserSketch {
        let mut sketch = UserSketch::default();
        for user in users {
            sketch.add_base64(&sketch_of_user(&format!("user{user}"))).unwrap();
        }
        sketch
    }

    #[test]
    fn a_single_user_s_sketch_is_written_as_it_was_read() {
        for user in 0..40_000 {
            let text = sketch_of_user(&format!("user{user}"));
            let mut sketch = UserSketch::default();
            sketch.add_base64(&text).unwrap();
            assert_eq!(sketch.to_base64(), text, "user{user}");
        }
        assert_eq!(UserSketch::default().to_base64(), "");
    }

    #[test]
    fn estimates_keep_near_the_truth() {
        for (users, within) in [(0, 0.0), (1, 0.01), (10, 0.1), (1_000, 50.0), (20_000, 1_500.0), (300_000, 20_000.0)] {
            #[expect(clippy::cast_precision_loss, reason = "few users")]
            let error = (of(0..users).estimate() - users as f64).abs();
            assert!(error <= within, "{users} users: off by {error}");
        }
    }

    #[test]
    fn what_is_no_sketch_is_refused() {
        let dense = of(0..5_000).to_bytes();
        assert_eq!(dense.len(), DENSE_LEN);
        let mut register = of(0..1).to_bytes();
        register[5] = 0xFF;
        for bytes in [
            &[][..],
            &[1, 0, 0],
            &dense[..100],
            &[2, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 1],
            &register,
        ] {
            assert_eq!(UserSketch::default().add_bytes(bytes), Err(NotASketch), "{bytes:?}");
        }
        assert_eq!(UserSketch::default().add_base64("%"), Err(NotASketch));
    }

    proptest! {
        #[test]
        fn a_union_does_not_depend_on_its_order_and_survives_storage(
            a in prop::collection::vec(0_usize..100_000, 0..900),
            b in prop::collection::vec(0_usize..100_000, 0..900),
        ) {
            let (mut left, mut right) = (of(a.iter().copied()), of(b.iter().copied()));
            let both = of(a.into_iter().chain(b));
            left.add_bytes(&of([]).to_bytes()).unwrap();
            let (left_bytes, right_bytes) = (left.to_bytes(), right.to_bytes());
            left.add_bytes(&right_bytes).unwrap();
            right.add_bytes(&left_bytes).unwrap();
            prop_assert_eq!(left.to_bytes(), right.to_bytes());
            prop_assert_eq!(left.estimate().to_bits(), both.estimate().to_bits());
        }
    }
}
