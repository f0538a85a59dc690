//! Places and networks.

use std::sync::Arc;

use anomalake::cli::owner::Owner;
use anomalake::domain::clock::ManualClock;
use anomalake::services::settings::ServerSettings;
use serde_json::json;

use super::{calls, server, systems};
use crate::support::mmdb::Mmdb;
use crate::support::records::activity;
use crate::support::{NOW_MS, TestServer};

const PLACE: [&str; 4] = ["city", "region", "country", "locationId"];
const NETWORK: [&str; 3] = ["asn", "asnName", "geoOrgNameV1"];

#[tokio::test]
async fn rows_of_a_vendor_get_what_databases_know() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let tenant = server.tenant(5618).await;
    let addresses = ["96.127.68.39", "2a00:1450:4001::1", "198.51.100.7", "10.0.0.1", "8.8.8.8", "AWS Internal"];
    tenant.ingest_from("cloudtrail", calls(&addresses)).await.expect(200);
    assert_eq!(
        tenant.cells(PLACE).await,
        ["portland,or,US,portland::US::or", "dublin,,IE,dublin::IE::", ",,,", ",,,", ",,,", ",,,"]
    );
    assert_eq!(
        tenant.cells(NETWORK).await,
        ["16509,amazon.com inc.,amazon.com inc.", "15169,google llc,google llc", ",,", ",,", ",,", ",,"]
    );
    assert_eq!(tenant.cells(["clientName", "clientOS", "clientCategory"]).await, ["Boto3,Linux,sdk"; 6]);
}

#[tokio::test]
async fn what_a_vendor_brings_stays() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let tenant = server.tenant(5618).await;
    let event = |n: usize, geo: serde_json::Value, asn: Option<i64>| {
        json!({ "published": format!("2026-11-20T10:00:0{n}Z"), "eventType": "user.session.start",
            "client": { "ipAddress": "96.127.68.39", "geographicalContext": geo },
            "securityContext": { "asNumber": asn } })
    };
    let own = json!({ "city": "Munich", "state": "Bavaria", "country": "Germany" });
    let same = json!({ "city": null, "state": "Oregon", "country": "United States" });
    let log = json!([event(1, own, Some(64_500)), event(2, same, Some(16_509)), event(3, json!({}), None)]);
    tenant.ingest_from("okta", log.to_string()).await.expect(200);
    assert_eq!(
        tenant.cells(PLACE).await,
        [
            "munich,bavaria,DE,munich::DE::bavaria",
            "portland,oregon,US,portland::US::oregon",
            "portland,or,US,portland::US::or"
        ]
    );
    let amazon = "16509,amazon.com inc.,amazon.com inc.";
    assert_eq!(tenant.cells(NETWORK).await, ["64500,,", amazon, amazon]);
}

#[tokio::test]
async fn the_lakes_own_records_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let tenant = server.tenant(5618).await;
    let network = json!({ "networks": ["0.0.0.0/0"], "trusted": true });
    server.control().post_json("/control/tenants/5618/networks", &network).await.expect(200);
    let mut record = activity(NOW_MS, "ann", "a");
    record["sourceIP"] = json!("96.127.68.39");
    tenant.ingest(&[record]).await;
    assert_eq!(tenant.cells(["sourceIP", "country", "asn", "isSourceTrusted"]).await, ["96.127.68.39,,,"]);
}

#[tokio::test]
async fn a_new_database_counts_for_the_next_ingest_and_a_bad_one_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let tenant = server.tenant(5618).await;
    let databases = &server.owner.services.databases;
    let look_twice = async || {
        databases.look().await;
        databases.look().await;
    };
    let load = async |n: usize| {
        let record = super::call(n, "96.127.68.39").to_string();
        tenant.ingest_from("cloudtrail", record).await.expect(200);
    };
    load(1).await;
    let moved =
        Mmdb::new("GeoLite2-City", super::BUILT_S).with("96.127.0.0/16", &json!({ "country": { "iso_code": "CA" } }));
    moved.save(&folder.path().join("city.mmdb"));
    look_twice().await;
    load(2).await;
    std::fs::write(folder.path().join("city.mmdb"), "an error page").unwrap();
    look_twice().await;
    load(3).await;
    std::fs::remove_file(folder.path().join("city.mmdb")).unwrap();
    look_twice().await;
    load(4).await;
    assert_eq!(tenant.cells(["country"]).await, ["US", "CA", "CA", "CA"]);
    assert_eq!(server.metric("anomalake_geo_reloads_failed_total").await, 1);
}

#[tokio::test]
async fn look_ups_and_ages_are_counted_by_file_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let tenant = server.tenant(5618).await;
    let addresses = ["96.127.68.39", "96.127.68.39", "8.8.8.8", "10.0.0.1"];
    tenant.ingest_from("cloudtrail", calls(&addresses)).await.expect(200);
    let text = server.anyone().get("/metrics").await.expect(200);
    let age_s = NOW_MS / 1_000 - i64::try_from(super::BUILT_S).unwrap();
    for line in [
        "anomalake_geo_hits_total{database=\"city.mmdb\"} 1".to_owned(),
        "anomalake_geo_misses_total{database=\"city.mmdb\"} 1".to_owned(),
        "anomalake_geo_hits_total{database=\"asn.mmdb\"} 1".to_owned(),
        format!("anomalake_geo_database_age_seconds{{database=\"asn.mmdb\"}} {age_s}"),
        "anomalake_geo_reloads_failed_total 0".to_owned(),
    ] {
        assert!(text.text().lines().any(|found| found == line), "no `{line}` in\n{}", text.text());
    }
    assert!(!text.text().contains(folder.path().to_str().unwrap()));
}

#[tokio::test]
async fn a_server_does_not_start_without_its_databases() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |name: &str| {
        let mut settings = ServerSettings::default();
        settings.enrichment.databases = vec![folder.path().join("asn.mmdb"), folder.path().join(name)];
        let owner = Owner::take(&folder.path().join("lake"), settings, Arc::new(ManualClock::new(NOW_MS))).await;
        owner.unwrap_err().to_string()
    };
    systems().save(&folder.path().join("asn.mmdb"));
    let told = start("missing.mmdb").await;
    assert!(
        told.contains("missing.mmdb; put the file there, or take it out of `databases` under [enrichment]"),
        "{told}"
    );
    std::fs::write(folder.path().join("bad.mmdb"), "<html>").unwrap();
    let told = start("bad.mmdb").await;
    assert!(told.contains("bad.mmdb is no sound MMDB database; download it again"), "{told}");
}

#[tokio::test]
async fn without_databases_and_networks_rows_are_as_their_source_says() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest_from("cloudtrail", calls(&["96.127.68.39"])).await.expect(200);
    assert_eq!(tenant.cells(["sourceIP", "country", "isSourceTrusted"]).await, ["96.127.68.39,,"]);
}
