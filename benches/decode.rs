//! Decoding of activities on one core: `cargo bench --bench decode`.

use std::fmt::Write as _;
use std::hint::black_box;

use anomalake::domain::tenant::TenantId;
use anomalake::domain::trust::{Trust, TrustList};
use anomalake::enrich::{Databases, Enricher, EnrichmentMetrics};
use anomalake::formats::input::{DecodeOptions, decode_ndjson};
use anomalake::sources::{EmbeddedSource, Layout, decode_enriched, decode_source, embedded};
use arrow::array::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mmdb::Mmdb;
use serde_json::json;

#[expect(clippy::unwrap_used, reason = "a helper of the tests")]
#[path = "../tests/it/support/mmdb.rs"]
mod mmdb;

const RECORDS: usize = 20_000;

/// Records of about 1.1 kB in one key order, users and addresses repeating, file names not.
fn ndjson() -> String {
    let mut text = String::new();
    for i in 0..RECORDS {
        let user = i * 7919 % 500;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            concat!(
                r#"{{"timeStamp":{time},"accountId":null,"actionName":"USER_DOWNLOAD_OBJECT_TYPE_{action}","asn":{asn},"#,
                r#""asnName":"autonomous system {asn} inc.","city":"san francisco","clientName":"Chrome","clientOS":"macOS","#,
                r#""collabGroup":"example.com","count":1,"country":"US","cspId":4080,"deviceManaged":false,"directory":true,"#,
                r#""downloadBytes":{i},"eventCount":1,"fileFolderPath":"/sites/team{user}/Shared Documents","#,
                r#""fileName":"report-{i}.xlsx","fileOwner":"user{user}@example.com","fileSharingEnabled":false,"fileSize":{i},"#,
                r#""fileType":"xlsx","geoOrgNameV1":"amazon.com inc.","httpMethod":"GET","instanceId":11253,"#,
                r#""isSourceTrusted":true,"locationId":"san francisco::US::ca","monitoringStatusMetric":0,"#,
                r#""networkType":"broadband","noOfObjects":0.0,"objectType":"ACTIVITY","operation":"USER_DOWNLOAD","#,
                r#""profile":null,"proxyDescription":"cloud","proxyType":"hosting","region":"ca","serviceName":"Box","#,
                r#""siteUrl":"https://tenant.example.com/sites/team{user}","sourceIP":"10.0.{action}.{action}","#,
                r#""sourceIdentifier":"Cloud Service API","subCspId":4080,"targetId":null,"tenantId":5618,"#,
                r#""threatCategory":"Insider Threats","trustEntity":"Skyhigh","trustReason":"Trusted Organization","#,
                r#""uploadBytes":0,"url":null,"user":"User{user}@example.com"}}"#,
            ),
            time = 1_596_840_000_000_usize + i * 1000,
            action = user % 120,
            asn = 16_000 + user,
            i = i,
            user = user,
        );
    }
    text
}

/// Records of CloudTrail, about 1.3 kB each.
fn cloudtrail() -> Vec<String> {
    let record = |i: usize| {
        let user = i * 7919 % 500;
        format!(
            concat!(
                r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDAEXAMPLE{user:09}","#,
                r#""arn":"arn:aws:iam::111122223333:user/user{user}","accountId":"111122223333","#,
                r#""accessKeyId":"AKIAEXAMPLE{user:09}","userName":"user{user}","sessionContext":{{"attributes":{{"#,
                r#""creationDate":"2026-11-20T10:00:00Z","mfaAuthenticated":"false"}}}}}},"#,
                r#""eventTime":"2026-11-20T10:{minute:02}:{second:02}Z","eventSource":"s3.amazonaws.com","#,
                r#""eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.{octet}","#,
                r#""userAgent":"[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]","#,
                r#""requestParameters":{{"bucketName":"reports-{octet}","key":"2026/report-{i}.pdf","#,
                r#""Host":"reports-{octet}.s3.eu-west-1.amazonaws.com"}},"responseElements":null,"#,
                r#""additionalEventData":{{"SignatureVersion":"SigV4","CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","#,
                r#""bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","#,
                r#""x-amz-id-2":"z9EKz5XRE6kE1iNARXRTLMV83w93s2rtCrhYNWetWgz3B38QPHXos+3MVkA5KEBV","#,
                r#""bytesTransferredOut":{i}}},"requestID":"GXKFXETF{i:08}","#,
                r#""eventID":"b69c41d9-ccc8-41d7-82f1-{i:012x}","readOnly":true,"#,
                r#""resources":[{{"accountId":"111122223333","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::reports-{octet}"}}],"#,
                r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","#,
                r#""eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.2","#,
                r#""cipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","#,
                r#""clientProvidedHostHeader":"reports-{octet}.s3.eu-west-1.amazonaws.com"}}}}"#,
            ),
            user = user,
            minute = i / 60 % 60,
            second = i % 60,
            octet = user % 250,
            i = i,
        )
    };
    (0..RECORDS).map(record).collect()
}

/// Records of the Microsoft 365 audit log, about 1.2 kB each.
fn m365() -> Vec<String> {
    let record = |i: usize| {
        let user = i * 7919 % 500;
        format!(
            concat!(
                r#"{{"AppAccessContext":{{"AADSessionId":"0f0e0d0c-{user:04}","CorrelationId":"b69c41d9-{i:012x}","#,
                r#""UniqueTokenId":"3f0e0d0c{i:012x}"}},"CreationTime":"2026-11-20T10:{minute:02}:{second:02}","#,
                r#""Id":"7d1c0c5e-ccc8-41d7-82f1-{i:012x}","Operation":"FileDownloaded","#,
                r#""OrganizationId":"0f0e0d0c-0000-4000-8000-000000000001","RecordType":6,"#,
                r#""UserKey":"i:0h.f|membership|1003{user:08}@live.com","UserType":0,"Version":1,"Workload":"SharePoint","#,
                r#""ClientIP":"198.51.100.{octet}:{port}","UserId":"User{user}@contoso.example","#,
                r#""AuthenticationType":"OAuth","BrowserName":"Edge","BrowserVersion":"130.0","#,
                r#""CorrelationId":"b69c41d9-ccc8-41d7-82f1-{i:012x}","EventSource":"SharePoint","IsManagedDevice":false,"#,
                r#""ItemType":"File","ListId":"c9a1-{octet:08}","ListItemUniqueId":"d1a2-{i:08}","Platform":"WinDesktop","#,
                r#""Site":"5b6c-{octet:08}","UserAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36","#,
                r#""WebId":"7d8e-{octet:08}","DeviceDisplayName":"LAPTOP-{user}","#,
                r#""DeviceProperties":[{{"Name":"OS","Value":"Windows10"}},{{"Name":"BrowserType","Value":"Edge"}}],"#,
                r#""ObjectId":"https://contoso.sharepoint.example/sites/team{octet}/Shared Documents/report-{i}.xlsx","#,
                r#""SiteUrl":"https://contoso.sharepoint.example/sites/team{octet}/","#,
                r#""SourceFileExtension":"xlsx","SourceFileName":"report-{i}.xlsx","SourceRelativeUrl":"Shared Documents"}}"#,
            ),
            user = user,
            minute = i / 60 % 60,
            second = i % 60,
            octet = user % 250,
            port = 1_024 + i % 60_000,
            i = i,
        )
    };
    (0..RECORDS).map(record).collect()
}

/// Sources against the lake's own records, in records a second.
fn decode_sources(c: &mut Criterion) {
    let Ok(tenant) = TenantId::try_from(5618) else { return };
    let options = DecodeOptions::new(tenant, 1_763_510_400_000);
    let mut group = c.benchmark_group("records");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
    let native = ndjson();
    group.bench_function("activities", |b| {
        b.iter(|| {
            decode_ndjson(native.as_bytes(), &options, &mut |batch: RecordBatch| {
                black_box(batch);
                Ok(())
            })
        });
    });
    for (name, records) in [("cloudtrail", cloudtrail()), ("m365", m365())] {
        let Some(Ok(source)) = embedded(name).map(EmbeddedSource::source) else { return };
        let text = records.join("\n");
        group.bench_function(name, |b| {
            b.iter(|| {
                decode_source(text.as_bytes(), Layout::Json, &source, &options, &mut |batch: RecordBatch| {
                    black_box(batch);
                    Ok(())
                })
            });
        });
    }
    group.finish();
}

/// The same records a line each, and in one document.
fn decode_cloudtrail(c: &mut Criterion) {
    let Ok(tenant) = TenantId::try_from(5618) else { return };
    let options = DecodeOptions::new(tenant, 1_763_510_400_000);
    let Some(Ok(source)) = embedded("cloudtrail").map(EmbeddedSource::source) else { return };
    let records = cloudtrail();
    let inputs = [("lines", records.join("\n")), ("document", format!("{{\"Records\":[{}]}}", records.join(",")))];
    let mut group = c.benchmark_group("cloudtrail");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
    for (name, text) in &inputs {
        group.bench_function(*name, |b| {
            b.iter(|| {
                decode_source(text.as_bytes(), Layout::Json, &source, &options, &mut |batch: RecordBatch| {
                    black_box(batch);
                    Ok(())
                })
            });
        });
    }
    group.finish();
}

fn decode(c: &mut Criterion) {
    let Ok(tenant) = TenantId::try_from(5618) else { return };
    let options = DecodeOptions::new(tenant, 1_763_510_400_000);
    let text = ndjson();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(20);
    group.bench_function("ndjson", |b| {
        b.iter_batched(
            || text.as_bytes(),
            |input| {
                decode_ndjson(input, &options, &mut |batch: RecordBatch| {
                    black_box(batch);
                    Ok(())
                })
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// CloudTrail from 20,000 addresses, without and with two databases and a list of 1,000 networks.
fn enrich(c: &mut Criterion) {
    let Ok(tenant) = TenantId::try_from(5618) else { return };
    let options = DecodeOptions::new(tenant, 1_763_510_400_000);
    let Some(Ok(source)) = embedded("cloudtrail").map(EmbeddedSource::source) else { return };
    let of_its_own = |(i, record): (usize, &String)| {
        let (before, rest) = record.split_once("\"198.51.100.").unwrap_or((record, ""));
        let after = rest.split_once('"').map_or("", |(_, after)| after);
        format!("{before}\"96.{}.{}.9\"{after}", i / 250 % 100, i % 250)
    };
    let text = cloudtrail().iter().enumerate().map(of_its_own).collect::<Vec<_>>().join("\n");
    let Ok(folder) = tempfile::tempdir() else { return };
    let files = ["city.mmdb", "asn.mmdb"].map(|name| folder.path().join(name));
    let (mut cities, mut systems) = (Mmdb::new("GeoLite2-City", 1), Mmdb::new("GeoLite2-ASN", 1));
    for i in 0..RECORDS {
        let network = format!("96.{}.{}.0/24", i / 250 % 100, i % 250);
        cities = cities.with(
            &network,
            &json!({ "city": { "names": { "de": "Stadt", "en": format!("City {i}"), "fr": "Ville" } },
                "country": { "iso_code": "US", "names": { "de": "USA", "en": "United States" } },
                "location": { "latitude": 37.5, "longitude": 122.5 },
                "subdivisions": [{ "iso_code": "CA", "names": { "en": "California" } }] }),
        );
        let owner = format!("Owner {i}, Inc.");
        systems = systems
            .with(&network, &json!({ "autonomous_system_number": i + 1, "autonomous_system_organization": owner }));
    }
    cities.save(&files[0]);
    systems.save(&files[1]);
    let Ok(none) = Databases::open(&[], EnrichmentMetrics::default()) else { return };
    let Ok(both) = Databases::open(&files, EnrichmentMetrics::default()) else { return };
    let list = || -> TrustList {
        let trust = || Trust { trusted: true, entity: "IT".to_owned(), reason: "office".to_owned() };
        (0..1_000).filter_map(|i| Some((format!("96.1.{}.{}/32", i / 250, i % 250).parse().ok()?, trust()))).collect()
    };
    let mut group = c.benchmark_group("enrich");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
    for (name, databases, trusted) in
        [("nothing", &none, false), ("databases", &both, false), ("databases_and_networks", &both, true)]
    {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut enricher = Enricher::new(databases, if trusted { list() } else { TrustList::default() });
                let mut sink = |batch: RecordBatch| {
                    black_box(batch);
                    Ok(())
                };
                decode_enriched(text.as_bytes(), Layout::Json, &source, &options, Some(&mut enricher), &mut sink)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, decode_cloudtrail, decode_sources, enrich);
criterion_main!(benches);
