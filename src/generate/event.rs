//! An activity before it has columns: 40 bytes of numbers, so that millions can be sorted.

use super::accounts::{Accounts, any_network, any_place};
use super::random::{Random, mix};
use super::world::World;

/// What happened, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// Unique; a repeat has that of the first.
    pub(super) id: u64,
    /// The object acted on; a file service's is a file.
    pub(super) object: u64,
    /// ms since epoch.
    pub(super) time_ms: i64,
    /// When it is delivered, ms from the begin of its day.
    pub(super) arrival_ms: u32,
    pub(super) account: u32,
    pub(super) origin: u32,
    pub(super) action: u16,
    pub(super) device: u16,
}

/// Origins with this bit are not in the table: their address is used once or for a while and follows from the number.
const FRESH: u32 = 1 << 31;

/// An origin that no account has.
pub(super) fn fresh_origin(random: &mut Random) -> u32 {
    FRESH | u32::try_from(random.next() >> 33).unwrap_or(0)
}

/// Where an event comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) place: u16,
    pub(super) network: u16,
}

/// Place and network of an event: those of its origin, or for a fresh one those of its number; mostly near home.
pub(super) fn source_of(event: &Event, accounts: &Accounts, world: &World) -> Source {
    if let Some(origin) = accounts.origins.get(event.origin as usize) {
        return Source { place: origin.place, network: origin.network };
    }
    let mut random = Random::of_part(u64::from(event.origin), &[]);
    let home = accounts.all[event.account as usize].home;
    let place = if random.chance(0.9) { home } else { any_place(world, &mut random) };
    Source { place, network: any_network(&mut random) }
}

/// Writes an origin's address over `text`.
pub(super) fn write_address(origin: u32, accounts: &Accounts, text: &mut String) {
    text.clear();
    if let Some(origin) = accounts.origins.get(origin as usize) {
        text.push_str(&origin.address);
        return;
    }
    text.push_str("2001:db8:");
    let bits = mix(u64::from(origin));
    for (group, separator) in [(bits >> 48, ":"), (bits >> 32 & 0xffff, ":"), (bits >> 16 & 0xffff, "::")] {
        push_hex(text, group);
        text.push_str(separator);
    }
    push_hex(text, bits & 0xffff);
}

/// Hexadecimal digits of a number, without leading zeros.
fn push_hex(text: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    push_digits(text, number, digits);
}

/// So many of a number's last hexadecimal digits.
pub(super) fn push_digits(text: &mut String, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = u32::try_from(number >> (4 * digit) & 0xf).unwrap_or(0);
        text.push(char::from_digit(nibble, 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::generate::{Plan, Profile};

    #[test]
    fn addresses_are_addresses_and_differ() {
        let world = World::new();
        let plan = Plan { seed: 1, users: 100, days: 1, end_ms: 0, rows: None, profile: Profile::Workload };
        let accounts = Accounts::new(&plan, &world);
        let mut random = Random::of_part(1, &[]);
        let mut seen = std::collections::HashSet::new();
        let mut text = String::new();
        for _ in 0..1_000 {
            write_address(fresh_origin(&mut random), &accounts, &mut text);
            assert!(text.parse::<IpAddr>().is_ok(), "{text}");
            assert!(seen.insert(text.clone()));
        }
        assert!(accounts.origins.iter().all(|origin| origin.address.parse::<IpAddr>().is_ok()));
        text.clear();
        push_digits(&mut text, 0xabcd, 6);
        assert_eq!(text, "00abcd");
    }
}
