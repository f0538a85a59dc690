//! Decoding of activities on one core: `cargo bench --bench decode`.

use std::fmt::Write as _;
use std::hint::black_box;

use anomalake::domain::tenant::TenantId;
use anomalake::formats::input::{DecodeOptions, decode_ndjson};
use arrow::array::RecordBatch;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

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

criterion_group!(benches, decode);
criterion_main!(benches);
