//! Values as vendors write them: addresses, times, names with parts. Pure functions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDateTime};

/// The address in a vendor's text: `v4`, `v6`, and both with a port, `v4:port` and `[v6]:port`.
///
/// Strict, as logs name services and hosts in the same field: octets with leading zeros or above 255,
/// ports above 65535 and zones are refused. An IPv6 address in brackets needs no port.
#[must_use]
pub fn ip_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return port_is_fine.then(|| address.parse::<Ipv6Addr>().ok())?.map(IpAddr::V6);
    }
    if let Some((address, port)) = text.split_once(':')
        && let Ok(address) = address.parse::<Ipv4Addr>()
    {
        return is_port(port).then_some(IpAddr::V4(address));
    }
    text.parse().ok()
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Milliseconds since epoch of a date and time: RFC 3339, with `T` or a space between, any number of
/// digits of a second, an offset with or without colon. Without a zone it is UTC. What is finer than a
/// millisecond is cut off, towards the past.
#[must_use]
pub fn epoch_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let zoneless = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    let utc = |form| NaiveDateTime::parse_from_str(text, form).ok().map(|time| time.and_utc().timestamp_millis());
    if let Some(ms) = zoneless.into_iter().find_map(utc) {
        return Some(ms);
    }
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"];
    let offset = |form| DateTime::parse_from_str(text, form).ok().map(|time| time.timestamp_millis());
    zoned.into_iter().find_map(offset)
}

/// What follows the last of these separators; the whole text where there is none. Nothing instead of
/// the empty text.
#[must_use]
pub fn last_segment<'t>(text: &'t str, separators: &str) -> Option<&'t str> {
    let last = text.rsplit(|c| separators.contains(c)).next()?;
    (!last.is_empty()).then_some(last)
}

/// What follows the last dot of a path's last part, where something stands before it too.
#[must_use]
pub fn file_extension(path: &str) -> Option<&str> {
    let (stem, extension) = last_segment(path, "/\\")?.rsplit_once('.')?;
    (!stem.is_empty() && !extension.is_empty()).then_some(extension)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Option<String> {
        ip_address(text).map(|address| address.to_string())
    }

    #[test]
    fn addresses_lose_port_and_brackets() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            (" 10.0.0.1 ", "10.0.0.1"),
            ("255.255.255.255", "255.255.255.255"),
            ("20.190.157.12:39281", "20.190.157.12"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2603:1036:304:2856::5]:65535", "2603:1036:304:2856::5"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
            ("::", "::"),
        ] {
            assert_eq!(address(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "AWS Internal",
            "cloudtrail.amazonaws.com",
            "035.249.253.232",
            "253.252.51.07",
            "10.0.0.00",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "0x7f.0.0.1",
            "2130706433",
            "1.2.3.4/24",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:+80",
            "1.2.3.4:80:90",
            "[1.2.3.4]:80",
            "[::1",
            "[::1]80",
            "[::1]:",
            "::1]:80",
            "fe80::1%eth0",
            "1.2.3.4, 5.6.7.8",
            "<Attacker source IP>",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn times_of_every_spelling_are_read() {
        for (text, expected) in [
            ("2023-07-10T11:42:18Z", 1_688_989_338_000),
            ("2023-07-10T13:42:18+02:00", 1_688_989_338_000),
            ("2023-07-10T13:42:18+0200", 1_688_989_338_000),
            ("2023-07-10 13:42:18 +0200", 1_688_989_338_000),
            ("2023-07-10T11:42:18", 1_688_989_338_000),
            ("2023-07-10 11:42:18", 1_688_989_338_000),
            ("2023-07-10 11:42:18.000000000", 1_688_989_338_000),
            ("2023-07-10T11:42:18.9999999", 1_688_989_338_999),
            ("2023-07-10T11:42:18.1239Z", 1_688_989_338_123),
            ("1969-12-31T23:59:59.9995Z", -1),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] {
            assert_eq!(epoch_ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "redacted",
            "...",
            "2023-07-10",
            "11:42:18",
            "1688989338000",
            "2023-13-10T11:42:18Z",
            "2023-07-10T11:42Z",
        ] {
            assert_eq!(epoch_ms(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_names() {
        for (text, expected) in [
            ("arn:aws:iam::123456789012:user/division/ann", Some("ann")),
            ("arn:aws:iam::123456789012:root", Some("root")),
            ("arn:aws:sts::123456789012:assumed-role/deploy/i-0abc", Some("i-0abc")),
            ("ann", Some("ann")),
            ("ann/", None),
            ("", None),
        ] {
            assert_eq!(last_segment(text, "/:"), expected, "{text}");
        }
        for (path, expected) in [
            ("a/b/report.final.pdf", Some("pdf")),
            ("a.d/b", None),
            (".profile", None),
            ("a/.profile", None),
            ("a.", None),
            ("logs/", None),
            ("", None),
        ] {
            assert_eq!(file_extension(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn an_address_read_is_canonical(bits in any::<u128>(), port in any::<u16>(), v4 in any::<u32>()) {
            let (v6, v4) = (Ipv6Addr::from_bits(bits), Ipv4Addr::from_bits(v4));
            prop_assert_eq!(ip_address(&v6.to_string()), Some(IpAddr::V6(v6)));
            prop_assert_eq!(ip_address(&format!("[{v6}]:{port}")), Some(IpAddr::V6(v6)));
            prop_assert_eq!(ip_address(&v4.to_string()), Some(IpAddr::V4(v4)));
            prop_assert_eq!(ip_address(&format!("{v4}:{port}")), Some(IpAddr::V4(v4)));
        }

        #[test]
        fn no_text_does_harm(text in ".{0,40}") {
            let _ = (ip_address(&text), epoch_ms(&text), last_segment(&text, "/:"), file_extension(&text));
        }
    }
}
