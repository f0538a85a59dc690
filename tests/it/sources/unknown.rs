//! What a source refuses before it looks at records.

use crate::support::TestServer;

#[tokio::test]
async fn a_source_that_is_not_there_is_refused_with_those_that_are() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.ingest_from("cloudtrial", "{}").await.expect(400);
    assert_eq!(answer.json()["code"], "unknown_source");
    assert_eq!(
        answer.json()["message"],
        "there is no source `cloudtrial`; known are activities, box, cloudtrail, dropbox, entra, github, google-workspace, m365, ocsf, okta, slack"
    );
}

#[tokio::test]
async fn a_source_is_read_as_json_or_csv() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    for (content_type, status) in [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/x-ndjson", 200),
        ("application/octet-stream", 200),
        ("application/x-www-form-urlencoded", 200),
        ("application/vnd.apache.parquet", 415),
        ("text/html", 415),
    ] {
        let api = tenant.api.with("content-type", content_type);
        let record = r#"{"Records":[{"eventTime":"2026-11-20T10:11:12Z"}]}"#;
        api.send("POST", "/api/v1/activities?source=cloudtrail", record).await.expect(status);
    }
    tenant.api.with("content-type", "application/json").send("POST", "/api/v1/activities", "{}").await.expect(415);
    let csv = tenant.api.with("content-type", "text/csv");
    let record = "eventTime,eventName\n2026-11-20T10:11:12Z,X\n";
    let answer = csv.send("POST", "/api/v1/activities?source=cloudtrail", record).await.expect(200);
    assert_eq!(answer.json()["accepted"], 1);
}
