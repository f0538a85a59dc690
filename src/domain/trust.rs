//! Which sources of activities a tenant trusts: networks, and whose they are.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use super::address::canonical;

/// Addresses, or whole autonomous systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SourceNetwork {
    /// Those of a network, `203.0.113.0/24` or `2001:db8:7::/48`; never IPv4 written as IPv6.
    Addresses(IpNet),
    /// Those of an autonomous system, `AS64500`.
    System(u32),
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Neither addresses nor a system.
    #[error("a network is written as 203.0.113.0/24, 2001:db8:7::/48 or AS64500, not as `{0}`")]
    Text(String),
    /// An address within a network, and not the network.
    #[error("`{given}` is an address in a network; write {network} for all of it, or {address} for the one address")]
    Within {
        /// What was written.
        given: String,
        /// The network.
        network: IpNet,
        /// The address.
        address: IpAddr,
    },
}

impl FromStr for SourceNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let invalid = || InvalidNetwork::Text(text.to_owned());
        if let Some(number) = text.get(..2).filter(|start| start.eq_ignore_ascii_case("as")).map(|_| &text[2..]) {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            return number.parse().ok().filter(|_| is_number).map(Self::System).ok_or_else(invalid);
        }
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse::<IpNet>().map_err(|_| invalid())?,
        };
        if network.trunc() != network {
            let (network, address) = (network.trunc(), network.addr());
            return Err(InvalidNetwork::Within { given: text.to_owned(), network, address });
        }
        Ok(Self::Addresses(as_v4(network)))
    }
}

/// IPv4 written as IPv6 as IPv4.
fn as_v4(network: IpNet) -> IpNet {
    let v4 = match canonical(network.addr()) {
        IpAddr::V4(address) => network.prefix_len().checked_sub(96).and_then(|bits| Ipv4Net::new(address, bits).ok()),
        IpAddr::V6(_) => None,
    };
    if matches!(network, IpNet::V6(_)) { v4.map_or(network, IpNet::V4) } else { network }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(network) => network.fmt(f),
            Self::System(number) => write!(f, "AS{number}"),
        }
    }
}

impl TryFrom<String> for SourceNetwork {
    type Error = InvalidNetwork;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SourceNetwork> for String {
    fn from(network: SourceNetwork) -> Self {
        network.to_string()
    }
}

/// What a tenant says of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Whether activities from there are trusted.
    pub trusted: bool,
    /// Who says so.
    pub entity: String,
    /// Why.
    pub reason: String,
}

/// A tenant's networks, ready for look-ups.
#[derive(Debug, Default)]
pub struct TrustList {
    /// By network; an address is looked up once for each length that occurs.
    networks: HashMap<IpNet, Trust>,
    lengths_v4: BTreeSet<u8>,
    lengths_v6: BTreeSet<u8>,
    systems: HashMap<u32, Trust>,
}

/// What the list says of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged<'t> {
    /// It is in this network.
    Known(&'t Trust),
    /// It is in none.
    Foreign,
    /// Nobody can say: there is no list, or it names systems and the source's is not known.
    Unknown,
}

impl TrustList {
    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.systems.is_empty()
    }

    /// Judges a source. Of networks that overlap the most specific counts; any network counts before its
    /// autonomous system.
    #[must_use]
    pub fn judge(&self, address: Option<IpAddr>, system: Option<i64>) -> Judged<'_> {
        if let Some(known) = address.and_then(|address| self.by_address(canonical(address))) {
            return Judged::Known(known);
        }
        let system = system.and_then(|number| u32::try_from(number).ok());
        if let Some(known) = system.and_then(|number| self.systems.get(&number)) {
            return Judged::Known(known);
        }
        let decidable =
            (self.networks.is_empty() || address.is_some()) && (self.systems.is_empty() || system.is_some());
        if decidable && !self.is_empty() { Judged::Foreign } else { Judged::Unknown }
    }

    fn by_address(&self, address: IpAddr) -> Option<&Trust> {
        let lengths = if address.is_ipv4() { &self.lengths_v4 } else { &self.lengths_v6 };
        lengths.iter().rev().find_map(|length| self.networks.get(&IpNet::new(address, *length).ok()?.trunc()))
    }
}

impl FromIterator<(SourceNetwork, Trust)> for TrustList {
    fn from_iter<I: IntoIterator<Item = (SourceNetwork, Trust)>>(networks: I) -> Self {
        let mut list = Self::default();
        for (network, trust) in networks {
            match network {
                SourceNetwork::Addresses(network) => {
                    let lengths = if network.addr().is_ipv4() { &mut list.lengths_v4 } else { &mut list.lengths_v6 };
                    lengths.insert(network.prefix_len());
                    list.networks.insert(network, trust);
                }
                SourceNetwork::System(number) => {
                    list.systems.insert(number, trust);
                }
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(networks: &[(&str, bool)]) -> TrustList {
        let entry = |(network, trusted): &(&str, bool)| {
            let trust = Trust { trusted: *trusted, entity: "it".to_owned(), reason: (*network).to_owned() };
            (network.parse().unwrap(), trust)
        };
        networks.iter().map(entry).collect()
    }

    /// The network that decides, with `-` before it where it is not trusted.
    fn judged(list: &TrustList, address: &str, system: Option<i64>) -> String {
        match list.judge(address.parse().ok(), system) {
            Judged::Known(trust) => format!("{}{}", if trust.trusted { "" } else { "-" }, trust.reason),
            Judged::Foreign => "foreign".to_owned(),
            Judged::Unknown => "unknown".to_owned(),
        }
    }

    #[test]
    fn networks_are_read_in_one_spelling() {
        for (text, expected) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            (" 203.0.113.7 ", "203.0.113.7/32"),
            ("2001:DB8:7::/48", "2001:db8:7::/48"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("as64500", "AS64500"),
            ("AS4294967295", "AS4294967295"),
        ] {
            assert_eq!(text.parse::<SourceNetwork>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "AS", "AS-1", "AS+1", "AS4294967296", "10.0.0.0/33", "10.0.0", "example.com", "64500", "ä"] {
            assert!(matches!(text.parse::<SourceNetwork>(), Err(InvalidNetwork::Text(_))), "{text}");
        }
        let error = "203.0.113.7/24".parse::<SourceNetwork>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`203.0.113.7/24` is an address in a network; write 203.0.113.0/24 for all of it, or 203.0.113.7 for the one address"
        );
    }

    #[test]
    fn the_most_specific_network_wins_and_any_network_before_its_system() {
        let list = list(&[
            ("10.0.0.0/8", true),
            ("10.9.0.0/16", false),
            ("10.9.8.7", true),
            ("2001:db8::/32", true),
            ("2001:db8:9::/48", false),
            ("AS64500", true),
        ]);
        for (address, system, expected) in [
            ("10.1.1.1", None, "10.0.0.0/8"),
            ("10.9.1.1", None, "-10.9.0.0/16"),
            ("10.9.1.1", Some(64_500), "-10.9.0.0/16"),
            ("10.9.8.7", None, "10.9.8.7"),
            ("::ffff:10.9.8.7", None, "10.9.8.7"),
            ("2001:db8:1::1", None, "2001:db8::/32"),
            ("2001:db8:9::1", None, "-2001:db8:9::/48"),
            ("8.8.8.8", Some(64_500), "AS64500"),
            ("8.8.8.8", Some(15_169), "foreign"),
            ("8.8.8.8", Some(-1), "unknown"),
            ("8.8.8.8", None, "unknown"),
            ("", Some(64_500), "AS64500"),
            ("", Some(15_169), "unknown"),
        ] {
            assert_eq!(judged(&list, address, system), expected, "{address} {system:?}");
        }
    }

    #[test]
    fn without_a_list_nothing_is_said_and_without_systems_none_is_needed() {
        assert_eq!(judged(&list(&[]), "10.0.0.1", Some(1)), "unknown");
        assert_eq!(judged(&list(&[("10.0.0.0/8", true)]), "8.8.8.8", None), "foreign");
        assert_eq!(judged(&list(&[("AS1", true)]), "", Some(2)), "foreign");
    }

    proptest! {
        #[test]
        fn a_look_up_finds_what_a_scan_of_the_list_finds(
            networks in proptest::collection::vec((any::<[u8; 2]>(), 0..=16_u8), 0..20),
            address in any::<[u8; 4]>(),
        ) {
            let network = |([a, b], length): &([u8; 2], u8)| {
                IpNet::new(IpAddr::from([*a % 4, *b % 4, 0, 0]), *length).unwrap().trunc()
            };
            let networks: Vec<IpNet> = networks.iter().map(network).collect();
            let address = IpAddr::from([address[0] % 4, address[1] % 4, address[2], address[3]]);
            let list: TrustList = networks.iter().map(|network| {
                let trust = Trust { trusted: true, entity: String::new(), reason: network.to_string() };
                (SourceNetwork::Addresses(*network), trust)
            }).collect();
            let best = networks.iter().filter(|n| n.contains(&address)).max_by_key(|n| n.prefix_len());
            let found = match list.judge(Some(address), None) {
                Judged::Known(trust) => Some(trust.reason.clone()),
                _ => None,
            };
            prop_assert_eq!(found, best.map(ToString::to_string));
        }

        #[test]
        fn what_is_printed_reads_back(bits in any::<u128>(), length in 0..=128_u8, number in any::<u32>()) {
            let network = IpNet::new(IpAddr::from(bits.to_be_bytes()), length).unwrap().trunc();
            let network: SourceNetwork = network.to_string().parse().unwrap();
            prop_assert_eq!(network.to_string().parse::<SourceNetwork>(), Ok(network));
            let system = SourceNetwork::System(number);
            prop_assert_eq!(system.to_string().parse::<SourceNetwork>(), Ok(system));
        }
    }
}
