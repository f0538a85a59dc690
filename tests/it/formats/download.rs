//! Both export routes: format, name, compression, and the answer without rows.

use std::io::Read;

use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

use anomalake::domain::activity::wire_schema;
use anomalake::services::settings::ServerSettings;

use super::{ARROW, CSV, FORMATS, JSON, NDJSON, PARQUET, activities, of_nothing, tenant_with_rows};
use crate::support::api::QUERY;
use crate::support::records::{activity, header, ndjson};
use crate::support::wait::until;
use crate::support::{Answer, DELAY_MS, NOW_MS, TestServer};

fn inflated(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        Some("gzip") => drop(flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap()),
        Some("zstd") => plain = zstd::stream::decode_all(&*answer.body).unwrap(),
        other => panic!("{other:?}"),
    }
    plain
}

#[tokio::test]
async fn every_format_is_given_by_both_routes_under_its_name() {
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let id = tenant.everything().await;
    server.clock.advance(DELAY_MS);
    for (accept, extension) in FORMATS {
        let live = activities(&tenant, id, accept).await;
        let evidence = tenant.api.with("accept", accept).query(id).await.expect(200);
        let name = format!("attachment; filename=\"anomaly-{id}-activities.{extension}\"");
        for answer in [&live, &evidence] {
            assert!(answer.header("content-type").unwrap().starts_with(accept), "{accept}");
            assert_eq!(answer.header("content-disposition"), Some(&*name));
            assert_eq!(answer.header("vary"), Some("accept, accept-encoding"));
            assert_eq!(answer.header("content-encoding"), None);
        }
        assert_eq!(evidence.header("anomalake-rows"), Some("400"));
        // The order within a file of Parquet or Arrow depends on how rows come in pieces.
        if [CSV, JSON, NDJSON].contains(&accept) {
            assert!(live.body == evidence.body, "{accept}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_names_all_there_is() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = of_nothing(&tenant).await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    let refused = tenant.api.with("accept", "image/png").get(&path).await.expect(406).json();
    for (accept, _) in FORMATS {
        assert!(refused["message"].as_str().unwrap().contains(accept), "{refused}");
    }
    let refused = tenant.api.with("accept-encoding", "identity;q=0, br").get(&path).await.expect(406).json();
    assert_eq!((&refused["code"], &refused["target"]), (&json!("not_acceptable"), &json!("Accept-Encoding")));
    let refused = tenant.api.with("accept-encoding", "*;q=0").query(id).await.expect(406).json();
    assert_eq!((&refused["code"], &refused["target"]), (&json!(406), &json!("Accept-Encoding")));
}

#[tokio::test]
async fn without_rows_our_route_gives_the_empty_form_and_the_contract_s_zero_bytes() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let id = of_nothing(&tenant).await;
    server.clock.advance(DELAY_MS);
    for (accept, extension) in FORMATS {
        for asked in [id, 77] {
            let api = tenant.api.with("accept", accept).with("accept-encoding", "gzip, zstd");
            let answer = api.query(asked).await.expect(200);
            assert_eq!(answer.body.len(), 0, "{accept}");
            assert_eq!(answer.header("content-encoding"), None);
            assert_eq!(answer.header("anomalake-rows"), Some("0"));
            let name = format!("attachment; filename=\"anomaly-{asked}-activities.{extension}\"");
            assert_eq!(answer.header("content-disposition"), Some(&*name));
        }
    }
    assert_eq!(activities(&tenant, id, CSV).await.text(), format!("{}\n", header().join(",")));
    assert_eq!(activities(&tenant, id, JSON).await.text(), "[]");
    assert_eq!(activities(&tenant, id, NDJSON).await.text(), "");
    let arrow = activities(&tenant, id, ARROW).await;
    let reader = StreamReader::try_new(&*arrow.body, None).unwrap();
    assert_eq!((reader.schema(), reader.count()), (wire_schema(), 0));
    let parquet = ParquetRecordBatchReaderBuilder::try_new(activities(&tenant, id, PARQUET).await.body).unwrap();
    assert_eq!(parquet.schema().fields(), wire_schema().fields());
    assert_eq!(parquet.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test]
async fn compressed_answers_hold_the_same_bytes() {
    let server = TestServer::start().await;
    let tenant = tenant_with_rows(&server).await;
    let id = tenant.everything().await;
    server.clock.advance(DELAY_MS);
    let path = format!("/api/v1/anomalies/{id}/activities");
    for (accept, _) in FORMATS.into_iter().filter(|(accept, _)| *accept != PARQUET) {
        let api = tenant.api.with("accept", accept);
        let plain = api.query(id).await.expect(200);
        for coding in ["gzip", "zstd"] {
            let answer = api.with("accept-encoding", coding).query(id).await.expect(200);
            assert_eq!(answer.header("content-encoding"), Some(coding));
            assert_eq!(answer.header("vary"), Some("accept, accept-encoding"));
            assert_eq!((answer.header("anomalake-rows"), answer.header("content-length")), (Some("400"), None));
            assert!(answer.body.len() < plain.body.len(), "{accept} {coding}: {} bytes", answer.body.len());
            assert!(inflated(&answer) == plain.body, "{accept} {coding}");
        }
    }
    let told = tenant.api.with("te", "trailers").with("accept-encoding", "gzip").get(&path).await.expect(200);
    assert_eq!(told.trailers.get("anomalake-rows").map(|rows| rows.to_str().unwrap()), Some("400"));
    assert!(inflated(&told) == activities(&tenant, id, CSV).await.body);
    let parquet = tenant.api.with("accept", PARQUET).with("accept-encoding", "gzip, zstd").get(&path).await.expect(200);
    assert_eq!(parquet.header("content-encoding"), None);
    assert!(ParquetRecordBatchReaderBuilder::try_new(parquet.body).is_ok());
}

#[tokio::test]
async fn a_compressed_export_that_breaks_off_does_not_look_whole() {
    let short = |settings: &mut ServerSettings| settings.export_timeout = std::time::Duration::from_millis(500);
    let server = TestServer::start_with(short).await;
    let tenant = server.tenant(5618).await;
    // Text that compression leaves far larger than what server and client buffer.
    let mut random = crate::support::records::Seeded::new(1);
    for part in 0..3 {
        let records = (0..1_000).map(|n| {
            let digit = || char::from_digit(u32::try_from(random.below(16)).unwrap(), 16).unwrap();
            let noise: String = std::iter::repeat_with(digit).take(8_000).collect();
            activity(NOW_MS + part * 1_000 + n, "ann@example.com", &noise)
        });
        tenant.api.ingest(ndjson(&records.collect::<Vec<_>>())).await.expect(200);
    }
    let id = tenant.of_user("ann@example.com").await;
    server.clock.advance(DELAY_MS);
    for coding in ["gzip", "zstd"] {
        let api = tenant.api.with("accept-encoding", coding);
        let mut export = api.open("POST", QUERY, json!({ "incident_id": id }).to_string()).await.unwrap();
        assert_eq!(export.response.headers()["content-encoding"], coding);
        let first: Bytes = export.chunk().await.unwrap();
        until("the encoding to end", async || server.metric("anomalake_export_tasks").await == 0).await;
        assert!(!first.is_empty() && export.rest().await.is_err(), "a cut-off export looks complete");
    }
}
