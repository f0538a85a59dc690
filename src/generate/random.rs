//! A small seeded generator: the same seed gives the same data on every run.

/// `splitmix64` (Steele, Lea and Flood, 2014): one addition and two multiplications a number, and
/// streams of neighbouring seeds do not resemble each other.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Another number for each number: a bijection, so that distinct numbers stay distinct.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// A stream of its own for one part of the data, whatever order the parts are made in.
    #[must_use]
    pub(super) fn of_part(seed: u64, part: &[u64]) -> Self {
        Self(part.iter().fold(mix(seed), |state, n| mix(state ^ mix(n.wrapping_add(GOLDEN)))))
    }

    /// The next 64 bits.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number from 0 to `n` - 1; 0 for an `n` of 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number from `from` to `to` - 1.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from.saturating_add_unsigned(self.below(to.saturating_sub(from).unsigned_abs()))
    }

    /// A number in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A log-normal number with this median and sigma of its logarithm.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box and Muller; 1 - unit() is never 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        median * (sigma * radius * (std::f64::consts::TAU * self.unit()).cos()).exp()
    }

    /// One of the values, each as likely.
    pub(super) fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        &values[usize::try_from(self.below(values.len() as u64)).unwrap_or(0)]
    }

    /// A position below `n`, where the k-th is chosen in proportion to k^-`exponent`; for an exponent below 1
    /// and an `n` too large for a table. The sums are taken as integrals, which is exact enough beyond the first few.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the drawn number lies in [0, n), and n is far below 2^53"
    )]
    pub(super) fn zipf_of_many(&mut self, n: u64, exponent: f64) -> u64 {
        let drawn = n as f64 * self.unit().powf(1.0 / (1.0 - exponent));
        (drawn as u64).min(n.saturating_sub(1))
    }
}

/// Positions with weights, to be drawn from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weighted(Vec<f64>);

impl Weighted {
    /// Positions as likely as their weights say; at least one weight is above 0.
    pub(super) fn of(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let upto = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self(upto.collect())
    }

    /// `n` positions, the k-th in proportion to k^-`exponent`.
    pub(super) fn zipf(n: u32, exponent: f64) -> Self {
        Self::of((1..=n).map(|k| f64::from(k).powf(-exponent)))
    }

    /// One of the positions.
    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let drawn = random.unit() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|upto| *upto <= drawn).min(self.0.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_published_numbers() {
        // First outputs of the reference implementation for seed 1234567.
        let mut random = Random(1_234_567);
        let first: Vec<_> = (0..3).map(|_| random.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn numbers_keep_to_their_range_and_weight() {
        let mut random = Random::of_part(7, &[1, 2]);
        let mut heavy = 0;
        for _ in 0..10_000 {
            assert!((-3..4).contains(&random.between(-3, 4)));
            assert!((0.0..1.0).contains(&random.unit()));
            assert!(random.log_normal(10.0, 1.0) > 0.0);
            heavy += u32::from(Weighted::of([1.0, 0.0, 9.0]).pick(&mut random) == 2);
        }
        assert!((8_800..9_200).contains(&heavy), "{heavy}");
        assert_eq!(random.below(0), 0);
    }

    /// How often the first and the tenth position come, of 100,000 draws.
    fn first_and_tenth(mut draw: impl FnMut() -> usize) -> (f64, f64) {
        let (mut first, mut tenth) = (0.0, 0.0);
        for _ in 0..100_000 {
            match draw() {
                0 => first += 1.0,
                9 => tenth += 1.0,
                n => assert!(n < 1_000),
            }
        }
        (first, tenth)
    }

    #[test]
    fn ranks_follow_their_exponent() {
        let mut random = Random::of_part(7, &[3]);
        let zipf = Weighted::zipf(1_000, 1.4);
        let (first, tenth) = first_and_tenth(|| zipf.pick(&mut random));
        assert!((20.0..31.0).contains(&(first / tenth)), "10^1.4 is 25: {first} {tenth}");
        let (mut low, mut high) = (0.0, 0.0);
        for _ in 0..100_000 {
            match random.zipf_of_many(1_000_000, 0.44) {
                0..10_000 => low += 1.0,
                990_000..1_000_000 => high += 1.0,
                n => assert!(n < 1_000_000),
            }
        }
        // Of the integral of k^-0.44 the first hundredth of the ranks has 7.6 %, the last 0.56 %.
        assert!((11.0..17.0).contains(&(low / high)), "{low} {high}");
    }
}
