//! Rows of CloudTrail, mapped by hand.

use serde_json::{Value, json};

use super::super::{Layout, decode_source};
use super::{cloudtrail, column, decode, errors, lines, options, rows, tenant};
use crate::domain::user_count::sketch_of_user;
use crate::formats::input::DecodeOptions;

/// The row without what is the same in all, which it must have.
fn mapped(record: &Value) -> Value {
    let options = DecodeOptions { source: "cloudtrail".to_owned(), ..options() };
    let (batches, report) = decode(&cloudtrail(), record.to_string().as_bytes(), &options).unwrap();
    assert_eq!((report.accepted, report.rejected), (1, 0));
    let mut row = rows(&batches).remove(0);
    let mut take = |name: &str| row.remove(name).unwrap_or_default();
    for (name, expected) in [
        ("count", json!(1)),
        ("eventCount", json!(1)),
        ("objectType", json!("ACTIVITY")),
        ("sourceIdentifier", json!("AWS CloudTrail")),
        ("source", json!("cloudtrail")),
        ("tenantId", json!(tenant().get())),
        ("ingestedAt", json!(options.ingested_at_ms)),
        ("monitoringStatusMetric", json!(0)),
        ("proxyServerTime", json!(0)),
        ("proxyTotalTime", json!(0)),
        ("shnProcessTimestamp", json!(0)),
    ] {
        assert_eq!(take(name), expected, "{name}");
    }
    let action = row["actionName"].clone();
    assert_eq!(row.remove("operation"), Some(action), "the action verbatim");
    let user = row.get("user").and_then(Value::as_str).map(sketch_of_user).unwrap_or_default();
    assert_eq!(row.remove("userCount").unwrap_or_default(), user);
    row.retain(|name, value| !(value == 0 || value == 0.0) || name == "timeStamp");
    Value::Object(row)
}

#[test]
fn a_user_reads_an_object() {
    let record = json!({
        "eventVersion": "1.09",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "arn:aws:iam::111122223333:user/Ann",
            "accountId": "111122223333", "accessKeyId": "AKIAEXAMPLE", "userName": "Ann"
        },
        "eventTime": "2026-11-20T10:11:12Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "2001:DB8::7",
        "userAgent": "[aws-cli/2.15.0 Python/3.11.6 Linux/6.1 exe/x86_64]",
        "requestParameters": { "bucketName": "reports", "key": "2026/q3.final.pdf", "Host": "reports.s3.amazonaws.com" },
        "responseElements": null,
        "additionalEventData": { "SignatureVersion": "SigV4", "bytesTransferredIn": 17, "bytesTransferredOut": 40960 },
        "eventID": "b69c41d9-ccc8-41d7-82f1-d3f27cb2fb3c",
        "resources": [
            { "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::reports/2026/q3.final.pdf" },
            { "accountId": "444455556666", "type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::reports" }
        ],
        "recipientAccountId": "444455556666",
        "tlsDetails": { "clientProvidedHostHeader": "reports.s3.eu-west-1.amazonaws.com" }
    });
    assert_eq!(
        mapped(&record),
        json!({
            "timeStamp": 1_795_169_472_000_i64,
            "accountId": "111122223333",
            "actionName": "GetObject",
            "activityId": "b69c41d9-ccc8-41d7-82f1-d3f27cb2fb3c",
            "clientCategory": "cli",
            "clientName": "aws-cli",
            "clientOS": "Linux",
            "day": "2026-11-20",
            "downloadBytes": 40_960,
            "fileFolderPath": "reports",
            "fileName": "2026/q3.final.pdf",
            "fileOwner": "444455556666",
            "fileType": "pdf",
            "serviceName": "s3",
            "sourceIP": "2001:db8::7",
            "targetId": "arn:aws:s3:::reports/2026/q3.final.pdf",
            "targetType": "AWS::S3::Object",
            "uploadBytes": 17,
            "url": "reports.s3.eu-west-1.amazonaws.com",
            "user": "Ann",
            "userKey": "ann",
        })
    );
}

#[test]
fn a_session_of_a_role_ends_instances() {
    let record = json!({
        "userIdentity": {
            "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/deploy/ann@example.com",
            "accountId": "111122223333",
            "sessionContext": { "sessionIssuer": { "type": "Role", "userName": "deploy" } }
        },
        "eventTime": "2026-11-20T10:11:12Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "TerminateInstances",
        "sourceIPAddress": "198.51.100.4",
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64)",
        "requestParameters": { "instancesSet": { "items": [{ "instanceId": "i-1" }, { "instanceId": "i-2" }] } },
        "eventID": "1"
    });
    assert_eq!(
        mapped(&record),
        json!({
            "timeStamp": 1_795_169_472_000_i64,
            "accountId": "111122223333",
            "actionName": "TerminateInstances",
            "activityId": "1",
            "clientCategory": "browser",
            "clientOS": "Linux",
            "day": "2026-11-20",
            "noOfObjects": 2.0,
            "profile": "deploy",
            "serviceName": "ec2",
            "sourceIP": "198.51.100.4",
            "user": "ann@example.com",
            "userKey": "ann@example.com",
        })
    );
}

#[test]
fn a_service_acts() {
    let record = json!({
        "userIdentity": { "type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com" },
        "eventTime": "2026-11-20T10:11:12Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "GenerateDataKey",
        "sourceIPAddress": "cloudtrail.amazonaws.com",
        "userAgent": "cloudtrail.amazonaws.com",
        "requestParameters": "HIDDEN_DUE_TO_SECURITY_REASONS",
        "eventID": "2",
        "recipientAccountId": "444455556666"
    });
    assert_eq!(
        mapped(&record),
        json!({
            "timeStamp": 1_795_169_472_000_i64,
            "accountId": "444455556666",
            "actionName": "GenerateDataKey",
            "activityId": "2",
            "clientCategory": "service",
            "clientName": "cloudtrail.amazonaws.com",
            "day": "2026-11-20",
            "serviceName": "kms",
            "user": "cloudtrail.amazonaws.com",
            "userKey": "cloudtrail.amazonaws.com",
        })
    );
}

#[test]
fn users_are_found_where_there_is_no_name() {
    for (identity, user) in [
        (json!({ "type": "Root", "arn": "arn:aws:iam::111122223333:root", "invokedBy": "x" }), "root"),
        (json!({ "type": "FederatedUser", "arn": "arn:aws:sts::111122223333:federated-user/Bob" }), "Bob"),
        (json!({ "arn": "arn:aws:iam::1:user/division/team/Cy", "userName": null }), "Cy"),
        (json!({ "type": "AWSAccount", "principalId": "AIDA", "accountId": "1" }), "-"),
        (json!("redacted"), "-"),
        (json!(null), "-"),
    ] {
        let record = json!({ "eventTime": "2026-11-20T10:11:12Z", "userIdentity": identity });
        let (batches, _) = decode(&cloudtrail(), record.to_string().as_bytes(), &options()).unwrap();
        assert_eq!(column(&batches, "user"), [user], "{record}");
    }
}

#[test]
fn times_without_a_zone_are_utc_and_late_ones_are_taken() {
    let times = [
        ("eventTime", "2026-11-20T10:11:12Z", 1_795_169_472_000_i64),
        ("eventTime", "2026-11-20 10:11:12.000000000", 1_795_169_472_000),
        ("eventTime", "2026-11-20T10:11:12", 1_795_169_472_000),
        ("@timestamp", "2026-11-20T10:11:12.5Z", 1_795_169_472_500),
        ("eventTime", "1999-01-01T00:00:00Z", 915_148_800_000),
    ];
    let input = lines(times.iter().map(|(key, text, _)| json!({ *key: text })));
    let (batches, report) = decode(&cloudtrail(), input.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "timeStamp"), times.map(|(_, _, ms)| ms.to_string()));
    assert_eq!(report.days.len(), 2);
}

#[test]
fn a_repeated_event_id_is_two_rows() {
    // Repeats are for a later step to find; nothing is lost here.
    let record = json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": "same" });
    let (batches, _) = decode(&cloudtrail(), format!("{record}\n{record}").as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "activityId"), ["same", "same"]);
}

#[test]
fn no_other_field_gets_in() {
    let record = json!({
        "eventTime": "2026-11-20T10:11:12Z",
        "requestParameters": { "masterUserPassword": "SECRET", "bucketName": "b" },
        "responseElements": { "credentials": { "sessionToken": "SECRET", "secretAccessKey": "SECRET" } },
        "additionalEventData": { "token": "SECRET" },
        "errorMessage": "SECRET",
    });
    let (batches, _) = decode(&cloudtrail(), record.to_string().as_bytes(), &options()).unwrap();
    assert!(!serde_json::to_string(&rows(&batches)).unwrap().contains("SECRET"));
}

#[test]
fn every_way_of_delivery_gives_the_same_rows() {
    let record = |n: u32| json!({ "eventTime": "2026-11-20T10:11:12Z", "eventID": n.to_string(), "eventName": "X" });
    let records: Vec<Value> = (1..=3).map(record).collect();
    let document = json!({ "Records": records });
    let each = |of: &dyn Fn(&Value) -> Value| lines(records.iter().map(of));
    for input in [
        each(&Value::clone),
        each(&|record| json!({ "technique": "aws.x", "event": record })),
        each(&|record| json!({ "detail-type": "AWS API Call via CloudTrail", "time": "x", "detail": record })),
        each(&|record| json!({ "Records": [record] })),
        document.to_string(),
        serde_json::to_string_pretty(&document).unwrap(),
        Value::from(records.clone()).to_string(),
        serde_json::to_string_pretty(&records).unwrap(),
    ] {
        let (batches, report) = decode(&cloudtrail(), input.as_bytes(), &options()).unwrap();
        assert_eq!(column(&batches, "activityId"), ["1", "2", "3"], "{input}: {:?}", errors(&report));
        assert_eq!(report.rejected, 0);
    }
}

#[test]
fn memory_is_bounded_by_batches_and_not_by_documents() {
    let record = json!({ "eventTime": "2026-11-20T10:11:12Z", "errorMessage": "x".repeat(2_000) }).to_string();
    let document = format!("{{\"Records\":[{}]}}", vec![record; 20_000].join(","));
    let (mut largest, mut rows) = (0, 0);
    let report = decode_source(document.as_bytes(), Layout::Json, &cloudtrail(), &options(), &mut |batch| {
        largest = largest.max(batch.num_rows());
        rows += batch.num_rows();
        Ok(())
    });
    assert_eq!((report.unwrap().accepted, rows), (20_000, 20_000));
    assert!(largest < 4_096, "{largest} rows in one batch");
}
