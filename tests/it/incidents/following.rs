//! Following incidents page by page while others create and modify them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use anomalake::registry::anomalies::{NewAnomaly, create};

use super::{incidents, query, set_status};
use crate::support::records::Seeded;
use crate::support::{NOW_MS, TestServer, TestTenant};

const COUNT: usize = 10_500;

/// Creates incidents in the registry itself, since a request for each takes long: some alone in their ms,
/// many with hundreds of others, and one ms asked for by more than it can hold.
async fn fill(server: &TestServer, tenant: &TestTenant) {
    let services = &server.owner.services;
    let key = services.tenant(tenant.id).await.unwrap().key;
    let (mut random, mut left) = (Seeded::new(7), COUNT);
    while left > 0 {
        let together = [1, 3, 250, 2600][usize::try_from(random.below(4)).unwrap()].min(left);
        let now_ms = server.clock_ms();
        let write = services.registry.write(move |conn| {
            Box::pin(async move {
                for _ in 0..together {
                    create(conn, key, &NewAnomaly::of_user("ann@example.com", 0, 1, now_ms), now_ms).await?;
                }
                Ok(())
            })
        });
        write.await.unwrap();
        server.clock.advance(i64::try_from(random.below(3)).unwrap());
        left -= together;
    }
}

/// What a reader has learnt.
#[derive(Default)]
struct Reader {
    cursor: Option<Value>,
    /// The latest `timeModified` and status of each incident.
    known: HashMap<String, (String, String)>,
    pages: usize,
}

impl Reader {
    /// Reads a page and checks it; false when it is empty.
    async fn read(&mut self, tenant: &TestTenant, limit: usize) -> bool {
        let criteria = self.cursor.as_ref().map_or(json!({}), |cursor| json!({ "startTime": cursor }));
        let page = query(&tenant.api, &format!("?limit={limit}"), &criteria).await;
        self.pages += 1;
        let mut times = Vec::new();
        for incident in incidents(&page) {
            let text = |key: &str| incident[key].as_str().unwrap().to_owned();
            let (id, time) = (text("incidentId"), text("timeModified"));
            let before = self.known.insert(id.clone(), (time.clone(), text("status")));
            assert!(before.is_none_or(|(before, _)| before < time), "{id} came again with {time}");
            times.push(time);
        }
        assert!(times.is_sorted(), "{times:?}");
        if times.len() > limit {
            assert!(times[limit..].iter().all(|time| *time == times[limit - 1]), "more than the limit needs");
        }
        if let Some(cursor) = &self.cursor {
            assert!(times.iter().all(|time| time.as_str() >= cursor.as_str().unwrap()));
        }
        self.cursor = Some(page["responseInfo"]["nextStartTime"].clone());
        !times.is_empty()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_repeated_while_incidents_are_modified() {
    let server = Arc::new(TestServer::start().await);
    let tenant = server.tenant(5618).await;
    fill(&server, &tenant).await;

    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (server, tenant, done) = (Arc::clone(&server), tenant.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut random = Seeded::new(11);
            for round in 0..60 {
                let count = [1, 20, 300][round % 3];
                let ids: Vec<_> = (0..count).map(|_| 1 + i64::try_from(random.below(COUNT as u64)).unwrap()).collect();
                let status = ["opened", "resolved", "suppressed", "new"][usize::try_from(random.below(4)).unwrap()];
                set_status(&tenant, &ids, status).await;
                if round % 5 == 0 {
                    tenant.of_user("bob@example.com").await;
                }
                // It mostly stands still, so that one ms has many writes and reads, and at times steps back.
                server.clock.advance([0, 0, 0, 1, 0, -2, 0, 5][usize::try_from(random.below(8)).unwrap()]);
            }
            done.store(true, Ordering::Release);
        })
    };
    let mut reader = Reader::default();
    let mut round = 0;
    while !done.load(Ordering::Acquire) {
        reader.read(&tenant, [100, 370, 1][round % 3]).await;
        round += 1;
    }
    writer.await.unwrap();
    server.clock.advance(10_000);
    while reader.read(&tenant, 700).await {}

    let begun = Instant::now();
    let whole = query(&tenant.api, "?limit=20000", &json!({})).await;
    println!("a page of 10,000 took {:?}; {} pages were read before", begun.elapsed(), reader.pages);
    assert_eq!(whole["responseInfo"]["actualLimit"], 10_000);
    let mut last = Reader::default();
    while last.read(&tenant, 20_000).await {}
    assert_eq!(last.known.len(), COUNT + 12);
    assert_eq!(reader.known, last.known);
    assert!(incidents(&whole).len() >= 10_000 && incidents(&whole).len() < 11_000);
}

#[tokio::test]
async fn a_ms_holds_a_thousand_and_a_page_holds_it_whole() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    fill(&server, &tenant).await;
    server.clock.advance(10_000);
    let mut per_time = HashMap::<String, usize>::new();
    let mut reader = Reader::default();
    while reader.read(&tenant, 10).await {}
    for (time, _) in reader.known.values() {
        *per_time.entry(time.clone()).or_default() += 1;
    }
    assert_eq!(reader.known.len(), COUNT);
    assert_eq!(per_time.values().max(), Some(&1000));
    assert!(server.clock_ms() > NOW_MS);
}
