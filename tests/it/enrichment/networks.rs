//! Networks that tenants trust.

use serde_json::{Value, json};

use super::{calls, server};
use crate::support::TestServer;

const TRUST: [&str; 3] = ["isSourceTrusted", "trustEntity", "trustReason"];

async fn add(server: &TestServer, tenant: i64, networks: &[&str], trusted: bool, reason: Option<&str>) -> Value {
    let body = json!({ "networks": networks, "trusted": trusted, "reason": reason });
    server.control().post_json(&format!("/control/tenants/{tenant}/networks"), &body).await.expect(200).json()
}

#[tokio::test]
async fn the_most_specific_network_of_the_tenant_judges_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (one, other) = (server.tenant(1).await, server.tenant(2).await);
    assert_eq!(
        add(&server, 1, &["10.0.0.0/8", "2001:db8::/32"], true, Some("office")).await,
        json!({ "added": 2, "replaced": 0 })
    );
    add(&server, 1, &["10.66.0.0/16"], false, None).await;
    add(&server, 1, &["AS16509"], true, Some("provider")).await;
    add(&server, 2, &["10.66.0.0/16"], true, None).await;
    let addresses = ["10.1.1.1", "10.66.1.1", "2001:db8::7", "96.127.68.39", "2a00:1450::1", "8.8.8.8"];
    for tenant in [&one, &other] {
        tenant.ingest_from("cloudtrail", calls(&addresses)).await.expect(200);
    }
    assert_eq!(
        one.cells(TRUST).await,
        [
            "true,Example,office",
            "false,Example,Untrusted Network",
            "true,Example,office",
            "true,Example,provider",
            "false,,",
            // No database knows its system, so it may be the trusted one.
            ",,",
        ]
    );
    let foreign = "false,,";
    assert_eq!(other.cells(TRUST).await, [foreign, "true,Example,Trusted Network", foreign, foreign, foreign, foreign]);
}

#[tokio::test]
async fn a_change_counts_from_the_next_ingest_and_is_in_the_audit_trail() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let load = async |n: usize| {
        let record = super::call(n, "203.0.113.9").to_string();
        tenant.ingest_from("cloudtrail", record).await.expect(200);
    };
    load(1).await;
    add(&server, 5618, &["203.0.113.0/24"], true, Some("HQ")).await;
    load(2).await;
    assert_eq!(add(&server, 5618, &["203.0.113.0/24"], false, Some("sold")).await["replaced"], 1);
    load(3).await;
    let gone = json!({ "networks": ["203.0.113.0/24", "AS1"] });
    let done = server.control().post_json("/control/tenants/5618/networks/remove", &gone).await.expect(200).json();
    assert_eq!(done, json!({ "removed": ["203.0.113.0/24"], "missing": ["AS1"] }));
    load(4).await;
    assert_eq!(tenant.cells(TRUST).await, [",,", "true,Example,HQ", "false,Example,sold", ",,"]);
    let acts: Vec<String> = server.audit(&tenant).await.into_iter().map(|entry| entry.action).collect();
    let count = |action: &str| acts.iter().filter(|found| *found == action).count();
    assert_eq!((count("tenant.networks.add"), count("tenant.networks.remove")), (2, 1), "{acts:?}");
}

#[tokio::test]
async fn a_vendors_own_judgement_stays() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    add(&server, 5618, &["0.0.0.0/0"], true, Some("all")).await;
    let event = |n: usize, zone: &str| {
        json!({ "published": format!("2026-11-20T10:00:0{n}Z"), "eventType": "x",
            "client": { "ipAddress": "198.51.100.7", "zone": zone } })
    };
    tenant.ingest_from("okta", json!([event(1, "Munich office"), event(2, "null")]).to_string()).await.expect(200);
    assert_eq!(tenant.cells(TRUST).await, ["true,Okta,Munich office", "true,Example,all"]);
}

#[tokio::test]
async fn what_is_no_network_or_no_tenant_is_refused() {
    let server = TestServer::start().await;
    server.tenant(5618).await;
    for wrong in ["10.0.0.1/8", "office", "AS99999999999"] {
        let body = json!({ "networks": [wrong], "trusted": true });
        server.control().post_json("/control/tenants/5618/networks", &body).await.expect(400);
    }
    let body = json!({ "networks": ["10.0.0.0/8"], "trusted": true });
    server.control().post_json("/control/tenants/7/networks", &body).await.expect(404);
    server.anyone().post_json("/control/tenants/5618/networks", &body).await.expect(404);
}
