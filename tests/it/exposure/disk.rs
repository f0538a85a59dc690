//! A disk that is almost full: nothing is stored, everything is read.

use super::uploads::records;
use crate::support::records::{activity, ndjson};
use crate::support::{DELAY_MS, NOW_MS, TestServer};

#[tokio::test]
async fn stores_nothing_and_reads_go_on() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest(&[activity(NOW_MS, "ann", "a"), activity(NOW_MS, "zoe", "z")]).await;
    let (made, unmade) = (tenant.of_user("ann").await, tenant.of_user("zoe").await);
    server.clock.advance(DELAY_MS);
    tenant.query(made).await;
    let ready = server.anyone().get("/readyz").await.expect(200);
    assert_eq!(ready.json()["status"], "ok");
    assert!(server.metric("anomalake_disk_free_bytes").await > 0);

    // No disk has this much.
    let server = server.restart_with(|settings| settings.min_free_disk = u64::MAX).await;
    let tenant = tenant.at(&server);
    let files = server.stored_files();
    for rows in [1, 60_000] {
        let refused = tenant.api.ingest(records(rows)).await.expect(507);
        assert_eq!(refused.json()["code"], "disk_low");
        assert!(refused.json()["message"].as_str().unwrap().contains("nothing was stored"));
    }
    assert_eq!(server.stored_files(), files);
    assert_eq!(tenant.query(made).await.column("fileName"), ["a"]);
    assert_eq!(tenant.stored().await, ["a", "z"]);
    // Evidence that is not there cannot be made; it is not counted as a failed attempt either.
    for _ in 0..4 {
        tenant.api.query(unmade).await.expect(507);
    }
    // Told without taking the reads away: a load balancer goes by the status.
    assert_eq!(server.anyone().get("/readyz").await.expect(200).json()["status"], "disk_low");

    let server = server.restart_with(|settings| settings.min_free_disk = 0).await;
    let tenant = tenant.at(&server);
    assert_eq!(tenant.query(unmade).await.column("fileName"), ["z"]);
    tenant.api.ingest(ndjson(&[activity(NOW_MS, "ann", "b")])).await.expect(200);
    assert_eq!(tenant.query(made).await.column("fileName"), ["a", "b"]);
}
