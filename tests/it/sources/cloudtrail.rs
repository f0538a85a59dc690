//! CloudTrail, over real logs counted another way.

use std::collections::HashSet;
use std::io::Write;
use std::net::IpAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{Log, counted, log};
use crate::support::{Answer, DELAY_MS, TestServer, TestTenant};

/// The user whose burst is looked at.
const ATTACKER: &str = "bert-jan";

/// Ids in one condition, whose length is bounded.
const IDS_A_CONDITION: usize = 90;

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A time as the wire has it, read by hand: the logs are whole seconds in UTC.
fn ms(event: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text(event, "eventTime")).unwrap().timestamp_millis()
}

/// Cells of an activity that tell events apart well.
fn cells_of_event(event: &Value) -> Vec<String> {
    let parameters = &event["requestParameters"];
    let address = text(event, "sourceIPAddress").parse::<IpAddr>().map(|address| address.to_string());
    let transferred = |key: &str| event["additionalEventData"][key].as_i64().unwrap_or_default().to_string();
    let owned = |text: &str| text.to_owned();
    vec![
        ms(event).to_string(),
        owned(text(event, "eventName")),
        owned(text(event, "eventSource").split('.').next().unwrap()),
        address.unwrap_or_default(),
        owned(text(&event["resources"][0], "ARN")),
        owned(text(&event["resources"][0], "type")),
        owned(text(parameters, "bucketName")),
        owned(text(&event["tlsDetails"], "clientProvidedHostHeader")),
        transferred("bytesTransferredOut"),
        transferred("bytesTransferredIn"),
    ]
}

/// The same cells of an export.
fn cells_of_export(answer: &Answer) -> Vec<Vec<String>> {
    let names = [
        "timeStamp",
        "actionName",
        "serviceName",
        "sourceIP",
        "targetId",
        "targetType",
        "fileFolderPath",
        "url",
        "downloadBytes",
        "uploadBytes",
    ];
    let columns = names.map(|name| answer.column(name));
    (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

fn window_of(events: &[&Value]) -> (i64, i64) {
    let times = || events.iter().map(|event| ms(event));
    (times().min().unwrap(), times().max().unwrap() + 1)
}

/// How many activities of a user, a window and a condition have each of these ids.
async fn found_by_id(tenant: &TestTenant, condition: &str, window: (i64, i64), ids: &[&str]) -> usize {
    let mut found = 0;
    for ids in ids.chunks(IDS_A_CONDITION) {
        let list: Vec<_> = ids.iter().map(|id| format!("'{id}'")).collect();
        let with_ids = format!("{condition} AND activityId IN ({})", list.join(","));
        let anomaly =
            tenant.anomaly(json!({ "user": ATTACKER, "from": window.0, "to": window.1, "where": with_ids })).await;
        found += tenant.activities(anomaly).await.rows().len();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_trail_loads_without_a_lost_record() {
    let Some(Log { file, lines }) = log("invictus-aws-cloudtrail/cloudtrail.ndjson.gz") else { return };
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.ingest_from("cloudtrail", file).await.expect(200).json();
    let no_address = |event: &&Value| text(event, "sourceIPAddress").parse::<IpAddr>().is_err();
    let bad = lines.iter().filter(no_address).count();
    assert_eq!(
        answer,
        json!({
            "accepted": 2_900, "rejected": 0, "duplicates": 0, "unknownKeys": {}, "tenantIdReplaced": 0,
            "nulled": { "sourceIP": bad }, "days": ["2023-07-10"],
        })
    );
    assert_eq!(lines.len(), 2_900);
    let all = tenant.everything().await;
    let stored = counted(cells_of_export(&tenant.activities(all).await));
    assert!(stored == counted(lines.iter().map(cells_of_event)), "every event is there as it was");
    let names = counted(tenant.activities(all).await.column("clientName"));
    for (in_agent, name) in [("Terraform/", "Terraform"), ("Boto3/", "Boto3"), ("Firefox/", "Firefox")] {
        let events = lines.iter().filter(|event| text(event, "userAgent").contains(in_agent)).count();
        assert_eq!((events > 0, names.get(name)), (true, Some(&events)), "{name}");
    }
    let window = window_of(&lines.iter().collect::<Vec<_>>());
    let of_source = tenant
        .anomaly(
            json!({ "from": window.0, "to": window.1, "where": "source = 'cloudtrail' AND objectType = 'ACTIVITY'" }),
        )
        .await;
    assert_eq!(tenant.activities(of_source).await.rows().len(), 2_900);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anomaly_over_the_attackers_burst_exports_exactly_its_events() {
    let Some(Log { file, lines }) = log("invictus-aws-cloudtrail/cloudtrail.ndjson.gz") else { return };
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    tenant.ingest_from("cloudtrail", file).await.expect(200);

    // What the attack tool did itself, under the attacker's own name.
    let agent = |event: &Value| text(event, "userAgent").to_owned();
    let by_attacker = |event: &&Value| event["userIdentity"]["userName"] == ATTACKER;
    let by_tool = |event: &&Value| agent(event).contains("stratus-red-team") && !agent(event).contains("Terraform");
    let burst: Vec<&Value> = lines.iter().filter(by_attacker).filter(by_tool).collect();
    assert_eq!(burst.len(), 166);
    let ids: Vec<&str> = burst.iter().map(|event| text(event, "eventID")).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());

    let window = window_of(&burst);
    let condition = "clientName LIKE 'stratus-red-team%'";
    let anomaly =
        tenant.anomaly(json!({ "user": ATTACKER, "from": window.0, "to": window.1, "where": condition })).await;
    let export = tenant.activities(anomaly).await;
    assert_eq!(export.rows().len(), burst.len());
    // As many rows as events, and each event's id once among them: the same events.
    assert_eq!(found_by_id(&tenant, condition, window, &ids).await, burst.len());
    for id in &ids[..3] {
        assert_eq!(found_by_id(&tenant, condition, window, &[id]).await, 1, "{id}");
    }
    assert_eq!(counted(cells_of_export(&export)), counted(burst.iter().map(|event| cells_of_event(event))));
    assert_eq!(counted(export.column("user")), counted(vec![ATTACKER.to_owned(); burst.len()]));

    // The burst with all that the attacker did meanwhile: user and window alone.
    let meanwhile = |event: &&Value| (window.0..window.1).contains(&ms(event));
    let meanwhile: Vec<&Value> = lines.iter().filter(by_attacker).filter(meanwhile).collect();
    assert!(meanwhile.len() > burst.len());
    let whole = tenant.anomaly(json!({ "user": " Bert-Jan", "from": window.0, "to": window.1 })).await;
    let export = tenant.activities(whole).await;
    assert_eq!(counted(cells_of_export(&export)), counted(meanwhile.iter().map(|event| cells_of_event(event))));
    server.clock.advance(DELAY_MS);
    assert_eq!(tenant.query(whole).await.text(), export.text(), "and the feed gives the same");
}

/// Whether a strict reader takes a text for an IPv4 address.
fn is_strict_v4(text: &str) -> bool {
    let octets: Vec<&str> = text.split('.').collect();
    let fine = |octet: &&str| {
        !octet.is_empty()
            && octet.bytes().all(|b| b.is_ascii_digit())
            && (*octet == "0" || !octet.starts_with('0'))
            && octet.parse::<u32>().is_ok_and(|n| n < 256)
    };
    octets.len() == 4 && octets.iter().all(fine)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapped_events_load_with_their_bad_addresses_nulled_and_counted() {
    let Some(Log { file, lines }) = log("stratus-detonation-logs/detonation-logs.ndjson.gz") else { return };
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.ingest_from("cloudtrail", file).await.expect(200).json();
    let bad = lines.iter().filter(|line| !is_strict_v4(text(&line["event"], "sourceIPAddress"))).count();
    assert_eq!(bad, 107);
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(310), &json!(0)));
    assert_eq!(answer["nulled"], json!({ "sourceIP": bad }));
    let all = tenant.everything().await;
    let export = tenant.activities(all).await;
    let blank = export.column("sourceIP").iter().filter(|address| address.is_empty()).count();
    assert_eq!((export.rows().len(), blank), (310, bad));
    assert_eq!(counted(cells_of_export(&export)), counted(lines.iter().map(|line| cells_of_event(&line["event"]))));
}

fn event(id: &str) -> Value {
    json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": id, "requestParameters": { "key": id } })
}

#[tokio::test]
async fn documents_come_compressed_pretty_and_one_after_the_other() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let first = json!({ "Records": [event("a"), event("b")] });
    let second = serde_json::to_string_pretty(&json!({ "Records": [event("c")] })).unwrap();
    let members = [gzip(&serde_json::to_string_pretty(&first).unwrap()), gzip(&second)].concat();
    assert_eq!(tenant.ingest_from("cloudtrail", members).await.expect(200).json()["accepted"], 3);
    let delivered = format!("{first}{}", json!({ "Records": [event("d")] }));
    let answer = tenant.ingest_from("cloudtrail", gzip(&delivered)).await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(2)), "two of them came before");
    assert!(answer.get("nulled").is_none(), "nothing was nulled");
    assert_eq!(counted(tenant.stored().await), counted(["a", "b", "c", "d"].map(str::to_owned)));
}

#[tokio::test]
async fn bad_records_are_named_and_without_skip_nothing_is_stored() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let body = format!(
        "{}\n{{\"eventID\":\"x\"}}\n[1]\n{{\"Records\":[{}, {{\"eventTime\":\"?\"}}]}}\n{{\"a\"",
        event("a"),
        event("b")
    );
    let refused =
        tenant.api.send("POST", "/api/v1/activities?source=cloudtrail", body.clone()).await.expect(400).json();
    assert_eq!((&refused["code"], &refused["details"]["rejected"]), (&json!("bad_records"), &json!(4)));
    assert!(tenant.stored().await.is_empty());

    let answer = tenant.ingest_from("cloudtrail", body).await.expect(200).json();
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(2), &json!(4)));
    let no_time = "no time in coalesce(epoch_ms(eventTime), epoch_ms(\\\"@timestamp\\\"))";
    assert_eq!(
        answer["errors"],
        json!([
            { "line": 2, "field": "timeStamp", "reason": no_time },
            { "line": 3, "reason": "expected a json object (record 1 of its list)" },
            { "line": 4, "field": "timeStamp", "reason": format!("{no_time} (record 2 of its list)") },
            { "line": 5, "reason": "malformed json: EOF while parsing an object at byte 4" },
        ])
    );
    assert_eq!(counted(tenant.stored().await), counted(["a", "b"].map(str::to_owned)));
}

#[tokio::test]
async fn a_document_that_cannot_be_followed_is_refused_whole() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let body = format!("{{\n\"Records\": [\n{},\n{{\"a\": [}},\n{}\n]\n}}", event("a"), event("b"));
    let answer = tenant.ingest_from("cloudtrail", body).await.expect(400).json();
    assert_eq!(answer["code"], "corrupt_body");
    assert!(text(&answer, "message").contains("line 4: brackets do not match"), "{answer}");
    assert!(tenant.stored().await.is_empty());
}
