//! Ways into the internet.

/// A way into the internet.
#[derive(Debug, Clone)]
pub(in crate::generate) struct Network {
    pub(in crate::generate) asn: i64,
    pub(in crate::generate) owner: String,
    pub(in crate::generate) kind: &'static str,
    pub(in crate::generate) trusted: bool,
    /// What the proxy is, and its class.
    pub(in crate::generate) proxy: Option<(&'static str, &'static str)>,
}

/// Networks of homes of the demo: the first ones.
pub(in crate::generate) const HOME_NETWORKS: u16 = 4;
/// Network of phones of the demo.
pub(in crate::generate) const MOBILE: u16 = 4;
/// The company's own network.
pub(in crate::generate) const OFFICE: u16 = 5;
/// A data centre where the company's service accounts run.
pub(in crate::generate) const CLOUD: u16 = 6;
/// An anonymous hosting network.
pub(in crate::generate) const ANONYMOUS: u16 = 7;

/// All networks.
pub(in crate::generate) const NETWORKS: usize = 2_000;

type Written = (i64, &'static str, &'static str, bool, Option<(&'static str, &'static str)>);

const WRITTEN: [Written; 8] = [
    (64_496, "cascadia fiber", "broadband", false, None),
    (64_497, "golden coast cable", "broadband", false, None),
    (64_498, "lone star telecom", "broadband", false, None),
    (64_499, "island broadband", "broadband", false, None),
    (64_500, "roam mobile", "cellular", false, None),
    (64_501, "acme corporation", "corporate", true, None),
    (64_502, "example cloud hosting", "hosting", true, Some(("cloud", "hosting"))),
    (64_510, "anywhere vpn services", "hosting", false, Some(("vpn", "anonymous"))),
];

/// First of the private-use numbers of RFC 6996.
const FIRST_PRIVATE: i64 = 4_200_000_000;

pub(super) fn networks() -> Vec<Network> {
    let written = WRITTEN.into_iter().map(|(asn, owner, kind, trusted, proxy)| Network {
        asn,
        owner: owner.to_owned(),
        kind,
        trusted,
        proxy,
    });
    let further = (FIRST_PRIVATE..).enumerate().map(|(n, asn)| {
        let (kind, what, proxy) = match n % 10 {
            0 => ("hosting", "cloud", Some(("cloud", "hosting"))),
            1 => ("corporate", "corporation", None),
            2 | 3 => ("cellular", "mobile", None),
            _ => ("broadband", "broadband", None),
        };
        Network { asn, owner: format!("example {what} {n} ltd."), kind, trusted: false, proxy }
    });
    written.chain(further).take(NETWORKS).collect()
}
