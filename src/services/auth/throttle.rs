//! Counts failed password checks: ten a minute, per address and per e-mail.
//!
//! An attempt counts as failed from its start until it succeeds, so guesses made at the same time cannot
//! slip through together. An address that the right password came from within a day is known for that
//! e-mail; there only failures of the two together count. So somebody who guesses, be it at one user from
//! many addresses or at many users from one, does not lock out people where they usually work, and still
//! gets no more than ten guesses a minute at anybody from all unknown addresses together.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::domain::day::DAY_MS;

/// Failures in a window after which attempts are refused.
const MAX_FAILURES: usize = 10;

/// Length of the window in ms.
const WINDOW_MS: i64 = 60_000;

/// How long an address stays known for an e-mail after its last success, in ms.
const KNOWN_MS: i64 = DAY_MS;

/// A hash, since the text's length is up to the caller.
type Email = [u8; 32];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    Email(Email),
    Address(IpAddr),
    Pair(Email, IpAddr),
}

#[derive(Debug, Default)]
struct State {
    failures: HashMap<Counter, VecDeque<i64>>,
    known: HashMap<(Email, IpAddr), i64>,
    swept_ms: i64,
}

impl State {
    /// Forgets what no longer matters. Attempts are as slow as password checks, so a minute's worth is little.
    fn sweep(&mut self, now_ms: i64) {
        if is_within(self.swept_ms, now_ms, WINDOW_MS) {
            return;
        }
        self.swept_ms = now_ms;
        self.failures.retain(|_, times| times.iter().any(|&t| is_within(t, now_ms, WINDOW_MS)));
        self.known.retain(|_, &mut t| is_within(t, now_ms, KNOWN_MS));
    }

    /// Time until the counter has room, or none when it has.
    fn wait_ms(&mut self, counter: Counter, now_ms: i64) -> Option<i64> {
        let times = self.failures.get_mut(&counter)?;
        times.retain(|&t| is_within(t, now_ms, WINDOW_MS));
        let oldest = *times.get(times.len().checked_sub(MAX_FAILURES)?)?;
        Some((oldest + WINDOW_MS - now_ms).clamp(1, WINDOW_MS))
    }
}

/// Also true for a time somewhat ahead, as after the clock was set back, but not for ever.
fn is_within(time_ms: i64, now_ms: i64, span_ms: i64) -> bool {
    now_ms.abs_diff(time_ms) < span_ms.unsigned_abs()
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<State>);

impl Throttle {
    /// Starts an attempt, or tells how long to wait.
    pub(super) fn begin(&self, email: &str, peer: IpAddr, now_ms: i64) -> Result<Attempt<'_>, Duration> {
        let (email, address) = (Email::from(Sha256::digest(email)), network(peer));
        let mut state = self.state();
        state.sweep(now_ms);
        let known = state.known.get(&(email, address)).is_some_and(|&t| is_within(t, now_ms, KNOWN_MS));
        let pair = Counter::Pair(email, address);
        let (by_email, by_address) = (Counter::Email(email), Counter::Address(address));
        let deciding: &[Counter] = if known { &[pair] } else { &[by_email, by_address] };
        if let Some(wait_ms) = deciding.iter().filter_map(|&c| state.wait_ms(c, now_ms)).max() {
            return Err(Duration::from_millis(wait_ms.unsigned_abs()));
        }
        let counted = if known { vec![pair] } else { vec![pair, by_email, by_address] };
        for &counter in &counted {
            state.failures.entry(counter).or_default().push_back(now_ms);
        }
        Ok(Attempt { throttle: self, email, address, counted, at_ms: now_ms })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt; left alone, it stays counted as a failure.
#[derive(Debug)]
#[must_use]
pub(super) struct Attempt<'t> {
    throttle: &'t Throttle,
    email: Email,
    address: IpAddr,
    counted: Vec<Counter>,
    at_ms: i64,
}

impl Attempt<'_> {
    /// The password was right: not a failure, and the address is known from now on.
    pub(super) fn succeeded(self) {
        self.throttle.state().known.insert((self.email, self.address), self.at_ms);
        self.withdrawn();
    }

    /// The password was not checked: not a failure.
    pub(super) fn withdrawn(self) {
        let mut state = self.throttle.state();
        for counter in &self.counted {
            if let Some(times) = state.failures.get_mut(counter)
                && let Some(i) = times.iter().position(|&t| t == self.at_ms)
            {
                times.remove(i);
            }
        }
    }
}

/// What counts as one address: a customer's IPv6 network holds more addresses than anybody could count.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_763_510_400_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn fail(throttle: &Throttle, email: &str, peer: &str, now_ms: i64) -> Result<(), Duration> {
        throttle.begin(email, ip(peer), now_ms).map(|_counted| ())
    }

    #[test]
    fn ten_failures_at_one_email_close_it_for_unknown_addresses() {
        let throttle = Throttle::default();
        throttle.begin("a", ip("192.0.2.99"), NOW).unwrap().succeeded();
        for i in 0..10 {
            fail(&throttle, "a", &format!("192.0.2.{i}"), NOW + i * 1000).unwrap();
        }
        assert_eq!(fail(&throttle, "a", "192.0.2.50", NOW + 20_000), Err(Duration::from_secs(40)));
        assert_eq!(fail(&throttle, "b", "192.0.2.50", NOW + 20_000), Ok(()));
        assert_eq!(fail(&throttle, "a", "192.0.2.99", NOW + 20_000), Ok(()), "known from before");
        assert_eq!(fail(&throttle, "a", "192.0.2.50", NOW + 59_999), Err(Duration::from_millis(1)));
        assert_eq!(fail(&throttle, "a", "192.0.2.50", NOW + 60_000), Ok(()));
        assert_eq!(fail(&throttle, "a", "192.0.2.50", NOW + 60_000), Err(Duration::from_secs(1)));
    }

    #[test]
    fn ten_failures_from_one_address_close_it_but_for_those_known_there() {
        let throttle = Throttle::default();
        throttle.begin("colleague", ip("192.0.2.1"), NOW).unwrap().succeeded();
        for i in 0..10 {
            fail(&throttle, &format!("user{i}"), "192.0.2.1", NOW).unwrap();
        }
        assert!(fail(&throttle, "next", "192.0.2.1", NOW).is_err());
        assert!(fail(&throttle, "next", "::ffff:192.0.2.1", NOW).is_err(), "the same address in other clothes");
        assert!(fail(&throttle, "next", "192.0.2.2", NOW).is_ok());
        for _ in 0..10 {
            fail(&throttle, "colleague", "192.0.2.1", NOW).unwrap();
        }
        assert!(fail(&throttle, "colleague", "192.0.2.1", NOW).is_err(), "known addresses have ten as well");
        assert!(fail(&throttle, "colleague", "192.0.2.1", NOW + WINDOW_MS).is_ok());
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let throttle = Throttle::default();
        for i in 0..10 {
            fail(&throttle, &format!("user{i}"), &format!("2001:db8::{i}"), NOW).unwrap();
        }
        assert!(fail(&throttle, "next", "2001:db8::ffff", NOW).is_err());
        assert!(fail(&throttle, "next", "2001:db8:0:1::1", NOW).is_ok());
    }

    #[test]
    fn withdrawn_attempts_do_not_count_and_open_ones_do() {
        let throttle = Throttle::default();
        for _ in 0..20 {
            throttle.begin("a", ip("192.0.2.1"), NOW).unwrap().withdrawn();
        }
        let open: Vec<_> = (0..10).map(|_| throttle.begin("a", ip("192.0.2.1"), NOW).unwrap()).collect();
        assert!(fail(&throttle, "a", "192.0.2.1", NOW).is_err());
        open.into_iter().for_each(Attempt::withdrawn);
        assert!(fail(&throttle, "a", "192.0.2.1", NOW).is_ok());
    }

    #[test]
    fn a_clock_set_back_does_not_lock_for_long() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            fail(&throttle, "a", "192.0.2.1", NOW).unwrap();
        }
        assert!(fail(&throttle, "a", "192.0.2.1", NOW - WINDOW_MS).is_ok());
    }

    proptest! {
        #[test]
        fn never_more_than_ten_a_minute_and_the_promise_of_retry_holds(
            steps in prop::collection::vec(0..20_000_i64, 1..60),
        ) {
            let throttle = Throttle::default();
            let (mut now_ms, mut passed) = (NOW, Vec::new());
            for step in steps {
                now_ms += step;
                match fail(&throttle, "a", "192.0.2.1", now_ms) {
                    Ok(()) => passed.push(now_ms),
                    Err(wait) => {
                        now_ms += i64::try_from(wait.as_millis()).unwrap();
                        prop_assert_eq!(fail(&throttle, "a", "192.0.2.1", now_ms), Ok(()));
                        passed.push(now_ms);
                    }
                }
            }
            prop_assert!(passed.windows(MAX_FAILURES + 1).all(|w| w[MAX_FAILURES] - w[0] >= WINDOW_MS));
        }
    }
}
