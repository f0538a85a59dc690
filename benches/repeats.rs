//! What telling repeats costs: ids in runs on disk, and CloudTrail ingested with and without.
//!
//! `cargo bench --bench repeats`

#![expect(clippy::unwrap_used, reason = "a benchmark that fails is to stop")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anomalake::domain::clock::SystemClock;
use anomalake::domain::tenant::TenantId;
use anomalake::formats::input::OnError;
use anomalake::lake::layout::DataDir;
use anomalake::lake::seen::{IdHash, SeenSet};
use anomalake::services::Services;
use anomalake::services::auth::Actor;
use anomalake::services::ingest::{Dedup, IngestRequest};
use anomalake::services::own_sources::ChosenSource;
use anomalake::services::settings::ServerSettings;
use anomalake::sources::{Layout, embedded};
use bytes::Bytes;
use futures::StreamExt;

/// Ids of a large tenant in 7 days.
const IDS: u64 = 6_000_000;

/// Ids that are looked up at a time, about as many as a batch has rows.
const LOOKED_UP: u64 = 200_000;

/// Records of one request, and requests.
const RECORDS: usize = 100_000;
const REQUESTS: usize = 5;

fn id(n: u64) -> String {
    format!("b69c41d9-ccc8-41d7-82f1-{n:012x}")
}

/// Time that this thread was on a core, in ns: other work on the machine does not count.
fn on_core_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Prints the time on a core, and on the clock, that something took for each of so many.
fn timed<T>(what: &str, n: u64, work: impl FnOnce() -> T) -> T {
    let (begun, on_core) = (Instant::now(), on_core_ns());
    let done = work();
    let each = (on_core_ns() - on_core) / n;
    println!("{what:<56} {each:>6} ns each {:>8.2} s", begun.elapsed().as_secs_f64());
    done
}

fn bytes_in(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn sets() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = SeenSet::new(dir.path().to_owned(), 50_000);
    let hashes = timed("hash an id", IDS, || (0..IDS).map(|n| IdHash::of(&id(n))).collect::<Vec<_>>());
    timed("remember an id, merges of runs included", IDS, || {
        for hash in &hashes {
            set.insert(*hash, 1);
            if set.is_full() {
                set.spill(0).unwrap();
                set.tidy();
            }
        }
    });
    println!("{} ids, {} bytes on disk, {} in memory", set.len(), bytes_in(dir.path()), set.memory());
    let new: Vec<_> = (IDS..IDS + LOOKED_UP).map(|n| IdHash::of(&id(n))).collect();
    let step = usize::try_from(IDS / LOOKED_UP).unwrap();
    let known: Vec<_> = hashes.iter().step_by(step).copied().collect();
    for (what, ids, found) in [("look up an id that is new", new, 0), ("look up an id that is known", known, LOOKED_UP)]
    {
        let hits = timed(what, LOOKED_UP, || {
            let mut look = set.look();
            ids.iter().filter(|id| look.newest(**id).unwrap().is_some()).count()
        });
        assert_eq!(hits as u64, found);
    }
}

fn cloudtrail(n: usize) -> String {
    let user = n * 7919 % 500;
    let octet = user % 250;
    let id = id(n as u64);
    format!(
        concat!(
            r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser","principalId":"AIDAEXAMPLE{user:09}","#,
            r#""arn":"arn:aws:iam::111122223333:user/user{user}","accountId":"111122223333","userName":"user{user}"}},"#,
            r#""eventTime":"2026-11-20T10:{minute:02}:{second:02}Z","eventSource":"s3.amazonaws.com","#,
            r#""eventName":"GetObject","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.{octet}","#,
            r#""userAgent":"[Boto3/1.26.165 Python/3.10.6 Linux/5.19.0-46-generic Botocore/1.29.165]","#,
            r#""requestParameters":{{"bucketName":"reports-{octet}","key":"2026/report-{n}.pdf"}},"#,
            r#""responseElements":null,"additionalEventData":{{"SignatureVersion":"SigV4","#,
            r#""CipherSuite":"ECDHE-RSA-AES128-GCM-SHA256","bytesTransferredIn":0,"bytesTransferredOut":{n}}},"#,
            r#""requestID":"GXKFXETF{n:08}","eventID":"{id}","readOnly":true,"#,
            r#""resources":[{{"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::reports-{octet}"}}],"#,
            r#""eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","#,
            r#""tlsDetails":{{"clientProvidedHostHeader":"reports-{octet}.s3.eu-west-1.amazonaws.com"}}}}"#,
            "\n"
        ),
        user = user,
        minute = n / 60 % 60,
        second = n % 60,
        octet = octet,
        n = n,
        id = id,
    )
}

async fn ingests() {
    let dir = tempfile::tempdir().unwrap();
    let dir = DataDir::create(dir.path()).unwrap();
    let services = Services::open(&dir, ServerSettings::default(), Arc::new(SystemClock)).await.unwrap();
    let bodies: Vec<Vec<Bytes>> = (0..REQUESTS)
        .map(|request| {
            let body: String = (request * RECORDS..(request + 1) * RECORDS).map(cloudtrail).collect();
            body.as_bytes().chunks(256 << 10).map(Bytes::copy_from_slice).collect()
        })
        .collect();
    for (id, what, dedup, times) in [
        (1, "cloudtrail, dedup=off", Dedup::Off, 1),
        (2, "cloudtrail, dedup=activityId, all new", Dedup::ActivityId, 1),
        (3, "cloudtrail, dedup=off", Dedup::Off, 1),
        (4, "cloudtrail, dedup=activityId, all new; then all known", Dedup::ActivityId, 2),
    ] {
        let (actor, id) = (Actor::command_line(), TenantId::try_from(id).unwrap());
        let tenant = services.create_tenant(&actor, id, "bench".to_owned()).await.unwrap();
        for _ in 0..times {
            let begun = Instant::now();
            for body in &bodies {
                let request = IngestRequest {
                    source: Some((ChosenSource::Embedded(embedded("cloudtrail").unwrap()), Layout::Json)),
                    patience: None,
                    tenant: tenant.key,
                    format: None,
                    encoding: None,
                    on_error: OnError::Reject,
                    dedup: Some(dedup),
                    key: None,
                    body: futures::stream::iter(body.clone().into_iter().map(Ok)).boxed(),
                };
                services.ingest(request).await.unwrap();
            }
            let seconds = begun.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let each = seconds * 1e6 / (RECORDS * REQUESTS) as f64;
            println!("{what:<56} {each:>8.3} us each {seconds:>8.2} s");
        }
    }
    services.close().await;
}

fn main() {
    sets();
    tokio::runtime::Runtime::new().unwrap().block_on(ingests());
}
