mod filling;
mod reading;

#[path = "../../../tests/it/support/mmdb.rs"]
mod mmdb;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::{Databases, EnrichmentMetrics};
use mmdb::Mmdb;

/// When the fixtures were built: 2026-11-15.
const BUILT_S: u64 = 1_794_700_800;

/// The layout of `MaxMind`.
fn cities() -> Mmdb {
    Mmdb::new("GeoLite2-City", BUILT_S)
        .with(
            "96.127.0.0/16",
            &json!({ "city": { "geoname_id": 5_391_959, "names": { "de": "San Franzisko", "en": "San Francisco" } },
                "country": { "iso_code": "US", "names": { "en": "United States" } },
                "location": { "latitude": 37.7, "longitude": 122.4 },
                "subdivisions": [{ "iso_code": "CA", "names": { "en": "California" } }] }),
        )
        .with("2a00:1450::/32", &json!({ "country": { "iso_code": "IE" }, "city": { "names": { "en": "Dublin" } } }))
        .with("10.0.0.0/8", &json!({ "country": { "iso_code": "XX" } }))
}

/// The layout of DB-IP.
fn systems() -> Mmdb {
    Mmdb::new("DBIP-ASN-Lite (compat=GeoLite2-ASN)", BUILT_S)
        .with("96.0.0.0/6", &json!({ "autonomous_system_number": 7018, "autonomous_system_organization": "AT&T" }))
        .with(
            "96.127.0.0/16",
            &json!({ "autonomous_system_number": 16_509, "autonomous_system_organization": "Amazon.com, Inc." }),
        )
        .with("2a00::/12", &json!({ "autonomous_system_number": 4_200_000_000_u32 }))
}

struct Files {
    dir: TempDir,
    databases: Arc<Databases>,
    metrics: EnrichmentMetrics,
}

impl Files {
    fn of(files: &[(&str, Vec<u8>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| dir.path().join(name)).collect();
        let metrics = EnrichmentMetrics::default();
        let databases = Arc::new(Databases::open(&paths, metrics.clone()).unwrap());
        Self { dir, databases, metrics }
    }

    fn both() -> Self {
        Self::of(&[("city.mmdb", cities().bytes()), ("asn.mmdb", systems().bytes())])
    }
}
