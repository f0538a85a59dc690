//! Rows of vendors with what databases and tenants know about their addresses.

mod databases;
mod networks;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::mmdb::Mmdb;
use crate::support::{TestServer, TestTenant};

/// 2026-11-15, a week before the tests' now.
pub(crate) const BUILT_S: u64 = 1_794_700_800;

/// Places in the layout of `MaxMind`.
pub(crate) fn cities() -> Mmdb {
    Mmdb::new("GeoLite2-City", BUILT_S)
        .with(
            "96.127.0.0/16",
            &json!({ "city": { "names": { "en": "Portland" } }, "country": { "iso_code": "US" },
                "subdivisions": [{ "iso_code": "OR", "names": { "en": "Oregon" } }] }),
        )
        .with("2a00:1450::/32", &json!({ "city": { "names": { "en": "Dublin" } }, "country": { "iso_code": "IE" } }))
}

/// Networks in the layout of DB-IP.
pub(crate) fn systems() -> Mmdb {
    let amazon = json!({ "autonomous_system_number": 16_509, "autonomous_system_organization": "Amazon.com, Inc." });
    let google = json!({ "autonomous_system_number": 15_169, "autonomous_system_organization": "Google LLC" });
    Mmdb::new("DBIP-ASN-Lite", BUILT_S).with("96.127.0.0/16", &amazon).with("2a00:1450::/32", &google)
}

/// A server that looks addresses up in `city.mmdb` and `asn.mmdb` of a folder.
async fn server(folder: &Path) -> TestServer {
    let files = ["city.mmdb", "asn.mmdb"].map(|name| folder.join(name));
    cities().save(&files[0]);
    systems().save(&files[1]);
    TestServer::start_with(|settings| settings.enrichment.databases = files.to_vec()).await
}

/// A call as `CloudTrail` records it, the n-th.
fn call(n: usize, address: &str) -> Value {
    json!({ "eventTime": format!("2026-11-20T10:00:{n:02}Z"), "eventID": n.to_string(), "eventName": "GetObject",
        "sourceIPAddress": address, "userAgent": "Boto3/1.34 Python/3.11 Linux/6.1" })
}

fn calls(addresses: &[&str]) -> String {
    let records: Vec<Value> = addresses.iter().enumerate().map(|(n, address)| call(n, address)).collect();
    json!({ "Records": records }).to_string()
}

impl TestTenant {
    /// These columns of every activity, in order of time, joined with a comma.
    async fn cells<const N: usize>(&self, names: [&str; N]) -> Vec<String> {
        let all = self.everything().await;
        let export = self.activities(all).await;
        let columns = names.map(|name| export.column(name));
        (0..columns[0].len()).map(|row| columns.each_ref().map(|column| column[row].as_str()).join(",")).collect()
    }
}
