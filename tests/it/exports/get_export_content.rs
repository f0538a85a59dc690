//! `GET /api/v1/exports/{id}/content`: the whole, and parts that make it up.

use std::sync::Arc;

use serde_json::json;

use super::{PATH, ask, content, make, show, tenant_with};
use crate::support::TestServer;

#[tokio::test]
async fn parts_make_up_the_whole() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 2_000).await;
    let id = ask(&tenant, anomaly).await;
    make(&server).await;
    let path = format!("{PATH}/{id}/content");
    let whole = content(&tenant, id).await.expect(200);
    let size = whole.body.len();
    let etag = whole.header("etag").unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", show(&tenant, id).await["sha256"].as_str().unwrap()));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-length"), Some(&*size.to_string()));
    let part = async |range: &str| tenant.api.with("range", range).get(&path).await;

    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-99", 5, 100),
        (&*format!("bytes={}-", size - 7), size - 7, size),
        ("bytes=-9", size - 9, size),
        ("bytes=10-99999999", 10, size),
    ] {
        let answer = part(range).await.expect(206);
        assert!(answer.body == whole.body[from..to], "{range}");
        assert_eq!(answer.header("content-range"), Some(&*format!("bytes {from}-{}/{size}", to - 1)), "{range}");
        assert_eq!(answer.header("etag"), Some(&*etag));
    }
    for outside in [format!("bytes={size}-"), "bytes=99999999-".to_owned()] {
        let answer = part(&outside).await.expect(416);
        assert_eq!(answer.header("content-range"), Some(&*format!("bytes */{size}")));
        assert_eq!(answer.json()["code"], "bad_range");
    }
    assert!(part("bytes=0-1,5-6").await.expect(200).body == whole.body, "several ranges give the whole");
    let other = tenant.api.with("range", "bytes=5-").with("if-range", "\"another\"").get(&path).await;
    assert!(other.expect(200).body == whole.body);
    let same = tenant.api.with("range", "bytes=5-").with("if-range", etag.clone()).get(&path).await;
    assert!(same.expect(206).body == whole.body[5..]);
    let known = tenant.api.with("if-none-match", etag.clone()).get(&path).await.expect(304);
    assert!(known.body.is_empty() && known.header("etag") == Some(&*etag));
    tenant.api.with("if-match", "\"another\"").get(&path).await.expect(412);
    let head = tenant.api.send("HEAD", &path, "").await.expect(200);
    assert_eq!((head.body.len(), head.header("content-length")), (0, Some(&*size.to_string())));
}

#[tokio::test]
async fn a_download_that_broke_off_goes_on_also_after_a_restart() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 20_000).await;
    let id = ask(&tenant, anomaly).await;
    make(&server).await;
    let path = format!("{PATH}/{id}/content");
    let mut broken = tenant.api.open("GET", &path, "").await.unwrap();
    let etag = broken.response.headers()["etag"].to_str().unwrap().to_owned();
    let mut got = broken.chunk().await.expect("a first chunk").to_vec();
    drop(broken);

    let server = server.restart().await;
    let tenant = tenant.at(&server);
    let whole = content(&tenant, id).await.expect(200).body;
    assert!(got.len() < whole.len(), "it did not break off");
    let api = tenant.api.with("range", format!("bytes={}-", got.len())).with("if-range", etag);
    got.extend(api.get(&path).await.expect(206).body);
    assert!(got == whole);
}

#[tokio::test]
async fn there_is_nothing_to_download_before_it_is_ready() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 5).await;
    let id = ask(&tenant, anomaly).await;
    let answer = content(&tenant, id).await.expect(409);
    assert_eq!((answer.json()["code"].clone(), answer.header("retry-after")), (json!("export_not_ready"), Some("2")));
    let services = Arc::clone(&server.owner.services);
    let begun = services.begin_next_saved_export().await.unwrap().expect("it is due");
    assert_eq!(show(&tenant, id).await["state"], "running");
    assert!(content(&tenant, id).await.expect(409).json()["message"].as_str().unwrap().contains("running"));
    services.make_saved_export(begun).await.unwrap();
    content(&tenant, id).await.expect(200);
}

#[tokio::test]
async fn a_file_that_goes_meanwhile_is_not_found() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 5).await;
    let id = ask(&tenant, anomaly).await;
    make(&server).await;
    std::fs::remove_file(server.export_files().swap_remove(0)).unwrap();
    let answer = content(&tenant, id).await.expect(404);
    assert!(answer.json()["code"].is_string() && answer.header("etag").is_none(), "{}", answer.text());
}
