//! Rounds in which everybody has a turn, so that what else the machine does weighs on each.

use std::time::Instant;

/// Something to be measured: does it once and says how long it took, in seconds.
pub type Contestant<'a> = (String, Box<dyn FnMut() -> f64 + 'a>);

/// The times of a contestant, sorted.
#[derive(Debug, Clone)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// So many of a thousand lie below it.
    pub fn at(&self, permille: usize) -> f64 {
        self.0[(self.0.len() * permille / 1_000).min(self.0.len() - 1)]
    }

    pub fn median(&self) -> f64 {
        self.at(500)
    }

    pub fn all(&self) -> &[f64] {
        &self.0
    }
}

/// One round to warm up, then `rounds` more, each beginning with another contestant.
pub fn rounds(rounds: usize, contestants: &mut [Contestant<'_>]) -> Vec<(String, Times)> {
    let mut times = vec![Vec::new(); contestants.len()];
    for round in 0..=rounds {
        for turn in 0..contestants.len() {
            let place = (round + turn) % contestants.len();
            let seconds = contestants[place].1();
            if round > 0 {
                times[place].push(seconds);
            }
        }
    }
    contestants.iter().map(|(name, _)| name.clone()).zip(times.into_iter().map(Times::of)).collect()
}

/// How long something takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begun = Instant::now();
    let done = work();
    (begun.elapsed().as_secs_f64(), done)
}
