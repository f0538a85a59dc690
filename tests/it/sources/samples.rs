//! The sample of every source, from the request to the export.

use std::path::Path;

use super::counted;
use crate::support::TestServer;

#[tokio::test]
async fn every_source_takes_its_sample_over_http() {
    let server = TestServer::start().await;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/samples");
    let mut taken = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        let source = path.file_stem().unwrap().to_str().unwrap();
        let tenant = server.tenant(6_000 + taken).await;
        let content_type = match path.extension().unwrap().to_str().unwrap() {
            "csv" => "text/csv",
            "ndjson" => "application/x-ndjson",
            _ => "application/json",
        };
        let query = format!("/api/v1/activities?on_error=skip&source={source}");
        let api = tenant.api.with("content-type", content_type);
        let answer = api.send("POST", &query, std::fs::read(&path).unwrap()).await.expect(200).json();
        assert!(answer["accepted"].as_u64() >= Some(3) && answer["rejected"].as_u64() >= Some(1), "{source}: {answer}");
        let all = tenant.everything().await;
        let export = tenant.activities(all).await;
        assert_eq!(Some(export.rows().len() as u64), answer["accepted"].as_u64(), "{source}");
        assert_eq!(counted(export.column("objectType")).len(), 1, "{source}");
        taken += 1;
    }
    assert_eq!(taken, 10);
}
