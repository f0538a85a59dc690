//! Files: what they know, which are refused, and how they are taken over when they change.

use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::json;

use super::super::database::Database;
use super::super::metrics::DatabaseLabels;
use super::super::{DatabaseError, Databases, EnrichmentMetrics};
use super::mmdb::Mmdb;
use super::{BUILT_S, Files, cities, systems};

/// What the databases say of an address, in one line.
fn told(databases: &Databases, address: &str) -> String {
    let facts = databases.current().look_up(address.parse().unwrap());
    let place = facts.place.map(|p| [p.city, p.country, p.region].map(Option::unwrap_or_default).join("::"));
    let network = facts.network.map(|n| {
        let names = [n.asn_name, n.organization].map(Option::unwrap_or_default).join("/");
        format!("AS{} {names}", n.asn.unwrap_or_default())
    });
    format!("{} | {}", place.unwrap_or_default(), network.unwrap_or_default())
}

#[test]
fn places_and_networks_of_both_layouts_are_read() {
    let files = Files::both();
    for (address, expected) in [
        ("96.127.68.39", "san francisco::US::ca | AS16509 amazon.com inc./amazon.com inc."),
        ("::ffff:96.127.68.39", "san francisco::US::ca | AS16509 amazon.com inc./amazon.com inc."),
        ("97.0.0.1", " | AS7018 at&t/at&t"),
        ("2a00:1450:4001::1", "dublin::IE:: | AS4200000000 /"),
        ("8.8.8.8", " | "),
        ("10.1.2.3", " | "),
        ("2001:db8::1", " | "),
    ] {
        assert_eq!(told(&files.databases, address), expected, "{address}");
    }
    let count = |family: &prometheus_client::metrics::family::Family<
        _,
        prometheus_client::metrics::counter::Counter,
    >| { family.get_or_create_owned(&DatabaseLabels { database: "city.mmdb".to_owned() }).get() };
    // Addresses that are not public are not looked up.
    assert_eq!((count(&files.metrics.hits), count(&files.metrics.misses)), (3, 2));
}

#[test]
fn the_age_of_a_database_is_told() {
    let files = Files::both();
    let built_ms = i64::try_from(BUILT_S).unwrap() * 1_000;
    let age = || {
        let labels = DatabaseLabels { database: "asn.mmdb".to_owned() };
        files.metrics.age_seconds.get_or_create_owned(&labels).get()
    };
    for (now_ms, expected) in [(built_ms + 86_400_000, 86_400), (built_ms - 5, 0)] {
        files.databases.observe(now_ms);
        assert_eq!(age(), expected);
    }
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.mmdb");
    let open = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Database::open(&path, &EnrichmentMetrics::default()).map(drop)
    };
    let whole = cities().bytes();
    assert!(matches!(open(&[]), Err(DatabaseError::Format { .. })));
    assert!(matches!(open(b"<html>log in first</html>"), Err(DatabaseError::Format { .. })));
    assert!(matches!(open(&whole[..whole.len() / 2]), Err(DatabaseError::Format { .. })));
    assert!(matches!(open(&[0x1f, 0x8b, 8, 0]), Err(DatabaseError::Compressed { .. })));
    let other = Mmdb::new("GeoIP2-Connection-Type", 1).with("1.0.0.0/8", &json!({ "connection_type": "Cable" }));
    let error = open(&other.bytes()).unwrap_err().to_string();
    assert!(error.contains("x.mmdb (GeoIP2-Connection-Type) holds neither places nor networks"), "{error}");
    let missing = dir.path().join("gone.mmdb");
    let error = Databases::open(&[missing], EnrichmentMetrics::default()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the database ") && error.contains("under [enrichment]"), "{error}");
}

#[tokio::test]
async fn a_new_file_is_taken_over_once_it_stands_still() {
    let files = Files::both();
    let path = files.dir.path().join("city.mmdb");
    let new =
        Mmdb::new("GeoLite2-City", BUILT_S + 1).with("96.127.0.0/16", &json!({ "country": { "iso_code": "CA" } }));
    let before = files.databases.current();
    new.save(&path);
    files.databases.look().await;
    assert!(told(&files.databases, "96.127.68.39").starts_with("san francisco"), "seen once, it may still be written");
    files.databases.look().await;
    assert!(told(&files.databases, "96.127.68.39").starts_with("::CA:: | AS16509"), "the other file is not touched");
    let facts = before.look_up("96.127.68.39".parse().unwrap());
    assert_eq!(facts.place.unwrap().country.as_deref(), Some("US"), "an input keeps what it began with");
}

#[tokio::test]
async fn a_bad_or_missing_file_leaves_the_old_one_in_force() {
    let files = Files::both();
    let path = files.dir.path().join("city.mmdb");
    let good = cities().bytes();
    // The tree is whole, but a record within is not.
    let mut damaged = good.clone();
    let name = damaged.windows(6).position(|bytes| bytes == b"Dublin").unwrap();
    damaged[name] = 0xff;
    let failed = files.metrics.reloads_failed.clone();
    for (bad, failures) in [(good[..good.len() - 40].to_vec(), 1), (b"not found".to_vec(), 2), (damaged, 3)] {
        std::fs::write(&path, &bad).unwrap();
        for _ in 0..4 {
            files.databases.look().await;
        }
        assert!(told(&files.databases, "2a00:1450::1").starts_with("dublin::IE"));
        assert_eq!(failed.get(), failures, "told once for each file");
    }
    std::fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        files.databases.look().await;
    }
    assert!(told(&files.databases, "96.127.68.39").starts_with("san francisco"));
    std::fs::write(&path, systems().bytes()).unwrap();
    for _ in 0..2 {
        files.databases.look().await;
    }
    assert_eq!(told(&files.databases, "2a00:1450::1"), " | AS4200000000 /", "a good one is taken again");
    assert_eq!(failed.get(), 3);
}

#[test]
fn a_downloaded_database_is_read_when_there_is_one() {
    let Some(paths) = std::env::var_os("ANOMALAKE_TEST_MMDB") else {
        println!("skipped: ANOMALAKE_TEST_MMDB names no databases");
        return;
    };
    let paths: Vec<_> = std::env::split_paths(&paths).collect();
    let databases = Databases::open(&paths, EnrichmentMetrics::default()).unwrap();
    let mut known = 0;
    for address in ["8.8.8.8", "1.1.1.1", "96.127.68.39", "3.120.8.62", "2001:4860:4860::8888", "185.199.108.153"] {
        let told = told(&databases, address);
        println!("{address}: {told}");
        known += usize::from(told != " | ");
    }
    assert!(known >= 5, "{known} of 6 are known");
    assert_eq!(told(&databases, "10.0.0.1"), " | ");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_refused_or_read_without_harm(
        place in any::<prop::sample::Index>(), byte in any::<u8>(), bits in any::<u32>(),
    ) {
        let mut bytes = cities().bytes();
        let place = place.index(bytes.len());
        bytes[place] ^= byte;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mmdb");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(database) = Database::open(&path, &EnrichmentMetrics::default()) {
            let _ = database.verify();
            for address in [IpAddr::from(bits.to_be_bytes()), "96.127.68.39".parse().unwrap(), "2a00:1450::1".parse().unwrap()] {
                let _ = database.look_up(address);
            }
        }
    }
}
